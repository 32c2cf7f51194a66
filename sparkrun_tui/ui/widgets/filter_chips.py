"""The line below the search box: the filters in force as chips, what they mean, and what was not understood."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.ui.ink import Line, Span, clip
from sparkrun_tui.ui.widgets.line_pane import LinePane

_MOST_NOTES = 2


class FilterChips(LinePane):
    """Chips, and notes below them; hidden when there is nothing to say."""

    ALLOW_SELECT = False
    SCROLLS = False

    class Removed(Message):
        """A chip was clicked; `number` counts from 0."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._chips: Sequence[str] = ()
        self._help = ""
        self._notes: Sequence[str] = ()
        self._rows = 0
        self.display = False

    def show(self, chips: Sequence[str], help_text: str, notes: Sequence[str], searching: bool) -> None:
        """Show the filters in words, the help of the last one, and what was not understood.

        While there is a search, one line is kept, so that the list below does not move with each word.
        """
        self._chips, self._help, self._notes = tuple(chips), help_text, tuple(notes[:_MOST_NOTES])
        rows = max(self.line_count, 1) if searching else 0
        if rows != self._rows:
            self._rows = rows
            self.display = rows > 0
            self.styles.height = max(rows, 1)
        self.refresh()

    @property
    def rows(self) -> int:
        """How many rows it takes."""
        return self._rows

    @property
    def line_count(self) -> int:
        """One line for all chips, and one for each note."""
        return (1 if self._chips else 0) + len(self._notes)

    def line(self, number: int) -> Line:
        """The chips, or a note."""
        width = self.text_width
        if self._chips and number == 0:
            spans: list[Span] = []
            for chip in self._chips:
                spans.append((f"[{clean_line(chip)} ×]", "key"))
                spans.append((" ", ""))
            spans.append((clean_line(self._help), "dim"))
            return clip(spans, width)
        note = self._notes[number - (1 if self._chips else 0)]
        return clip([("! ", "tight"), (clean_line(note), "tight")], width)

    def on_click(self, event: events.Click) -> None:
        """Take away the filter whose chip was clicked."""
        if not self._chips or event.y != 0:
            return
        left = 0
        for number, chip in enumerate(self._chips):
            right = left + cell_len(clean_line(chip)) + 4
            if left <= event.x < right:
                self.post_message(self.Removed(number))
                return
            left = right + 1
