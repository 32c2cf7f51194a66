"""The load on a cluster: one reading of each server that this program launched, and the rates between two readings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.fleet.metrics import Metrics, read, tokens_per_second
from sparkrun_tui.fleet.model import FleetView, Health, Workload
from sparkrun_tui.remote.ports.services import HostServices

OLD = 60.0
"""Seconds after which an earlier reading is too old to compute a rate from."""

MOST_OF_A_HOST = 16
"""The most servers of one host that are asked."""

_CONCURRENT = 8
_READING = 10.0
"""Seconds for asking all of them."""


@dataclass(frozen=True, slots=True)
class Load:
    """The load of a server now; `kv_usage` is a fraction of its KV cache. None where unknown."""

    tokens_per_second: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None


async def readings(view: FleetView, services: HostServices) -> dict[str, Metrics]:
    """The metrics of this program's serving workloads by launch id; those that give none in time are left out.

    Never raises. A host may pretend to run hundreds of workloads, so at most `MOST_OF_A_HOST` of one head are asked.
    """
    reader = _Reader(services)
    await asyncio.gather(*(reader.read(item) for item in _asked(view)))
    return reader.found


def _asked(view: FleetView) -> Iterator[Workload]:
    """The workloads that have metrics to give, at most `MOST_OF_A_HOST` of one head host."""
    of_host: Counter[str] = Counter()
    for item in view.workloads:
        if item.ours and item.launch_id and item.health is Health.SERVING:
            of_host[item.head_host] += 1
            if of_host[item.head_host] <= MOST_OF_A_HOST:
                yield item


class _Reader:
    """Asks servers, several at a time, until a deadline."""

    def __init__(self, services: HostServices) -> None:
        self.found: dict[str, Metrics] = {}
        self._services = services
        self._turns = asyncio.Semaphore(_CONCURRENT)
        self._deadline = asyncio.get_running_loop().time() + _READING

    async def read(self, workload: Workload) -> None:
        """Ask one server. Never raises."""
        try:
            async with asyncio.timeout_at(self._deadline), self._turns:
                metrics = await read(workload, self._services)
        except TimeoutError:
            # Its figures stay unknown until the next reading.
            return
        if metrics is not None:
            self.found[workload.launch_id] = metrics


def loads(earlier: Mapping[str, Metrics], later: Mapping[str, Metrics]) -> dict[str, Load]:
    """The load by launch id; rates are between the earlier reading and the later one."""
    return {name: _load(earlier.get(name), now) for name, now in later.items()}


def _load(before: Metrics | None, now: Metrics) -> Load:
    if before is not None and now.taken - before.taken > OLD:
        before = None
    return Load(tokens_per_second(before, now), now.running, now.waiting, now.kv_usage)
