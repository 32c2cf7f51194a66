"""The completions of a word being typed: a list drawn over other widgets, with one choice marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.widget import Widget

from sparkrun_tui.ui.ink import Line, fit
from sparkrun_tui.ui.widgets.line_pane import LinePane

_MOST = 8
"""The most choices shown."""
_WIDEST = 78


class Choices(LinePane):
    """Pairs of a text and what it means; hidden when there are none."""

    ALLOW_SELECT = False
    SCROLLS = False

    class Taken(Message):
        """A choice was clicked; `number` counts from 0."""

        def __init__(self, choices: Choices, number: int) -> None:
            super().__init__()
            self.choices = choices
            self.number = number

        @property
        def control(self) -> Choices:
            """The list that was clicked."""
            return self.choices

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[tuple[str, str]] = ()
        self._at: int | None = None
        self._placed = (0, 0, 0, 0)
        self.display = False

    def offer(self, rows: Sequence[tuple[str, str]], at: int | None, column: int, row: int = 0) -> None:
        """Show these choices with the one at `at` marked.

        The list begins at `column` and below the parent's row `row`, or ends above that row when there is more room.
        """
        self._rows, self._at = rows, at
        assert isinstance(self.parent, Widget)
        room = self.parent.size
        wanted = min(len(rows), _MOST)
        below = room.height - row - 1
        if below < wanted and row > below:
            height = min(wanted, row)
            first = row - height
        else:
            height = min(wanted, max(below, 1))
            first = row + 1
        widest = 12
        for text, about in rows:
            widest = max(widest, cell_len(text) + cell_len(about) + 4)
        width = min(widest, _WIDEST, max(room.width, 12))
        self.top = 0
        if at is not None:
            self.top = max(min(at - height // 2, len(rows) - height), 0)
        self._place(height, width, max(min(column, room.width - width), 0), first)
        self.refresh()

    def _place(self, height: int, width: int, column: int, row: int) -> None:
        """Lay out again only when something moves."""
        place = (height, width, column, row)
        if place != self._placed:
            self._placed = place
            self.styles.height, self.styles.width, self.styles.offset = height, width, (column, row)
        self.display = True

    def withdraw(self) -> None:
        """Hide the list."""
        if self.display:
            self._rows, self._at = (), None
            self.display = False

    def on_click(self, event: events.Click) -> None:
        """Take the clicked choice; typing continues."""
        event.stop()
        number = self.top + event.y
        if number < len(self._rows):
            self.post_message(self.Taken(self, number))

    @property
    def line_count(self) -> int:
        """One line per choice."""
        return len(self._rows)

    def line(self, number: int) -> Line:
        """A choice and its meaning."""
        text, about = self._rows[number]
        room = max(cell_len(item) for item, _ in self._rows)
        mark = "▌" if number == self._at else " "
        return [(mark, "accent"), (fit(text, room), "bold" if number == self._at else ""), (f"  {about}", "dim")]

    def line_style(self, number: int) -> str:
        """The marked choice looks like a cursor."""
        return "cursor-blur" if number == self._at else ""
