"""The entry point: the command line, and the app that opens when no command is given."""

from __future__ import annotations

from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (None: the process arguments); returns the exit code."""
    from sparkrun_tui.cli.main import run

    return run(argv, open_app=_open_app)


def _open_app(demo: bool, cluster: str, query: str) -> int:
    from sparkrun_tui.ui.app.app import open_app

    return open_app(demo=demo, cluster=cluster, query=query)
