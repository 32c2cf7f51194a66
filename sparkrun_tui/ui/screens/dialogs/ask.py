"""A question whose answer is typed: one line or a few, each with its own meaning."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from textual import on
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.widgets import Input

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line, wrap
from sparkrun_tui.ui.widgets.footer_keys import FooterKeys
from sparkrun_tui.ui.widgets.panel import Panel
from sparkrun_tui.ui.widgets.text_pane import TextPane


@dataclass(frozen=True, slots=True)
class Blank:
    """One line to fill in: what is wanted, what stands there at first, and an example."""

    label: str
    value: str = ""
    example: str = ""


Check = Callable[[Sequence[str]], str]
"""Why the answers cannot be taken, in one sentence; empty when they can."""


class AnswerLine(Input, Actor):
    """One line of an answer; enter goes to the next, or gives the answer."""

    BINDINGS = bindings(Scope.ANSWER)

    def do_accept(self) -> None:
        """The answer is complete, or the next line is due."""
        screen = self.screen
        assert isinstance(screen, AskScreen)
        screen.accept(self)

    async def action_submit(self) -> None:
        """Enter means the same."""
        self.do_accept()

    def do_cancel(self) -> None:
        """No answer."""
        self.screen.dismiss(None)


class AskScreen(ModalScreen[Sequence[str]], Actor):
    """Gives the lines as typed (without blanks around them), or None when nothing is wanted."""

    AUTO_FOCUS = "AnswerLine"

    def __init__(self, title: str, blanks: Sequence[Blank], about: str = "", check: Check | None = None) -> None:
        super().__init__()
        self._title, self._blanks, self._about, self._check = title, blanks, about, check
        self._wrong = ""

    def compose(self) -> ComposeResult:
        """A label and a line for each blank, and what is wrong below."""
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
        """Take the answer when the last line is done and nothing is wrong with it."""
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
