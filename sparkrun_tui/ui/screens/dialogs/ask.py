"""A dialog whose answer is typed: one or more labelled lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


@dataclass(frozen=True, slots=True)
class Blank:
    """One line to fill in: its label, its initial value, and an example."""

    label: str
    value: str = ""
    example: str = ""


Check = Callable[[Sequence[str]], str]
"""Why the answers cannot be accepted, in one sentence; empty when they can."""


class AnswerLine(Input, Actor):
    """One line of the answer; enter goes to the next line, or submits."""

    BINDINGS = bindings(Scope.ANSWER)

    def do_accept(self) -> None:
        """Go to the next line; on the last one, submit."""
        screen = self.screen
        assert isinstance(screen, AskScreen)
        screen.accept(self)

    async def action_submit(self) -> None:
        """Enter does the same."""
        self.do_accept()

    def do_cancel(self) -> None:
        """Close without an answer."""
        self.screen.dismiss(None)


class AskScreen(ModalScreen[Sequence[str]], Actor):
    """The result is the lines as typed, without surrounding blanks, or None when the dialog was cancelled."""

    AUTO_FOCUS = "AnswerLine"

    def __init__(self, title: str, blanks: Sequence[Blank], about: str = "", check: Check | None = None) -> None:
        super().__init__()
        self._title, self._blanks, self._about, self._check = title, blanks, about, check
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """A label and a line for each blank; below, a note or what is wrong."""
        with Panel(title=self._title, classes="dialog wide"):
            for number, blank in enumerate(self._blanks):
                label = TextPane(lambda width, text=blank.label: [[(text, "dim")]])  # type: ignore[misc]
                label.can_focus = False
                label.styles.height = 1
                yield label
                line = AnswerLine(blank.value, placeholder=blank.example, compact=True, id=f"answer-{number}")
                line.styles.margin = (0, 0, 1, 0)
                yield line
            notes = TextPane(self._notes, id="notes")
            notes.can_focus = False
            notes.styles.height = 3
            yield notes
        yield FooterKeys()

    def _notes(self, width: int) -> Sequence[Line]:
        text, style = (f"✗ {self._wrong}", "bad") if self._wrong else (self._about, "dim")
        return [[(row, style)] for row in wrap(text, width)]

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        if self._wrong:
            self._wrong = ""
            self.query_one("#notes", TextPane).repaint()

    def accept(self, line: AnswerLine) -> None:
        """Go to the next line; after the last one, submit the answer if it is valid."""
        lines = list(self.query(AnswerLine))
        place = lines.index(line)
        if place + 1 < len(lines):
            lines[place + 1].focus()
            return
        answers = [item.value.strip() for item in lines]
        self._wrong = self._check(answers) if self._check else ""
        if self._wrong:
            self.query_one("#notes", TextPane).repaint()
            lines[0].focus()
        else:
            self.dismiss(answers)
