"""Scores the memory estimator on published or computed observations: `memory.py --observations FILE [--json]`."""

from __future__ import annotations

import sys
from pathlib import Path

if not __package__:
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.memory_score import main

if __name__ == "__main__":
    sys.exit(main())
