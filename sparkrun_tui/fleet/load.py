"""The load on a cluster: one reading of each server that this program launched, and the rates between two readings."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.fleet.metrics import Metrics, prompt_tokens_per_second, read, restarted, tokens_per_second
from sparkrun_tui.fleet.model import FleetView, Health, Workload
from sparkrun_tui.remote.ports.services import HostServices

OLD = 90.0
"""Seconds after which an earlier reading is too old to compute a rate from."""

SOON = 2.0
"""Seconds that two readings must be apart for a rate: engines count the tokens of a step when it is done."""

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
    prompt_tokens_per_second: float | None = None


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


@dataclass(frozen=True, slots=True)
class Measured:
    """The load of a server, and the reading from which its next rates count."""

    load: Load
    base: Metrics


def measured(earlier: Mapping[str, Measured], later: Mapping[str, Metrics]) -> dict[str, Measured]:
    """The loads by launch id; rates are between the earlier reading of a server and its later one."""
    return {name: _measured(earlier.get(name), now) for name, now in later.items()}


def _measured(earlier: Measured | None, now: Metrics) -> Measured:
    # The clock of this machine may have been set back.
    if earlier is None or not 0 <= now.taken - earlier.base.taken <= OLD:
        return Measured(_load(None, now), now)
    before = earlier.base
    if now.taken - before.taken < SOON and not restarted(before, now):
        # The rates of a moment ago are better than those of this moment.
        load = replace(
            _load(None, now),
            tokens_per_second=earlier.load.tokens_per_second,
            prompt_tokens_per_second=earlier.load.prompt_tokens_per_second,
        )
        return Measured(load, before)
    return Measured(_load(before, now), now)


def _load(before: Metrics | None, now: Metrics) -> Load:
    return Load(
        tokens_per_second=tokens_per_second(before, now),
        running=now.running,
        waiting=now.waiting,
        kv_usage=now.kv_usage,
        prompt_tokens_per_second=prompt_tokens_per_second(before, now),
    )
