"""One line of tabs, of which one is active."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

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
        self._shorter: Mapping[str, str] = {}

    @property
    def line_count(self) -> int:
        """One line."""
        return 1

    def show(
        self, tabs: Sequence[tuple[str, str]], active: str, shorter: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """Show these tabs, with the one named `active` marked.

        `shorter` has words for where room is short, the first to use first.
        """
        if (tuple(tabs), active, shorter) != (tuple(self._tabs), self._active, self._shorter):
            self._tabs, self._active, self._shorter = tuple(tabs), active, shorter
            self.refresh()

    def _cells(self) -> list[tuple[str, str]]:
        """Each tab's name and text.

        Where room is short, the blanks go first, then shorter words are used, then the longest ones are cut.
        """
        padded: list[tuple[str, str]] = []
        bare: list[tuple[str, str]] = []
        for name, label in self._tabs:
            marked = f"[{label}]" if name == self._active else f" {label} "
            padded.append((name, marked))
            bare.append((name, marked.strip()))
        room = self.text_width - max(len(self._tabs) - 1, 0)
        if _width(padded) <= room:
            return padded
        self._use_shorter(bare, room)
        while _width(bare) > room:
            longest = self._longest_inactive(bare)
            if longest is None:
                break
            name, text = bare[longest]
            bare[longest] = (name, shorten(text, cell_len(text) - 1))
        return bare

    def _use_shorter(self, cells: list[tuple[str, str]], room: int) -> None:
        """Give inactive tabs their shorter words, one tab after another, until all fit."""
        places = {name: place for place, (name, _) in enumerate(cells)}
        for name, text in self._shorter.items():
            if _width(cells) <= room:
                return
            if name != self._active and name in places:
                cells[places[name]] = (name, text)

    def _longest_inactive(self, cells: Sequence[tuple[str, str]]) -> int | None:
        """The place of the longest inactive tab that can still be shortened; None when there is none."""
        longest, place = 4, None
        for number, (name, text) in enumerate(cells):
            if name != self._active and cell_len(text) > longest:
                longest, place = cell_len(text), number
        return place

    def line(self, number: int) -> Line:
        """The tabs; the active one is in brackets, so that it can be seen without colour."""
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


def _width(cells: Sequence[tuple[str, str]]) -> int:
    return sum(cell_len(text) for _, text in cells)
