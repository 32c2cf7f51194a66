"""Makes `python -m sparkrun_tui` the same as the `sparkrun-tui` command."""

from __future__ import annotations

import sys

from sparkrun_tui.entry import main

if __name__ == "__main__":
    sys.exit(main())
