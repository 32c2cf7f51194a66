"""One line of tabs: names of parts, of which one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.message import Message

from sparkrun_tui.ui.ink import Line, Span, shorten
from sparkrun_tui.ui.widgets.line_pane import LinePane


class TabLine(LinePane):
    """Shows `(name, label)` pairs; a click chooses one."""

    ALLOW_SELECT = False
    SCROLLS = False

    class Clicked(Message):
        """A tab was clicked."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tabs: Sequence[tuple[str, str]] = ()
        self._active = ""

    @property
    def line_count(self) -> int:
        """Always one."""
        return 1

    def show(self, tabs: Sequence[tuple[str, str]], active: str) -> None:
        """Show these tabs, with `active` marked."""
        if (tuple(tabs), active) != (tuple(self._tabs), self._active):
            self._tabs, self._active = tuple(tabs), active
            self.refresh()

    def _cells(self) -> list[tuple[str, str]]:
        """Each tab's name with what is drawn for it; where room is short, without blanks, then with shorter words."""
        padded = [(name, f"[{label}]" if name == self._active else f" {label} ") for name, label in self._tabs]
        room = self.text_width - max(len(self._tabs) - 1, 0)
        if sum(cell_len(text) for _, text in padded) <= room:
            return padded
        bare = [(name, text.strip()) for name, text in padded]
        while (over := sum(cell_len(text) for _, text in bare) - room) > 0:
            widths = [0 if name == self._active else cell_len(text) for name, text in bare]
            longest = widths.index(max(widths))
            if widths[longest] <= 4:
                break
            name, text = bare[longest]
            bare[longest] = (name, shorten(text, max(widths[longest] - over, widths[longest] - 1, 4)))
        return bare

    def line(self, number: int) -> Line:
        """The tabs; the active one stands in brackets, so that it shows without colour."""
        spans: list[Span] = []
        for name, text in self._cells():
            spans += [(text, "bold accent" if name == self._active else "dim"), (" ", "")]
        return spans

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        start = 0
        for name, text in self._cells():
            end = start + cell_len(text) + 1
            if start <= event.x < end:
                self.post_message(self.Clicked(name))
                return
            start = end
