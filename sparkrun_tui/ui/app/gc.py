"""When garbage is collected: rarely while logs stream, and once the screen rests after one was left."""

from __future__ import annotations

import gc

from textual.timer import Timer

from sparkrun_tui.ui.app.shell import Timers

_REST = 1.0
"""Seconds after the last screen was left: nobody waits for an answer then."""


class Collector:
    """A screen that was left is a ring of references, megabytes of it, which only a full collection finds."""

    def __init__(self, timers: Timers) -> None:
        self._timers = timers
        self._timer: Timer | None = None

    def calm(self) -> None:
        """Keep full collections rare: with hundreds of thousands of log lines held, one stops the screen."""
        gc.freeze()
        gc.set_threshold(4_000, 5, 2_000)

    def screen_left(self) -> None:
        """Collect once no screen has been left for a moment."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._timers.set_timer(_REST, gc.collect)
