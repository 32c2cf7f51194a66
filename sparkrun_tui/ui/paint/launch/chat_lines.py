"""A conversation as lines: questions, reasoning, answers, figures, and what went wrong."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.text import clean_line, visible_text
from sparkrun_tui.engines.offers import COMPLETION
from sparkrun_tui.launch.chat.conversation import Conversation, Turn, TurnStatus
from sparkrun_tui.ui.ink import Line, wrap_line

_WIDEST = 120
"""Cells of the widest line: longer ones are hard to read."""
_INDENT = 2


class Wrapped:
    """A text that grows, in rows of a width. Lines that are complete are wrapped once."""

    def __init__(self, style: str) -> None:
        self._style = style
        self._width = 0
        self._done = 0
        """The characters of the text whose lines are complete."""
        self._rows: list[Line] = []

    def rows(self, text: str, width: int) -> list[Line]:
        """The rows of a text that begins like the last one."""
        if width != self._width or len(text) < self._done:
            self._width, self._done, self._rows = width, 0, []
        end = text.rfind("\n") + 1
        if end > self._done:
            for line in text[self._done : end - 1].split("\n"):
                self._rows += self._wrap(line)
            self._done = end
        rest = text[self._done :]
        return [*self._rows, *self._wrap(rest)] if rest else list(self._rows)

    def _wrap(self, line: str) -> list[Line]:
        shown = visible_text(line)
        if not shown.strip():
            return [[]]
        rows = wrap_line([(shown, self._style)], self._width - _INDENT)
        return [[(" " * _INDENT, ""), *row] for row in rows]


class TurnLines:
    """The lines of one turn; what does not change any more is not laid out again."""

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self._question = Wrapped("bold")
        self._reasoning = Wrapped("dim")
        self._answer = Wrapped("")

    def lines(self, model: str, width: int, now: float) -> list[Line]:
        """The lines for a width in cells; `now` is the time of the event loop."""
        turn = self.turn
        lines: list[Line] = [[("▸ you", "key")], *self._question.rows(turn.question, width)]
        lines.append([("◂ ", "accent"), (clean_line(model), "accent")])
        if turn.reasoning:
            lines.append([("  thinks", "dim")])
            lines += self._reasoning.rows(turn.reasoning, width)
            if turn.answer:
                lines.append([("  answers", "dim")])
        lines += self._answer.rows(turn.answer.rstrip("\n") if not turn.is_open else turn.answer, width)
        lines += self._end(width, now)
        lines.append([])
        return lines

    def _end(self, width: int, now: float) -> list[Line]:
        """How far it is, how fast it came, and what went wrong."""
        turn = self.turn
        lines: list[Line] = []
        if turn.status is TurnStatus.WAITING:
            lines.append([(f"  waiting for the first token … {max(now - turn.began, 0):.0f} s", "dim")])
        words = turn.figures.words if turn.is_open else turn.figures.final_words
        if words:
            lines += wrap_line([(f"  {words}", "dim")], width, indent=_INDENT)
        if turn.offer == COMPLETION.name:
            text = "  its model has no chat template: the conversation was sent as plain text"
            lines += wrap_line([(text, "tight")], width, indent=_INDENT)
        if turn.note:
            lines += wrap_line([("  ! ", "tight"), (turn.note, "tight")], width, indent=4)
        if turn.problem:
            lines += wrap_line([("  ✗ ", "bad"), (clean_line(turn.problem), "bad")], width, indent=4)
            for row in turn.remedy.split("\n") if turn.remedy else ():
                lines += wrap_line([("    ", ""), (clean_line(row), "")], width, indent=4)
        return lines


class ChatLines:
    """The lines of a conversation."""

    def __init__(self, conversation: Conversation, model: str, hints: Sequence[str]) -> None:
        """`hints` are shown while nothing was asked."""
        self._conversation = conversation
        self.model = model
        self._hints = hints
        self._system = Wrapped("dim")
        self._turns: list[TurnLines] = []

    def lines(self, width: int, now: float) -> list[Line]:
        """The lines for a width in cells; `now` is the time of the event loop."""
        width = min(width, _WIDEST)
        lines: list[Line] = []
        system = self._conversation.settings.system
        if system:
            lines += [[("▸ system prompt", "dim")], *self._system.rows(system, width), []]
        if not self._conversation.turns:
            for hint in self._hints:
                lines += wrap_line([(hint, "dim")], width)
        self._follow()
        for turn in self._turns:
            lines += turn.lines(self.model, width, now)
        return lines

    def _follow(self) -> None:
        """Take up the turns of the conversation as they are now."""
        known = {id(kept.turn): kept for kept in self._turns}
        self._turns = [known.get(id(turn)) or TurnLines(turn) for turn in self._conversation.turns]
