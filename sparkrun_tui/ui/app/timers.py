"""What can call back later, as a protocol: the app, or a clock that a test turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from textual.timer import Timer


class Timers(Protocol):
    """Whatever can call back later: the app."""

    def set_interval(self, interval: float, callback: Callable[[], None]) -> Timer:
        """Call `callback` every `interval` seconds."""

    def set_timer(self, delay: float, callback: Callable[[], object]) -> Timer:
        """Call `callback` once, after `delay` seconds."""
