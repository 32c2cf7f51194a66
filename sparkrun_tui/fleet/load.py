"""The load of what serves on a cluster: one reading of each of our servers, and the rates between two readings."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sparkrun_tui.fleet.metrics import Metrics, read, tokens_per_second
from sparkrun_tui.fleet.model import FleetView, Health
from sparkrun_tui.remote.ports.services import HostServices

OLD = 60.0
"""Seconds after which an earlier reading says nothing about now: nobody asked for a while."""


@dataclass(frozen=True, slots=True)
class Load:
    """What a server does now; `kv_usage` is a fraction of its KV cache. None where that is not known."""

    tokens_per_second: float | None = None
    running: float | None = None
    waiting: float | None = None
    kv_usage: float | None = None


async def readings(view: FleetView, services: HostServices) -> dict[str, Metrics]:
    """Ask all our workloads that serve at once, by launch id; one without an answer is left out. Never raises."""
    asked = [item for item in view.workloads if item.ours and item.launch_id and item.health is Health.SERVING]
    readings = await asyncio.gather(*(read(item, services) for item in asked))
    return {item.launch_id: found for item, found in zip(asked, readings, strict=True) if found is not None}


def loads(earlier: Mapping[str, Metrics], later: Mapping[str, Metrics]) -> dict[str, Load]:
    """The load by launch id, its rate between the earlier reading and the later one."""
    return {name: _load(earlier.get(name), now) for name, now in later.items()}


def _load(before: Metrics | None, now: Metrics) -> Load:
    if before is not None and now.taken - before.taken > OLD:
        before = None
    return Load(tokens_per_second(before, now), now.running, now.waiting, now.kv_usage)
