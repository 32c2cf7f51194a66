"""The requests of simulated users: they come in waves, wait for their turn, are read, and are answered."""

from __future__ import annotations

import math
from random import Random

from sparkrun_tui.base.records import dataclass

TOKEN_SECONDS = 0.045
"""Seconds for a token of one answer while it is the only one."""

STEP = 0.5
"""Seconds of one step of the simulation."""

MOST_RUNNING = 6
"""Requests that run at the same time; further ones wait."""

_READ_PER_SECOND = 2_600
_SLOWER = 0.06
"""The share of its speed that an answer loses by each other one."""
_WAVE = 140.0
"""Seconds from one busy time to the next."""
_MOST_WAITING = 5


@dataclass(slots=True)
class _Request:
    """Tokens that are still to be read and to be written, and those in the KV cache."""

    unread: float
    unwritten: float
    held: float = 0.0


class Visitors:
    """The users of one engine. Somebody is always there, so that a load is visible."""

    def __init__(self, seed: int = 1) -> None:
        self.prompted = 0.0
        self.generated = 0.0
        self._chance = Random(seed)
        self._requests: list[_Request] = []
        self._time = 0.0

    @property
    def running(self) -> int:
        """How many requests run."""
        return min(len(self._requests), MOST_RUNNING)

    @property
    def waiting(self) -> int:
        """How many wait for their turn."""
        return len(self._requests) - self.running

    @property
    def held(self) -> int:
        """Tokens in the KV cache."""
        return int(sum(request.held for request in self._requests))

    @property
    def busy(self) -> float:
        """How busy they keep the GPU, from 0 to 1."""
        if not self._requests:
            return 0.0
        return min(0.55 + 0.09 * self.running, 0.97)

    def step(self, seconds: float) -> None:
        """Let so much time pass."""
        self._time += seconds
        running = self._requests[:MOST_RUNNING]
        reading = next((request for request in running if request.unread > 0), None)
        if reading is not None:
            self._read(reading, seconds)
        writing = [request for request in running if request.unread <= 0]
        for request in writing:
            self._write(request, seconds, len(writing))
        self._requests = [request for request in self._requests if request.unwritten > 0]
        self._arrive(seconds)

    def _arrive(self, seconds: float) -> None:
        wave = 0.5 - 0.5 * math.cos(2 * math.pi * self._time / _WAVE)
        a_second = 0.05 + 0.28 * wave
        comes = self._chance.random() < a_second * seconds
        if not self._requests or (comes and self.waiting < _MOST_WAITING):
            self._requests.append(_Request(self._chance.randint(200, 9_000), self._chance.randint(90, 700)))

    def _read(self, request: _Request, seconds: float) -> None:
        tokens = min(request.unread, _READ_PER_SECOND * seconds)
        request.unread -= tokens
        request.held += tokens
        self.prompted += tokens

    def _write(self, request: _Request, seconds: float, together: int) -> None:
        speed = max(1 - _SLOWER * (together - 1), 0.4) / TOKEN_SECONDS
        tokens = min(request.unwritten, speed * seconds)
        request.unwritten -= tokens
        request.held += tokens
        self.generated += tokens
