"""A scrolled pane of ready-made lines: text that is looked at, not edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from textual import events
from textual.geometry import Size

from sparkrun_tui.ui.actions import Scope, bindings
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.widgets.ink import Line
from sparkrun_tui.ui.widgets.line_pane import LinePane

Painter = Callable[[int], Sequence[Line]]
"""Makes the lines for a width in cells."""


class TextPane(LinePane, Actor, can_focus=True):
    """Shows what its painter makes for the present width."""

    BINDINGS = bindings(Scope.LIST)

    def __init__(self, painter: Painter | None = None, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._painter: Painter = painter or (lambda width: ())
        self._lines: Sequence[Line] | None = None

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """With `height: auto`, as many rows as lines at that width."""
        return len(self._painter(max(width - 1, 1)))

    def show(self, painter: Painter, keep_place: bool = False) -> None:
        """Show other content; from its beginning unless `keep_place`."""
        self._painter = painter
        self._lines = None
        if not keep_place:
            self.top = 0
        self.refresh(layout=self.styles.is_auto_height)

    def repaint(self) -> None:
        """The painter would give other lines now."""
        self._lines = None
        self.refresh()

    @property
    def lines(self) -> Sequence[Line]:
        """The lines for the present width."""
        if self._lines is None:
            self._lines = self._painter(self.text_width)
        return self._lines

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return len(self.lines)

    def line(self, number: int) -> Line:
        """One line."""
        return self.lines[number]

    def on_resize(self, event: events.Resize) -> None:
        """Another width may break lines elsewhere."""
        self._lines = None

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
