"""Recomputes plans or weights with an engine's own code and says what moved: `python -m benchmarks.judges --help`."""

import sys

from benchmarks.judges.command import main

sys.exit(main())
