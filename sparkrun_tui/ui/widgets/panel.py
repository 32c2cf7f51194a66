"""A bordered box whose title is always plain text, never markup."""

from __future__ import annotations

from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region
from textual.widget import Widget

from sparkrun_tui.base.text import clean_line


class Panel(Vertical):
    """A box for the parts of a screen."""

    def __init__(self, *children: Widget, title: str = "", id: str | None = None, classes: str | None = None) -> None:
        self._titling = False
        super().__init__(*children, id=id, classes=classes)
        self.title_text = title
        self.corner_text = ""
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
