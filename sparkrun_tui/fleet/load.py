"""The load of what serves on a cluster: one reading of each of our servers, and the rates between two readings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sparkrun_tui.fleet.metrics import Metrics, read, tokens_per_second
from sparkrun_tui.fleet.model import FleetView, Health, Workload
from sparkrun_tui.remote.ports.services import HostServices

OLD = 60.0
"""Seconds after which an earlier reading says nothing about now: nobody asked for a while."""

MOST_OF_A_HOST = 16
"""Servers of one host that are asked."""

_AT_ONCE = 8
_READING = 10.0
"""Seconds for asking all of them."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server does now; `kv_usage` is a fraction of its KV cache. None where that is not known."""

    tokens_per_second: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None


async def readings(view: FleetView, services: HostServices) -> dict[str, Metrics]:
    """Ask our workloads that serve, by launch id; one that tells nothing, or not in time, is left out. Never raises.

    A host may pretend to run hundreds of them: of those of one head `MOST_OF_A_HOST` are asked.
    """
    reader = _Reader(services)
    await asyncio.gather(*(reader.read(item) for item in _asked(view)))
    return reader.found


def _asked(view: FleetView) -> Iterator[Workload]:
    """The workloads that can tell something; of one head not too many."""
    of_host: Counter[str] = Counter()
    for item in view.workloads:
        if item.ours and item.launch_id and item.health is Health.SERVING:
            of_host[item.head_host] += 1
            if of_host[item.head_host] <= MOST_OF_A_HOST:
                yield item


class _Reader:
    """Asks servers, some of them at once, until a deadline."""

    def __init__(self, services: HostServices) -> None:
        self.found: dict[str, Metrics] = {}
        self._services = services
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._deadline = asyncio.get_running_loop().time() + _READING

    async def read(self, workload: Workload) -> None:
        """Ask one. Never raises."""
        try:
            async with asyncio.timeout_at(self._deadline), self._turns:
                metrics = await read(workload, self._services)
        except TimeoutError:
            # Its figures stay unknown until the next look.
            return
        if metrics is not None:
            self.found[workload.launch_id] = metrics


def loads(earlier: Mapping[str, Metrics], later: Mapping[str, Metrics]) -> dict[str, Load]:
    """The load by launch id, its rate between the earlier reading and the later one."""
    return {name: _load(earlier.get(name), now) for name, now in later.items()}


def _load(before: Metrics | None, now: Metrics) -> Load:
    if before is not None and now.taken - before.taken > OLD:
        before = None
    return Load(tokens_per_second(before, now), now.running, now.waiting, now.kv_usage)
