"""A scrolled pane of lines to read."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual.geometry import Size

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.widgets.line_pane import LinePane

Painter = Callable[[int], Sequence[Line]]
"""Makes the lines for a width in cells."""


class TextPane(LinePane, Actor, can_focus=True):
    """Shows the lines that its painter makes for the current width."""

    BINDINGS = bindings(Scope.LIST)

    def __init__(self, painter: Painter | None = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painter: Painter = painter or (lambda width: ())
        self._lines: Sequence[Line] | None = None
        self._width = 0

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """With `height: auto`, as many rows as lines at that width."""
        return len(self._lines_for(max(width - 1, 1)))

    def show(self, painter: Painter, keep_place: bool = False) -> None:
        """Show other content, from its beginning unless `keep_place` is set."""
        self._painter = painter
        self._lines = None
        if not keep_place:
            self.top = 0
        grows = self.styles.is_auto_height and self.size.width > 0 and len(self.lines) != self.size.height
        self.refresh(layout=grows)

    def repaint(self) -> None:
        """Ask the painter for its lines again."""
        self._lines = None
        self.refresh()

    @property
    def lines(self) -> Sequence[Line]:
        """The lines for the current width."""
        return self._lines_for(self.text_width)

    def _lines_for(self, width: int) -> Sequence[Line]:
        if self._lines is None or width != self._width:
            self._lines = self._painter(width)
            self._width = width
        return self._lines

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return len(self.lines)

    def line(self, number: int) -> Line:
        """One line."""
        return self.lines[number]

    def do_down(self) -> None:
        """Move down a line."""
        self.scroll_lines(1)

    def do_up(self) -> None:
        """Move up a line."""
        self.scroll_lines(-1)

    def do_page_down(self) -> None:
        """Move down by a page."""
        self.scroll_lines(max(self.page - 1, 1))

    def do_page_up(self) -> None:
        """Move up by a page."""
        self.scroll_lines(1 - max(self.page, 2))

    def do_first(self) -> None:
        """Go to the first line."""
        self.scroll_lines(-self.line_count)

    def do_last(self) -> None:
        """Go to the last line."""
        self.scroll_lines(self.line_count)
