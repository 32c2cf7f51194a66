"""The entry point: the command line, and the app that opens when no command is given."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence

from sparkrun_tui.base.errors import UsageError

_COMPLETED = "_SPARKRUN_TUI_COMPLETE"
"""Set by a shell that asks the command line to complete what is typed (`cli.groups.COMPLETED`)."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program with `argv` (None: the process arguments); returns the exit code."""
    # A start makes some hundred thousand objects that stay: collecting among them takes a tenth of its time. The app
    # and the commands collect again once they have started.
    gc.disable()
    try:
        if argv is None and len(sys.argv) == 1 and _COMPLETED not in os.environ:
            return _app_alone()
        from sparkrun_tui.cli.main import run

        return run(argv, open_app=_open_app)
    finally:
        gc.enable()


def _app_alone() -> int:
    """Open the app without the command line, which loads another library; the same errors end it the same way."""
    try:
        return _open_app(False, "", "")
    except (KeyboardInterrupt, Exception) as error:
        from sparkrun_tui.cli.exits import report

        return report(error)


def _open_app(demo: bool, cluster: str, query: str) -> int:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "the app needs a terminal for its input and output",
            remedy="`sparkrun-tui --help` lists the commands; `sparkrun-tui demo-story` plays a session as plain text",
        )
    from sparkrun_tui.ui.app.app import open_app

    return open_app(demo=demo, cluster=cluster, query=query)
