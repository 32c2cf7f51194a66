"""Lets `python -m sparkrun_tui` do what the `sparkrun-tui` command does."""

from __future__ import annotations

import sys

from sparkrun_tui.entry import main

if __name__ == "__main__":
    sys.exit(main())
