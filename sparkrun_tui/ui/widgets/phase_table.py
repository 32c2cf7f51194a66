"""The table of a launch: hosts by phases, with what each host is doing now."""

from __future__ import annotations

import time
from collections.abc import Sequence

from textual.geometry import Size

from sparkrun_tui.launch.record.guard_words import nearest
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.ui.ink import Line
from sparkrun_tui.ui.paint.launch.notices import pressing
from sparkrun_tui.ui.paint.launch.phases import LastTime, table
from sparkrun_tui.ui.widgets.line_pane import LinePane


class PhaseTable(LinePane):
    """Shows a launch's state; it is one line higher when there is a warning."""

    SCROLLS = False

    def __init__(self) -> None:
        super().__init__()
        self._state = LaunchState()
        self._lines: Sequence[Line] | None = None
        self._lines_width = 0
        """The cells that the lines were laid out for."""
        self.activity = True
        self._last: LastTime | None = None
        self._now: float | None = None

    def show(self, state: LaunchState, activity: bool, last: LastTime | None = None, now: float | None = None) -> None:
        """Show this state; `activity` gives each host a second line, `last` adds a line of earlier times.

        `now` is the time of a launch that is replayed.
        """
        self._now = now
        before = self.line_count
        self._state, self.activity, self._last = state, activity, last
        layout = self.line_count != before
        self._lines = None
        self.refresh(layout=layout)

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """A header, one or two lines per host, and one line each for the last time, the guard and the last warning."""
        more = (self._last is not None) + (pressing(self._state.notices) is not None)
        more += nearest(self._state) is not None
        return 1 + len(self._state.hosts) * (2 if self.activity else 1) + more

    @property
    def line_count(self) -> int:
        """How many lines there are."""
        return self.get_content_height(self.size, self.size, self.size.width)

    def line(self, number: int) -> Line:
        """One line of the table."""
        if self._lines is None or self._lines_width != self.text_width:
            self._lines_width = self.text_width
            self._lines = table(self._state, self._now or time.time(), self.text_width, self.activity, self._last)
        return self._lines[number]
