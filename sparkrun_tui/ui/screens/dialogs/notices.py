"""The notices of a launch: warnings with what to do, and notes."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.screen import ModalScreen

from sparkrun_tui.launch.record.events import Noticed
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.paint.launch.notices import notice_lines
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


class NoticesScreen(ModalScreen[None], Actor):
    """The notices of a launch at the time the dialog was opened."""

    BINDINGS = bindings(Scope.DIALOG, ("close",))
    AUTO_FOCUS = "TextPane"

    def __init__(self, notices: Sequence[Noticed]) -> None:
        super().__init__()
        self._notices = notices
        self._pane = TextPane(lambda width: notice_lines(self._notices, width), id="notices")

    def compose(self) -> ComposeResult:
        """One scrolled page."""
        with Panel(title="Notices", classes="sheet short"):
            yield self._pane

    def on_mount(self) -> None:
        """Show the newest notices; the border says how to close the dialog."""
        self.query_one(Panel).entitle("Notices", "esc closes")
        self.call_after_refresh(self._pane.do_last)

    def do_close(self) -> None:
        """Close."""
        self.dismiss(None)
