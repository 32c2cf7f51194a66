"""A pane of lines with a cursor that keys and mouse move."""

from __future__ import annotations

from collections.abc import Iterable

from textual import events
from textual.geometry import Region
from textual.message import Message

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.widgets.line_pane import LinePane


class ListPane(LinePane, Actor, can_focus=True):
    """Lines with one current row. The header lines (`head`) come first and cannot be chosen."""

    ALLOW_SELECT = False
    BINDINGS = bindings(Scope.LIST)

    class Highlighted(Message):
        """The cursor moved to another row."""

        def __init__(self, pane: ListPane, row: int) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

        @property
        def control(self) -> ListPane:
            """The pane."""
            return self.pane

        def can_replace(self, message: Message) -> bool:
            """Only the newest position counts."""
            return isinstance(message, ListPane.Highlighted) and message.pane is self.pane

    class Chosen(Message):
        """The current row was clicked again, or double-clicked."""

        def __init__(self, pane: ListPane, row: int) -> None:
            super().__init__()
            self.pane = pane
            self.row = row

        @property
        def control(self) -> ListPane:
            """The pane."""
            return self.pane

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.cursor = 0

    @property
    def head(self) -> int:
        """How many lines come before the first row."""
        return 0

    @property
    def row_count(self) -> int:
        """How many rows the cursor can move over."""
        return max(self.line_count - self.head, 0)

    def selectable(self, row: int) -> bool:
        """Whether the cursor may be on `row`."""
        return True

    def line_style(self, number: int) -> str:
        """The cursor covers the whole line."""
        if number - self.head != self.cursor or not self.row_count:
            return ""
        return "cursor" if self.has_focus else "cursor-blur"

    def move_to(self, row: int, step: int = 1) -> None:
        """Put the cursor on `row`, or on the nearest one that it may be on, first in the direction of `step`."""
        row = max(min(row, self.row_count - 1), 0)
        found = self._selectable_from(row, step)
        if found is None:
            found = self._selectable_from(row, -step)
        if found is None:
            return
        before, top = self.cursor, self.top
        changed = found != before
        self.cursor = found
        # With the first row, the header lines are shown, too.
        self.reveal(found + self.head if found else 0)
        if self.top != top:
            self.refresh()
        elif changed:
            self.refresh_rows((before, found))
        if changed:
            self.post_message(self.Highlighted(self, found))

    def _selectable_from(self, row: int, step: int) -> int | None:
        """The first row from `row` on, in steps of `step`, that the cursor may be on; None when there is none."""
        while 0 <= row < self.row_count:
            if self.selectable(row):
                return row
            row += step
        return None

    def refresh_rows(self, rows: Iterable[int]) -> None:
        """Repaint only those of these rows that are visible."""
        places = (row + self.head - self.top for row in rows)
        width, height = self.size
        regions = [Region(0, place, width, 1) for place in places if 0 <= place < height]
        if regions:
            self.refresh(*regions)

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks different with the focus."""
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor; a second one on the same row chooses it."""
        row = self.top + event.y - self.head
        if not 0 <= row < self.row_count or not self.selectable(row):
            return
        again = row == self.cursor and event.chain >= 2
        self.move_to(row)
        if again:
            self.post_message(self.Chosen(self, row))

    def do_down(self) -> None:
        """Move down."""
        self.move_to(self.cursor + 1)

    def do_up(self) -> None:
        """Move up."""
        self.move_to(self.cursor - 1, step=-1)

    def do_page_down(self) -> None:
        """Move down by a page."""
        self.move_to(self.cursor + max(self.page - 1, 1))

    def do_page_up(self) -> None:
        """Move up by a page."""
        self.move_to(self.cursor - max(self.page - 1, 1), step=-1)

    def do_first(self) -> None:
        """Go to the first row."""
        self.top = 0
        self.move_to(0)

    def do_last(self) -> None:
        """Go to the last row."""
        self.move_to(self.row_count - 1, step=-1)
