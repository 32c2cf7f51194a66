"""Cleans up a launch on its hosts: ends containers, saves their logs, removes them, and checks that none is left."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.guarding import end_guard
from sparkrun_tui.launch.run.host_script import end_jobs
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import Losses, drop, regain
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ports.docker import Docker

WAIT_FOR_LINK = 15.0
"""Seconds to wait for an unreachable host; after that, its containers are reported as left behind."""

DRAIN = 10.0
_FORCED_WAIT = 2.0
_CALL = 10.0
_NOT_CONFIRMED = "not confirmed on"


@dataclass(frozen=True, slots=True)
class Leftover:
    """A host on which containers of a launch may be left, and the reason."""

    host: str
    why: str


async def clear(given: Given, running: Running, report: Reporter, *, grace: float) -> tuple[Leftover, ...]:
    """End every container of the launch, save its log, and remove it; hosts where some may be left are returned.

    `grace` is seconds between SIGTERM and SIGKILL; 0 kills immediately. A second call has nothing left to do.
    Containers without this launch's label are not touched, except those that its delegated scripts made.
    """
    left: list[Leftover] = []
    if given.plan.serve.delegated:
        # The first process of the scripts' containers sleeps and ignores signals: SIGTERM does not reach the engine.
        grace = 0.0

    async def one(host: str) -> None:
        try:
            await _clear_host(given, running, report, host, grace)
        except HostError as error:
            left.append(Leftover(host, error.what))

    await asyncio.gather(*(one(host) for host in given.hosts if host in running.touched))
    await running.leases.release()
    await running.followers.close()
    for item in left:
        remedy = f"once it is back: {shell.words(['sparkrun-tui', 'stop', given.plan.launch_id])}"
        report.notice("warning", f"containers may be left on {item.host} ({item.why}); {remedy}", item.host)
    return tuple(left)


def leftovers_text(left: Sequence[Leftover]) -> str:
    """One line about hosts where containers may be left; empty when there are none."""
    if not left:
        return ""
    return f"{_NOT_CONFIRMED} {', '.join(item.host for item in left)}"


def unconfirmed(detail: str) -> str:
    """The detail of a launch that has ended, if it says that containers may be left; else empty."""
    return detail if detail.startswith(_NOT_CONFIRMED) else ""


async def _clear_host(given: Given, running: Running, report: Reporter, host: str, grace: float) -> None:
    docker = given.docker(host)
    found = await _reach(given, running, report, host)
    hosts_with_jobs = {job_host for job_host, _ in running.jobs}
    if host in hosts_with_jobs:
        await end_jobs(given, running, host)
        found = await _reach(given, running, report, host)
    await asyncio.gather(*(_end(running, docker, item.id, grace) for item in found))
    for item in found:
        if await _save_log(given, running, report, host, item):
            await docker.remove(item.id, force=True)
        else:
            report.notice("warning", f"{item.name} was stopped but not removed: its log could not be saved", host)
    known = {item.id for item in found}
    still_running = []
    for item in await _ours(given, docker):
        if item.running:
            still_running.append(item.name)
        elif item.id not in known:
            # The daemon created it late: it was asked to before the link was lost.
            await docker.remove(item.id, force=True)
    if still_running:
        raise HostError(f"still running: {', '.join(sorted(still_running))}", host=host)
    await end_guard(given, running, report, host)


async def _reach(given: Given, running: Running, report: Reporter, host: str) -> Sequence[ContainerInfo]:
    """The launch's containers on a host; waits for a while when the host cannot be asked. Raises `HostError`."""
    patience = _FORCED_WAIT if running.force.is_set() else WAIT_FOR_LINK
    losses = Losses(patience)
    while True:
        try:
            async with asyncio.timeout(_CALL):
                return await _ours(given, given.docker(host))
        except TimeoutError as error:
            raise HostError("its Docker does not answer", host=host) from error
        except LinkLost as lost:
            regaining = asyncio.create_task(regain(given, report, host, lost, patience))
            forced = asyncio.create_task(running.force.wait())
            await asyncio.wait({regaining, forced}, return_when=asyncio.FIRST_COMPLETED)
            if not regaining.done():
                await asyncio.wait({regaining}, timeout=_FORCED_WAIT)
            forced.cancel()
            if not regaining.done():
                await drop([regaining])
                raise
            regaining.result()
            await losses.one(lost)


async def _ours(given: Given, docker: Docker) -> Sequence[ContainerInfo]:
    labelled = await docker.containers(labels=(f"{LABEL}launch={given.plan.launch_id}",))
    if not given.plan.serve.delegated:
        return labelled
    found = list(labelled)
    known = {item.id for item in labelled}
    for item in await docker.containers():
        if item.name == given.plan.serve.delegated and item.id not in known:
            found.append(item)
    return found


async def _end(running: Running, docker: Docker, identity: str, grace: float) -> None:
    """Stop a container; it is killed immediately when the user forces the end during its grace."""
    if grace <= 0 or running.force.is_set():
        await docker.kill(identity)
        return
    stopping = asyncio.create_task(docker.stop(identity, grace))
    forced = asyncio.create_task(running.force.wait())
    try:
        await asyncio.wait({stopping, forced}, return_when=asyncio.FIRST_COMPLETED)
        if not stopping.done():
            await docker.kill(identity)
        await stopping
    finally:
        await drop([stopping, forced])


async def _save_log(given: Given, running: Running, report: Reporter, host: str, item: ContainerInfo) -> bool:
    """Save the log of an ended container; whether it is complete on disk."""
    followers = running.followers
    rank = next((rank for rank, known in running.containers.items() if known == item.id), None)
    if item.state == "created":
        return True
    if rank is not None and not given.attached:
        await followers.drained_one(rank, _FORCED_WAIT if running.force.is_set() else DRAIN)
        if followers.complete(rank):
            return True
    return await _fetch_log(given, report, host, item.id)


async def _fetch_log(given: Given, report: Reporter, host: str, identity: str) -> bool:
    """Read the whole log of a container again, into its file only, since the followed log may have gaps."""
    journal = report.bus.journal
    if journal is None:
        return True
    source = given.services.logs.follow(given.transport(host), identity, keep=False)
    try:
        journal.restart_log(host)
        async with asyncio.timeout(60.0), closing(source) as batches:
            async for batch in batches:
                lines = [LogLine(record.time, record.stream, record.text) for record in batch]
                journal.log(host, report.bus.safe_lines(lines))
                await asyncio.sleep(0)
        journal.flush()
    except (HostError, OSError):
        # No answer in time, or no room on this disk: the container is kept with its log, and is reported.
        return False
    return True
