"""How fast something grows: the rate over the last seconds, from readings as they come."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from sparkrun_tui.remote.ports.models import Transfer

WINDOW = 5.0


class Meter:
    """Feed it totals; it knows the rate over the last `WINDOW` seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._readings: deque[tuple[float, int]] = deque()

    def rate(self, done: int) -> float | None:
        """Take a reading; the rate per second, None until there is something to compare with."""
        now = self._clock()
        self._readings.append((now, done))
        while now - self._readings[0][0] > WINDOW and len(self._readings) > 2:
            self._readings.popleft()
        since, before = self._readings[0]
        return (done - before) / (now - since) if now > since and done >= before else None

    def transfer(self, done: int, total: int | None, detail: str = "") -> Transfer:
        """A reading as progress."""
        return Transfer(done, total, self.rate(done), detail)
