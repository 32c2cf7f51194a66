"""The demo's time: a scaled clock, and a wake-up for tasks that wait for a change."""

from __future__ import annotations

import asyncio
import time

from sparkrun_tui.base.records import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of the demo: at `speed` 2, one second of the demo takes half a second."""

    speed: float = 1.0

    async def sleep(self, seconds: float) -> None:
        """Wait for `seconds` of the demo's time."""
        await asyncio.sleep(seconds / self.speed)

    def now(self) -> float:
        """Unix time, which is not scaled: time stamps must agree with other clocks."""
        return time.time()


class News:
    """Wakes all waiting tasks when something has changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def changed(self) -> None:
        """Wake all waiting tasks."""
        waited, self._event = self._event, asyncio.Event()
        waited.set()

    def next(self) -> asyncio.Event:
        """The event of the next change; get it before reading the state, so that no change is missed."""
        return self._event
