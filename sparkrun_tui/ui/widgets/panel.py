"""A bordered box whose title is always plain text, never markup."""

from __future__ import annotations

from textual import events
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.message import Message
from textual.widget import Widget

from sparkrun_tui.base.text import clean_line


class Panel(Vertical):
    """A box for the parts of a screen. With an `edge`, `right` or `bottom`, the mouse can drag that border."""

    class Dragged(Message):
        """The border was dragged to a place on the screen."""

        def __init__(self, panel: Panel, x: int, y: int) -> None:
            super().__init__()
            self.panel = panel
            self.x, self.y = x, y

        @property
        def control(self) -> Panel:
            """The box."""
            return self.panel

    def __init__(self, *children: Widget, title: str = "", id: str | None = None, classes: str | None = None) -> None:
        self._titling = False
        super().__init__(*children, id=id, classes=classes)
        self.title_text = title
        self.corner_text = ""
        self.edge = ""
        self._dragging = False
        self._apply()

    def entitle(self, title: str, corner: str = "") -> None:
        """Set the title, and the text at the lower right."""
        if (title, corner) != (self.title_text, self.corner_text):
            self.title_text, self.corner_text = title, corner
            self._apply()

    def refresh(self, *regions: Region, repaint: bool = True, layout: bool = False, recompose: bool = False) -> Panel:
        """Repaint; for a new title only the rows of the border, not the content."""
        width, height = self.outer_size
        if self._titling and not regions and width and height:
            left, top = self.content_offset  # regions count from where the content begins
            regions = (Region(-left, -top, width, 1), Region(-left, height - 1 - top, width, 1))
        super().refresh(*regions, repaint=repaint, layout=layout, recompose=recompose)
        return self

    def _apply(self) -> None:
        self._titling = True
        # Content, not text: a string would be read as markup.
        self.border_title = Content(clean_line(self.title_text))
        self.border_subtitle = Content(clean_line(self.corner_text))
        self._titling = False

    # Dragging the border.

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """Take hold of the border."""
        region = self.region
        on_right = self.edge == "right" and event.screen_x == region.right - 1
        on_bottom = self.edge == "bottom" and event.screen_y == region.bottom - 1
        if on_right or on_bottom:
            event.stop()
            self._dragging = True
            self.capture_mouse()

    def on_mouse_move(self, event: events.MouseMove) -> None:
        """Drag the border that is held."""
        if self._dragging:
            event.stop()
            self.post_message(self.Dragged(self, event.screen_x, event.screen_y))

    def on_mouse_up(self, event: events.MouseUp) -> None:
        """Let go of the border."""
        if self._dragging:
            event.stop()
            self._dragging = False
            self.release_mouse()
