"""Lets `python -m sparkrun_tui` do what the `sparkrun-tui` command does."""

from __future__ import annotations

from sparkrun_tui.cli.main import main

if __name__ == "__main__":
    main()
