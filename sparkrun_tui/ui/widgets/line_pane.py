"""The base of every pane that paints lines: it renders only visible lines, and draws its own scroll thumb."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

from sparkrun_tui.ui.ink import STYLES, Line, text_of

_PREFIX = "ink--"

INKS = {f"{_PREFIX}{name}" for name in STYLES}
"""The component classes of the app. The app has them, not each pane: then Textual would style hundreds of parts again
whenever a class of a pane changes."""


class LinePane(Widget):
    """A scrolled list of lines. Subclasses give `line_count` and `line`, and keep the cursor if they have one.

    There are no native scrollbars: they cost a second repaint and a layout for every change of length.
    """

    ALLOW_SELECT = True
    SCROLLS = True
    """Whether there may be more lines than rows."""

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self.top = 0
        self._inks: dict[str, Style] = {}
        self._base = Style()
        self._text_width = 0
        self._count = 0

    # For subclasses to override.

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return 0

    def line(self, number: int) -> Line:
        """The line `number`, from 0."""
        raise IndexError(number)

    def line_style(self, number: int) -> str:
        """The name of a style for the whole line, or empty."""
        return ""

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """With `height: auto`, as many rows as lines."""
        return self.line_count

    # Painting.

    @property
    def page(self) -> int:
        """How many lines are visible."""
        return max(self.size.height, 1)

    @property
    def text_width(self) -> int:
        """The cells for a line's text; a pane that scrolls keeps the last column for the thumb."""
        return self._text_width or max(self.size.width - self.SCROLLS, 1)

    def ink(self, names: str) -> Style:
        """The style with these names, on top of the pane's own."""
        found = self._inks.get(names)
        if found is None:
            found = self._base
            for name in names.split():
                found += self.app.get_component_styles(_PREFIX + name).partial_rich_style
            self._inks[names] = found
        return found

    def notify_style_update(self) -> None:
        """The theme or a class changed: forget computed styles."""
        super().notify_style_update()
        self._inks.clear()

    def render_lines(self, crop: Region) -> list[Strip]:
        """Render the visible part, looking up the pane's own style once instead of once a line."""
        base = self.rich_style
        if base != self._base:
            self._base = base
            self._inks.clear()
        self._clamp()
        # Looking up the size goes through the whole layout: once a frame is enough.
        self._text_width, self._count = self.text_width, self.line_count
        try:
            return super().render_lines(crop)
        finally:
            self._text_width = 0

    def render_line(self, y: int) -> Strip:
        """Render one visible line."""
        number = self.top + y
        width = self._text_width + self.SCROLLS
        if number >= self._count:
            return Strip([Segment(" " * width, self._base)], width)
        over = self.line_style(number)
        spans = self.line(number)
        segments = [Segment(text, self.ink(f"{names} {over}" if over else names)) for text, names in spans if text]
        strip = Strip(segments).adjust_cell_length(self._text_width, self.ink(over))
        if self.ALLOW_SELECT:
            selection = self.text_selection
            if selection is not None:
                strip = self._selected(strip, selection, number)
            strip = strip.apply_offsets(0, number)
        return Strip.join([strip, Strip([self._thumb(y)], 1)]) if self.SCROLLS else strip

    def _selected(self, strip: Strip, selection: Selection, number: int) -> Strip:
        span = selection.get_span(number)
        if span is None:
            return strip
        start, end = span
        end = strip.cell_length if end == -1 else min(end, strip.cell_length)
        if start >= end:
            return strip
        style = self.screen.get_component_rich_style("screen--selection")
        before, middle, after = strip.crop(0, start), strip.crop(start, end), strip.crop(end)
        return Strip.join([before, middle.apply_style(style), after])

    def _thumb(self, y: int) -> Segment:
        count, page = self._count, self.page
        if count <= page:
            return Segment(" ", self._base)
        size = max(page * page // count, 1)
        start = round((page - size) * self.top / max(count - page, 1))
        return Segment("▐" if start <= y < start + size else " ", self.ink("thumb"))

    # Scrolling.

    def _clamp(self) -> None:
        self.top = max(min(self.top, self.line_count - self.page), 0)

    def scroll_lines(self, lines: int) -> None:
        """Move the view by `lines` (down when positive)."""
        before = self.top
        self.top += lines
        self._clamp()
        if self.top != before:
            self.scrolled()
            self.refresh()

    def scrolled(self) -> None:
        """The user moved the view; for subclasses."""

    def reveal(self, number: int) -> None:
        """Move the view as little as needed to show the line `number`."""
        if number < self.top:
            self.top = number
        elif number >= self.top + self.page:
            self.top = number - self.page + 1
        self._clamp()

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """Scroll by the wheel."""
        event.stop()
        self.scroll_lines(3)

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """Scroll by the wheel."""
        event.stop()
        self.scroll_lines(-3)

    # Selecting with the mouse.

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The text under a selection made with the mouse."""
        first = selection.start.y if selection.start else 0
        last = selection.end.y if selection.end else self.line_count - 1
        lines = [text_of(self.line(number)).rstrip() for number in range(first, min(last, self.line_count - 1) + 1)]
        moved = Selection(
            selection.start and selection.start - (0, first),
            selection.end and selection.end - (0, first),
        )
        return moved.extract("\n".join(lines)), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        """The selection changed: paint again."""
        self.refresh()
