"""Measures the rate of a growing total over the last seconds."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sparkrun_tui.remote.ports.models import Transfer

WINDOW = 5.0


class Meter:
    """Takes totals and works out the rate over the last `WINDOW` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readings: deque[tuple[float, int]] = deque()

    def rate(self, done: int) -> float | None:
        """The rate per second after a new reading; None until two readings can be compared."""
        now = self._clock()
        self._readings.append((now, done))
        while now - self._readings[0][0] > WINDOW and len(self._readings) > 2:
            self._readings.popleft()
        since, before = self._readings[0]
        if now <= since or done < before:
            return None
        return (done - before) / (now - since)

    def transfer(self, done: int, total: int | None, detail: str = "") -> Transfer:
        """A reading as progress."""
        return Transfer(done, total, self.rate(done), detail)
