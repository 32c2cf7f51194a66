"""Watches a launch: every rank's container and execs, the engine's health, and lost links."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.offers import NO_ENTRY
from sparkrun_tui.engines.plan import ContainerExec, RankPlan, Role
from sparkrun_tui.launch.plan.archive import exec_paths
from sparkrun_tui.launch.plan.host_views import probe_paths
from sparkrun_tui.launch.record.events import LaunchStatus, MemorySeen, StatusChanged
from sparkrun_tui.launch.run.asking import ask
from sparkrun_tui.launch.run.guarding import report_guard, see_guard, stopped_words
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop, regain
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.guard.record import GuardRecord
from sparkrun_tui.remote.transport import LinkState

T = TypeVar("T")

START_POLL = 1.0
SERVING_POLL = 4.0
HEALTH_POLL = 10.0
MEMORY_POLL = 10.0
LINK_POLL = 1.0
_LAST_READING = 3.0
"""Seconds that the memory reading after the end may take."""

DOWN = frozenset({LinkState.RECONNECTING, LinkState.UNREACHABLE, LinkState.NEEDS_USER})
_PROCESSES = ("sh", "-c", "cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '")
"""The command lines of all processes in a container, for images that have no `ps`."""

_ALIVE = frozenset({"created", "running", "restarting", "paused"})


@dataclass(frozen=True, slots=True)
class Ended:
    """A rank that no longer runs: its exit code, None when unknown; `gone` when its container was removed.

    `restarted` when its host was restarted since the launch began, which ended the rank. `what` names the process in
    words when it is not the container itself.
    """

    rank: RankPlan
    code: int | None
    oom_killed: bool = False
    gone: bool = False
    restarted: bool = False
    what: str = ""
    guard: GuardRecord | None = None
    """The record of the host's memory guard, where it has one."""

    @property
    def by_guard(self) -> bool:
        """Whether the memory guard stopped it."""
        return self.guard is not None and self.guard.stopped is not None

    @property
    def text(self) -> str:
        """What happened, in words."""
        if self.guard is not None and self.guard.stopped is not None:
            return stopped_words(self.guard.stopped.available)
        if self.restarted:
            return "the host was restarted, which ended its container"
        if self.gone:
            return "its container was removed"
        if self.oom_killed:
            return f"its container was killed at its memory limit (exit code {self.code})"
        subject = self.what or "its container"
        if self.code is None:
            return f"{subject} has ended"
        return f"{subject} ended with exit code {self.code}"


