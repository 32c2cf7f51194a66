"""When garbage is collected: rarely while logs stream, and once the screen rests after one was left."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Protocol

from textual.timer import Timer

_REST = 1.0
"""Seconds after the last screen was left: nobody waits for an answer then."""


class Clock(Protocol):
    """Whatever can call back later: the app."""

    def set_timer(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, after `delay` seconds."""


class Collector:
    """A screen that was left is a ring of references, megabytes of it, which only a full collection finds."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._timer: Timer | None = None

    def calm(self) -> None:
        """Keep full collections rare: with hundreds of thousands of log lines held, one stops the screen."""
        gc.freeze()
        gc.set_threshold(4_000, 5, 2_000)

    def screen_left(self) -> None:
        """Collect once no screen has been left for a moment."""
        if self._timer is not None:
            self._timer.stop()
        self._timer = self._clock.set_timer(_REST, gc.collect)
