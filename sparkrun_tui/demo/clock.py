"""The demo's time: a scaled clock, and a wake-up for everybody who waits for news."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of the demo: at `speed` 2 what takes a second takes half of one."""

    speed: float = 1.0

    async def sleep(self, seconds: float) -> None:
        """Wait that many seconds of the demo."""
        await asyncio.sleep(seconds / self.speed)

    def now(self) -> float:
        """Unix time, which is not sped up: stamps must agree with the clocks of everybody else."""
        return time.time()


class News:
    """Wakes all who wait whenever something has changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def changed(self) -> None:
        """Something has changed."""
        waited, self._event = self._event, asyncio.Event()
        waited.set()

    def next(self) -> asyncio.Event:
        """Set at the next change; take it before looking, so that no change is missed."""
        return self._event
