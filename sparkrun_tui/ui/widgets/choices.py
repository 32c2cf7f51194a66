"""What a word being typed can become: a list that lies over what is below, with one choice marked."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.text import cell_width
from sparkrun_tui.ui.widgets.ink import Line, fit
from sparkrun_tui.ui.widgets.line_pane import LinePane

_MOST = 8
"""Choices in sight at once."""


class Choices(LinePane):
    """Pairs of a text and what it means; hidden when there are none."""

    ALLOW_SELECT = False
    SCROLLS = False

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._rows: Sequence[tuple[str, str]] = ()
        self._at: int | None = None
        self.display = False

    def offer(self, rows: Sequence[tuple[str, str]], at: int | None, column: int) -> None:
        """Show these, with the one at `at` marked, below the column where the word begins."""
        self._rows, self._at = rows, at
        self.display = bool(rows)
        first = 0 if at is None else max(min(at - _MOST // 2, len(rows) - _MOST), 0)
        self.top = first
        widest = max((cell_width(text) + cell_width(about) + 4 for text, about in rows), default=0)
        self.styles.height = min(len(rows), _MOST)
        self.styles.width = min(max(widest, 12), 60)
        self.styles.offset = (column, 1)
        self.refresh(layout=True)

    def withdraw(self) -> None:
        """Offer nothing."""
        if self.display:
            self._rows, self._at = (), None
            self.display = False

    @property
    def line_count(self) -> int:
        """One a choice."""
        return len(self._rows)

    def line(self, number: int) -> Line:
        """A choice and its meaning."""
        text, about = self._rows[number]
        room = max(cell_width(item) for item, _ in self._rows)
        mark = "▌" if number == self._at else " "
        return [(mark, "accent"), (fit(text, room), "bold" if number == self._at else ""), (f"  {about}", "dim")]

    def line_style(self, number: int) -> str:
        """The marked one lies under the cursor."""
        return "cursor-blur" if number == self._at else ""
