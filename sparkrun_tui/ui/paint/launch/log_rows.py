"""The rows that a line of a log takes: one, or several where it is wrapped."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.ui.ink import Line, Span, reach


@dataclass(frozen=True, slots=True)
class LogRow:
    """A part of a line: its spans, the character of the line at which it begins, and the cells of its indent."""

    number: int
    start: int
    indent: int
    spans: Sequence[Span]

    @property
    def end(self) -> int:
        """One more than its last character."""
        return self.start + sum(len(text) for text, _ in self.spans)


def wrapped(number: int, line: Line, width: int, hanging: int) -> list[LogRow]:
    """The rows of the line `number`, broken at blanks where there are some; no character is lost.

    Those after the first are indented by `hanging` cells, or less where the pane is narrow.
    """
    hanging = min(hanging, width // 4)
    text = "".join(part for part, _ in line)
    rows: list[LogRow] = []
    start, indent = 0, 0
    while True:
        room = max(width - indent, 1)
        end = start + _fitting(text[start : start + 4 * room + 64], room)
        rows.append(LogRow(number, start, indent, cut(line, start, end)))
        start, indent = end, hanging
        if start >= len(text):
            return rows


def _fitting(text: str, room: int) -> int:
    """How many characters of `text` go on one row: up to a blank, if there is one in its second half."""
    if cell_len(text) <= room:
        return len(text)
    end = reach(text, 0, room)
    blank = text.rfind(" ", end // 2, end + 1)
    return blank + 1 if blank >= 0 else end


def cut(line: Line, start: int, end: int) -> list[Span]:
    """The characters of a line from `start` up to `end`."""
    found: list[Span] = []
    at = 0
    for text, style in line:
        piece = text[max(start - at, 0) : max(end - at, 0)]
        if piece:
            found.append((piece, style))
        at += len(text)
    return found
