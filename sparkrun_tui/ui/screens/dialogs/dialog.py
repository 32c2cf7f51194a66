"""Yes-or-no questions over a screen, with a key for each answer."""

from __future__ import annotations

from collections.abc import Sequence

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.screen import ModalScreen
from textual.widgets import Button

from sparkrun_tui.base.text import visible_line
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap_line
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane

_FRAME = 4
"""The lines taken by the border, the buttons and the line above them."""


class Confirm(ModalScreen[bool], Actor):
    """Asks for confirmation. `y` means yes; `n` and `esc` mean no; enter presses the focused button, at first `no`."""

    BINDINGS = bindings(Scope.DIALOG, ("yes", "no"))
    AUTO_FOCUS = "#no"

    def __init__(self, title: str, lines: Sequence[str], yes: str = "Yes", no: str = "No") -> None:
        super().__init__()
        self._title = title
        self._lines = [visible_line(line) for line in lines]
        self._yes, self._no = yes, no
        self._question = TextPane(self._paint, id="question")
        self._question.can_focus = False

    def compose(self) -> ComposeResult:
        """The question and two buttons."""
        with Panel(title=self._title, classes="dialog"):
            yield self._question
            with Horizontal(classes="buttons"):
                yield Button(f"{self._yes} (y)", id="yes", compact=True)
                yield Button(f"{self._no} (n)", id="no", compact=True)

    def on_mount(self) -> None:
        """Make the dialog as high as its text; a text longer than the screen scrolls, with the buttons visible."""
        pane = self._question
        needed = sum(len(self._paint_line(line, 66)) for line in self._lines)
        room = max(self.size.height * 9 // 10 - _FRAME, 3)
        pane.styles.height = min(needed, room)
        if needed > room:
            self.query_one(Panel).entitle(self._title, "j k scroll")
            pane.can_focus = True
            self.set_focus(pane)

    def _paint_line(self, line: str, width: int) -> list[Line]:
        return list(wrap_line([(line, "")], width)) if line else [[]]

    def _paint(self, width: int) -> list[Line]:
        return [row for line in self._lines for row in self._paint_line(line, width)]

    @on(Button.Pressed)
    def _pressed(self, event: Button.Pressed) -> None:
        event.stop()
        self.dismiss(event.button.id == "yes")

    def do_yes(self) -> None:
        """Do it."""
        self.dismiss(True)

    def do_no(self) -> None:
        """Do nothing."""
        self.dismiss(False)