class RankEnded(LaunchError):
    """A rank has ended unexpectedly."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.text, host=ended.rank.host, remedy="See its log for the reason.")
        self.ended = ended


async def inspect(given: Given, running: Running, rank: RankPlan) -> Ended | None:
    """How a rank ended; None while it runs. Raises `LinkLost` when its host cannot be asked."""
    docker = given.docker(rank.host)
    identity = running.containers[rank.rank]
    found = await docker.inspect(identity)
    if found is None or found.state not in _ALIVE:
        restarted = await _restarted(given, running, rank.host)
        guard = await see_guard(given, running, rank.host)
        if found is None:
            return Ended(rank, None, gone=not restarted, restarted=restarted, guard=guard)
        return Ended(rank, found.exit_code, found.oom_killed, restarted=restarted, guard=guard)
    begun_here = not running.served and not given.attached
    if found.restarts and begun_here:
        # Docker would restart a server that cannot start, again and again.
        return Ended(rank, found.exit_code, found.oom_killed, what="its container, which Docker restarted,")
    if given.plan.serve.delegated:
        return await _inspect_processes(given, running, rank)
    return await _inspect_execs(given, running, rank)


async def _restarted(given: Given, running: Running, host: str) -> bool:
    """Whether a host was restarted since it was probed for this launch; False when unknown."""
    before = running.facts.get(host)
    if before is None or not before.boot_id:
        return False
    with suppress(HostError):
        now = await given.services.probe(given.transport(host), probe_paths(given.plan.cluster), ())
        return bool(now.boot_id) and now.boot_id != before.boot_id
    return False


async def _inspect_processes(given: Given, running: Running, rank: RankPlan) -> Ended | None:
    """How the engine ended in a container of foreign scripts, whose first process only sleeps; None while it runs."""
    if rank.rank:
        return None
    result = await given.docker(rank.host).run_exec(running.containers[rank.rank], _PROCESSES)
    if not result.ok:
        return None
    if "vllm" in result.stdout.lower():
        running.engine_missed = 0
        return None
    if running.engine_missed is None:
        return None
    running.engine_missed += 1
    return Ended(rank, None, what="the engine") if running.engine_missed > 1 else None


async def _inspect_execs(given: Given, running: Running, rank: RankPlan) -> Ended | None:
    executions: list[ContainerExec] = []
    for stage in given.plan.serve.stages:
        executions += stage.execs
    for number, execution in enumerate(executions):
        if execution.rank != rank.rank or number not in running.executions:
            continue
        code = await _exit_code(given, running, rank, number)
        if code is not None:
            return Ended(rank, code, what=execution.title)
    return None


async def _exit_code(given: Given, running: Running, rank: RankPlan, number: int) -> int | None:
    """The exit code of an exec, by its id where that is known; None while it runs."""
    identity = running.executions[number]
    if identity:
        about = await given.docker(rank.host).exec_inspect(identity)
        if about is not None:
            return None if about.running else about.exit_code
    return await exec_code(given, running, rank, number)


async def exec_code(given: Given, running: Running, rank: RankPlan, number: int | str) -> int | None:
    """The exit code that an exec has written in its container, for an exec without a known id; None while it runs."""
    path = f"{exec_paths(number)[0]}/code"
    result = await given.docker(rank.host).run_exec(running.containers[rank.rank], ("cat", path))
    return whole(result.stdout) if result.ok else None


async def first_end(given: Given, running: Running, report: Reporter, pause: float = START_POLL) -> Ended:
    """The first rank that ends; waits for hosts that cannot be asked."""
    tasks: dict[int, asyncio.Task[Ended]] = {}
    try:
        while True:
            for rank in given.ranks:
                if rank.rank in running.containers and rank.rank not in tasks:
                    tasks[rank.rank] = asyncio.create_task(_end_of(given, running, report, rank, pause))
            if not tasks:
                await asyncio.sleep(pause)
                continue
            done, _ = await asyncio.wait(tasks.values(), timeout=pause, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                return task.result()
    finally:
        await drop(tasks.values())


async def _end_of(given: Given, running: Running, report: Reporter, rank: RankPlan, pause: float) -> Ended:
    while True:
        try:
            ended = await inspect(given, running, rank)
        except LinkLost as lost:
            await regain(given, report, rank.host, lost)
            ended = None
        except HostError as error:
            # The daemon answers with an error, for example while it restarts: the state of the rank is unknown.
            report.link(rank.host, given.transport(rank.host).link.state, error.what)
            ended = None
        if ended is not None:
            return ended
        await asyncio.sleep(pause)


async def unless_ended(given: Given, running: Running, report: Reporter, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`. Raises `RankEnded` when a rank ends first; the work is then cancelled."""
    doing = asyncio.create_task(work)
    watching = asyncio.create_task(first_end(given, running, report))
    try:
        await asyncio.wait({doing, watching}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            return doing.result()
        raise RankEnded(watching.result())
    finally:
        await drop([doing, watching])


async def watch(given: Given, running: Running, report: Reporter) -> None:
    """Watch a launch that serves. Raises `RankEnded` when its head ends.

    A lost worker or an unhealthy engine makes the launch degraded, a head that cannot be asked makes it unknown.
    """
    watcher = _Watch(given, running, report)
    tasks = [asyncio.create_task(watcher.rank(rank)) for rank in given.ranks]
    tasks.append(asyncio.create_task(watcher.health()))
    tasks.append(asyncio.create_task(watcher.memory()))
    tasks.append(asyncio.create_task(watcher.links()))
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        await drop(tasks)


class _Watch:
    def __init__(self, given: Given, running: Running, report: Reporter) -> None:
        self._given = given
        self._running = running
        self._report = report
        self._lost_ranks: dict[int, str] = {}
        self._silent: dict[str, str] = {}
        self._unhealthy = ""

    async def rank(self, rank: RankPlan) -> None:
        while rank.rank in self._running.containers:
            try:
                ended = await inspect(self._given, self._running, rank)
                if ended is None:
                    self._heard(rank.host)
            except HostError as error:
                self._unheard(rank.host, error)
                ended = None
            if ended is not None and rank.role is not Role.WORKER:
                raise RankEnded(ended)
            if ended is not None:
                self._report.link(rank.host, LinkState.UP)
                self._silent.pop(rank.host, None)
                self._lost_ranks[rank.rank] = f"rank {rank.rank} on {rank.host} is lost: {ended.text}"
                self._judge()
                return
            await asyncio.sleep(SERVING_POLL)

    async def health(self) -> None:
        """Watch the health of the endpoint while its host can be asked."""
        ready = self._given.plan.serve.ready
        while True:
            await asyncio.sleep(HEALTH_POLL)
            try:
                reply = await ask(self._given, self._running, self._report, ready.health_path)
            except LinkLost:
                continue
            if reply is not None:
                alive = reply.ok or reply.status in NO_ENTRY
                self._unhealthy = "" if alive else f"{ready.health_path} answers {reply.status}"
            elif self._given.transport(ready.host).link.state in DOWN:
                continue
            else:
                self._unhealthy = f"it does not answer on port {ready.port}"
            self._judge()

    async def links(self) -> None:
        while True:
            await asyncio.sleep(LINK_POLL)
            for host in self._given.hosts:
                status = self._given.transport(host).link
                if status.state in DOWN:
                    self._unheard(host, HostError(status.detail or str(status.state), host=host))

    async def memory(self) -> None:
        while True:
            await read_all_memory(self._given, self._running, self._report)
            await asyncio.sleep(MEMORY_POLL)

    def _heard(self, host: str) -> None:
        self._report.link(host, LinkState.UP)
        if self._silent.pop(host, None) is not None:
            self._judge()

    def _unheard(self, host: str, error: HostError) -> None:
        self._report.link(host, self._given.transport(host).link.state, error.what)
        if host not in self._silent:
            self._silent[host] = error.what
            self._judge()

    def _judge(self) -> None:
        head = self._given.plan.serve.ready.host
        if head in self._silent:
            status = LaunchStatus.UNKNOWN
            detail = f"{head} cannot be asked: {self._silent[head]}"
        else:
            reasons = list(self._lost_ranks.values())
            if self._unhealthy:
                reasons.insert(0, self._unhealthy)
            for host in self._silent:
                reasons.append(f"{host} cannot be asked")
            status = LaunchStatus.DEGRADED if reasons else LaunchStatus.READY
            detail = "; ".join(reasons) or self._running.note
        state = self._report.bus.state
        if state.status is not status or state.detail != detail:
            self._report.bus.emit(StatusChanged(status=status, detail=detail))


async def report_links(given: Given, report: Reporter) -> None:
    """Report every change of the hosts' links, until cancelled."""
    while True:
        await asyncio.sleep(LINK_POLL)
        for host in given.hosts:
            status = given.transport(host).link
            if status.state is not LinkState.IDLE:
                report.link(host, status.state, status.detail)


async def last_memory(given: Given, running: Running, report: Reporter, silent: Collection[str]) -> None:
    """Read the memory of hosts that were cleaned up once more, except of `silent` ones, to show what is free again."""
    if running.force.is_set():
        return
    up = [host for host in given.hosts if host not in silent and given.transport(host).link.state not in DOWN]
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_READING):
            await asyncio.gather(*(read_memory(given, report, host) for host in up if host in running.touched))


async def read_all_memory(given: Given, running: Running, report: Reporter) -> None:
    """Emit a reading of the memory of every host, and what its guard has recorded."""
    hosts = given.hosts
    readings = [read_memory(given, report, host) for host in hosts]
    await asyncio.gather(*readings, *(report_guard(given, running, report, host) for host in hosts))


async def read_memory(given: Given, report: Reporter, host: str) -> None:
    """Emit a reading of a host's memory; a host that cannot be asked is skipped."""
    try:
        facts = await given.services.probe(given.transport(host), probe_paths(given.plan.cluster), ())
    except HostError:
        return
    report.bus.emit(MemorySeen(host=host, available=facts.memory_available, total=facts.memory_total))
