"""Stops a workload on all its hosts, and reports only what was confirmed: a lost link never counts as "stopped"."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from enum import StrEnum
from typing import Protocol

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.fleet.choose import unseen_ranks
from sparkrun_tui.fleet.model import FleetView, Health, Workload, WorkloadRank
from sparkrun_tui.remote.guard.guards import Guard
from sparkrun_tui.remote.guard.record import GuardRecord
from sparkrun_tui.remote.lease import release
from sparkrun_tui.remote.ports.docker import Docker
from sparkrun_tui.remote.ports.services import HostServices

GRACE = 20.0
"""Seconds between SIGTERM and SIGKILL for an engine that serves: vLLM's workers need 12."""

_SLACK = 30.0
_GUARD = 15.0
"""Seconds that the record of a memory guard may take to be read and removed."""


class StopRecord(Protocol):
    """What is remembered of a workload while it is stopped."""

    def guard(self, host: str, record: GuardRecord) -> None:
        """Keep the record of a host's memory guard before that is removed. Raises `OSError`."""

    def stopped(self) -> None:
        """Keep that every rank was seen to be gone."""


STOP_AGAIN = "a host could not be asked: part of the workload may still run there; stop it again once the host is back"
"""The message for a stop whose outcome is unclear."""


class Outcome(StrEnum):
    """What became of one rank."""

    STOPPED = "stopped"
    UNKNOWN = "unknown"
    """Its host could not be asked: it may still run."""
    FAILED = "failed"
    """The host answered, and it still runs."""


@dataclass(frozen=True, slots=True)
class RankStopped:
    """One rank after a stop; `detail` says why it did not stop."""

    host: str
    rank: int
    outcome: Outcome
    detail: str = ""
    note: str = ""
    """What is left on its host beside the container; empty when nothing is."""


@dataclass(frozen=True, slots=True)
class StopReport:
    """The outcome of a stop, rank by rank."""

    ranks: tuple[RankStopped, ...]
    unseen: tuple[str, ...] = ()
    """Hosts that did not answer the survey and may hold further ranks of the workload."""

    @property
    def complete(self) -> bool:
        """Whether every rank was seen to be gone."""
        return not self.unseen and all(rank.outcome is Outcome.STOPPED for rank in self.ranks)

    @property
    def unclear(self) -> bool:
        """Whether part of the workload may still run on a host that did not answer."""
        return bool(self.unseen) or any(rank.outcome is Outcome.UNKNOWN for rank in self.ranks)

    @property
    def text(self) -> str:
        """One line for the user."""
        open_ = [rank for rank in self.ranks if rank.outcome is not Outcome.STOPPED]
        summary = "; ".join(f"{rank.host}: {rank.outcome}, {rank.detail}" for rank in open_) or "stopped"
        for rank in self.ranks:
            if rank.note:
                summary += f"; {rank.host}: {rank.note}"
        if not self.unseen:
            return summary
        # A rank on a host that did not answer is not reported as stopped.
        return f"{summary} on {', '.join(rank.host for rank in self.ranks)}; not known on {', '.join(self.unseen)}"


async def stop(
    workload: Workload,
    services: HostServices,
    view: FleetView,
    *,
    grace: float | None = None,
    remove: bool | None = None,
    record: StopRecord | None = None,
) -> StopReport:
    """Stop all ranks at the same time, check that they are gone, and remove the containers.

    `remove` None removes only containers that this program launched. `view` is the survey in which the workload was
    found: hosts that were silent in it may hold more of its ranks. `grace` is seconds between SIGTERM and SIGKILL;
    None means 20 for a workload that serves and 0 for one that is starting, which ignores SIGTERM and has nothing to
    lose. Stopping a stopped workload does nothing.

    The memory guards of a launch of this program go with its containers; `record` gets theirs before.
    """
    if grace is None:
        grace = 0.0 if workload.health is Health.STARTING else GRACE
    removing = workload.ours if remove is None else remove
    guarded = workload.launch_id if workload.ours and removing else ""

    async def one(rank: WorkloadRank) -> RankStopped:
        stopped = await _stop(rank, services, grace, removing)
        if stopped.outcome is Outcome.STOPPED and identifiers.launch_id(guarded) is not None:
            await end_lease(rank.host, services, guarded)
        if stopped.outcome is not Outcome.STOPPED or identifiers.launch_id(guarded) is None:
            return stopped
        return replace(stopped, note=await _end_guard(rank.host, services, guarded, record))

    ranks = await asyncio.gather(*(one(rank) for rank in workload.ranks))
    report = StopReport(tuple(ranks), unseen_ranks(view, workload))
    if report.complete and record is not None:
        await asyncio.to_thread(record.stopped)
    return report


async def end_lease(host: str, services: HostServices, launch_id: str) -> bool:
    """Remove the lease of a launch from a host, if that launch holds it; whether the host could be asked."""
    try:
        transport = services.connector(host)
        await transport.connect()
        return await release(transport, launch_id)
    except HostError:
        # It expires by itself.
        return False


async def _end_guard(host: str, services: HostServices, launch_id: str, kept: StopRecord | None) -> str:
    """Remove the memory guard of a launch on a host; why its record may be left there, empty when it is not."""
    guard = Guard(services.connector(host), launch_id)
    try:
        async with asyncio.timeout(_GUARD):
            record = await guard.read()
            if record is not None and kept is not None:
                kept.guard(host, record)
            await guard.end()
    except HostError as error:
        return f"the record of its memory guard may be left there, {error.what}"
    except TimeoutError:
        return "the record of its memory guard may be left there, no answer in time"
    except OSError as error:
        return f"the record of its memory guard is left there, it cannot be kept here: {error.strerror or error}"
    return ""


async def _stop(rank: WorkloadRank, services: HostServices, grace: float, remove: bool) -> RankStopped:
    try:
        async with asyncio.timeout(grace + _SLACK):
            transport = services.connector(rank.host)
            await transport.connect()
            detail = await _end(services.docker(transport), rank.container_id, grace, remove)
    except HostError as error:
        return RankStopped(rank.host, rank.rank, Outcome.UNKNOWN, error.what)
    except TimeoutError:
        return RankStopped(rank.host, rank.rank, Outcome.UNKNOWN, "no answer in time")
    return RankStopped(rank.host, rank.rank, Outcome.FAILED if detail else Outcome.STOPPED, detail)


async def _end(docker: Docker, container: str, grace: float, remove: bool) -> str:
    """End a container; the reason why it still runs, empty when it does not."""
    if grace > 0:
        await docker.stop(container, grace)
    else:
        await docker.kill(container)
    found = await docker.inspect(container)
    if found is not None and found.running:
        # One that Docker starts again and again has no process to kill at this moment; a stop ends that, and waits.
        await docker.stop(container, 0.0)
        found = await docker.inspect(container)
    if found is not None and found.running:
        return "it still runs after SIGKILL"
    if remove:
        await docker.remove(container, force=True)
    return ""
