"""One line of tabs: names of parts, of which one is shown."""

from __future__ import annotations

from collections.abc import Sequence

from textual import events
from textual.message import Message

from sparkrun_tui.base.text import cell_width
from sparkrun_tui.ui.widgets.ink import Line, Span
from sparkrun_tui.ui.widgets.line_pane import LinePane


class TabLine(LinePane):
    """Shows `(name, label)` pairs; a click chooses one."""

    ALLOW_SELECT = False

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

    def line(self, number: int) -> Line:
        """The tabs; the active one stands in brackets, so that it shows without colour."""
        spans: list[Span] = []
        for name, label in self._tabs:
            active = name == self._active
            spans.append((f"[{label}]" if active else f" {label} ", "bold accent" if active else "dim"))
            spans.append((" ", ""))
        return spans

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        start = 0
        for name, label in self._tabs:
            end = start + cell_width(label) + 3
            if start <= event.x < end:
                self.post_message(self.Clicked(name))
                return
            start = end
