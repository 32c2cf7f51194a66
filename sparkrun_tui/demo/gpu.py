"""The GPU of a simulated Spark: its load, clock, power and temperature follow what its containers do."""

from __future__ import annotations

import math

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo.host import IDLE_HEAT, Host

_WARMING = 45.0
"""Seconds in which its temperature comes most of the way to what its power leads to."""
_SLOW, _FAST = 208.0, 2_418.0
"""MHz when it rests and when it works."""


@dataclass(frozen=True, slots=True)
class GpuNow:
    """What nvidia-smi prints: percent, MHz, watts and degrees Celsius."""

    load: float
    clock: float
    power: float
    heat: float

    @classmethod
    def of(cls, host: Host) -> GpuNow:
        """The GPU of a host now."""
        now = host.clock.now()
        load = _load(host, now)
        power = 5.2 + 0.72 * load
        return cls(load, _clock(load, now), power, _heat(host, power, now))


def _load(host: Host, now: float) -> float:
    """None when idle, what its visitors want when all engines serve, much while one loads."""
    busy = [container for container in host.containers.values() if container.running and container.memory]
    if not busy:
        return 0.0
    for container in busy:
        if not container.serving and not container.busy:
            return 83.0
    most = max(container.busy for container in busy)
    if not most:
        return 0.0
    return min(max(100 * most + 4 * _wobble(now, host.number), 1.0), 98.0)


def _clock(load: float, now: float) -> float:
    if load < 1:
        return _SLOW
    return _FAST - 0.6 * load + 25 * _wobble(now, 3)


def _heat(host: Host, power: float, now: float) -> float:
    goal = IDLE_HEAT + 0.42 * (power - 5.2)
    share = 1 - math.exp(-max(now - host.heat_read, 0.0) / _WARMING)
    if host.heat_read:
        host.heat += (goal - host.heat) * share
    host.heat_read = now
    return host.heat


def _wobble(now: float, seed: int) -> float:
    """A figure from -1 to 1 that seems to have no pattern, the same at the same time."""
    return 0.6 * math.sin(now / 3.1 + seed) + 0.4 * math.sin(now / 1.3 + 2 * seed)
