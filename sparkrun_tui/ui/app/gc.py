"""When garbage is collected: rarely while logs stream, and soon after a screen was left."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.timer import Timer

    from sparkrun_tui.ui.app.shell import Timers

_REST = 1.0
"""Seconds after the last screen was left, when the user is not likely to press a key."""


class Collector:
    """A screen that was left is a cycle of references that holds megabytes, which only a full collection frees."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._timer: Timer | None = None

    def calm(self) -> None:
        """Collect again, which `entry` stopped for the start, and make full collections rare.

        With hundreds of thousands of log lines in memory, one makes the screen stall. The others take what came since
        the last one, and are frequent, so that each is short: new lines are looked at twice either way.
        """
        gc.freeze()
        gc.set_threshold(2_000, 1, 10_000)
        gc.enable()

    def screen_left(self) -> None:
        """Collect a moment after the last screen was left."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._timers.set_timer(_REST, gc.collect)
