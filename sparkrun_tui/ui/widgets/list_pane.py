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
    """Lines of which one is current. The header lines (`head`) are shown first and cannot be chosen."""

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
            """Only where the cursor is now counts."""
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
        """How many lines stand before the first row."""
        return 0

    @property
    def row_count(self) -> int:
        """How many rows the cursor can stand on."""
        return max(self.line_count - self.head, 0)

    def selectable(self, row: int) -> bool:
        """Whether the cursor may stand on `row`."""
        return True

    def line_style(self, number: int) -> str:
        """The cursor lies over the whole line."""
        if number - self.head != self.cursor or not self.row_count:
            return ""
        return "cursor" if self.has_focus else "cursor-blur"

    def move_to(self, row: int, step: int = 1) -> None:
        """Put the cursor on `row`, or on the nearest one from there that it may stand on."""
        last = self.row_count - 1
        row = max(min(row, last), 0)
        tried = row
        while 0 <= tried <= last and not self.selectable(tried):
            tried += step
        if not 0 <= tried <= last:
            tried = row
            while 0 <= tried <= last and not self.selectable(tried):
                tried -= step
        if not 0 <= tried <= last:
            return
        before, top = self.cursor, self.top
        changed = tried != before
        self.cursor = tried
        self.reveal(tried + self.head if tried else 0)
        if self.top != top:
            self.refresh()
        elif changed:
            self.refresh_rows((before, tried))
        if changed:
            self.post_message(self.Highlighted(self, tried))

    def refresh_rows(self, rows: Iterable[int]) -> None:
        """Paint only these rows again, as far as they are in sight; and the thumb with them."""
        places = (row + self.head - self.top for row in rows)
        width, height = self.size
        regions = [Region(0, place, width, 1) for place in places if 0 <= place < height]
        if regions:
            self.refresh(*regions)

    def on_focus(self) -> None:
        """The cursor shows who has the focus."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor shows who has the focus."""
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
