"""Asks for the passphrase of a key file; what is typed is not shown and not kept."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import wrap
from sparkrun_tui.ui.model.ports import PassphraseAsked
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


class PassphraseScreen(ModalScreen[str], Actor):
    """`enter` submits the passphrase, `esc` declines: then the key is not used."""

    BINDINGS = bindings(Scope.DIALOG, ("close",))
    AUTO_FOCUS = "Input"

    def __init__(self, question: PassphraseAsked) -> None:
        super().__init__()
        self._question = question

    def compose(self) -> ComposeResult:
        """What it is for, and a masked line."""
        again = "That passphrase was wrong. " if self._question.again else ""
        text = clean_line(f"{again}{self._question.path}, to log in to {self._question.host}")
        pane = TextPane(lambda width: [[(row, "")] for row in wrap(text, width)], id="question")
        pane.can_focus = False
        with Panel(title="Key passphrase", classes="dialog"):
            yield pane
            yield Input(password=True, compact=True, placeholder="passphrase")

    def on_mount(self) -> None:
        """The border says what the keys do."""
        self.query_one(Panel).entitle("Key passphrase", "enter submits  esc declines")

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        self.dismiss(event.value)

    def do_close(self) -> None:
        """Decline."""
        self.dismiss(None)
