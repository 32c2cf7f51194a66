"""What a word being typed can become: a list that lies over what is below, with one choice marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.widget import Widget

from sparkrun_tui.ui.ink import Line, fit
from sparkrun_tui.ui.widgets.line_pane import LinePane

_MOST = 8
"""Choices in sight at once."""
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
        """Show these, with the one at `at` marked, from `column` on below the parent's row `row`; above it when there
        is more room."""
        self._rows, self._at = rows, at
        assert isinstance(self.parent, Widget)
        room = self.parent.size
        below = room.height - row - 1
        upwards = below < min(len(rows), _MOST) and row > below
        height = min(len(rows), _MOST, max(row if upwards else below, 1))
        widest = max((cell_len(text) + cell_len(about) + 4 for text, about in rows), default=0)
        width = min(max(widest, 12), _WIDEST, max(room.width, 12))
        self.top = 0 if at is None else max(min(at - height // 2, len(rows) - height), 0)
        self._place(height, width, max(min(column, room.width - width), 0), row - height if upwards else row + 1)
        self.refresh()

    def _place(self, height: int, width: int, column: int, row: int) -> None:
        """Lay out again only when something moves."""
        place = (height, width, column, row)
        if place != self._placed:
            self._placed = place
            self.styles.height, self.styles.width, self.styles.offset = height, width, (column, row)
        self.display = True

    def withdraw(self) -> None:
        """Offer nothing."""
        if self.display:
            self._rows, self._at = (), None
            self.display = False

    def on_click(self, event: events.Click) -> None:
        """Take what was clicked; typing goes on."""
        event.stop()
        number = self.top + event.y
        if number < len(self._rows):
            self.post_message(self.Taken(self, number))

    @property
    def line_count(self) -> int:
        """One a choice."""
        return len(self._rows)

    def line(self, number: int) -> Line:
        """A choice and its meaning."""
        text, about = self._rows[number]
        room = max(cell_len(item) for item, _ in self._rows)
        mark = "▌" if number == self._at else " "
        return [(mark, "accent"), (fit(text, room), "bold" if number == self._at else ""), (f"  {about}", "dim")]

    def line_style(self, number: int) -> str:
        """The marked one lies under the cursor."""
        return "cursor-blur" if number == self._at else ""
