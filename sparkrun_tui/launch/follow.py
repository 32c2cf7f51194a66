"""Followers of the containers' logs: every line to its host's buffer and file, and to the reader of phases."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.context import Context, closing, drop, regain
from sparkrun_tui.launch.events import EngineFact, Progressed, StepState
from sparkrun_tui.launch.logs import LogLine
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.runtimes.phases import PhaseReader
from sparkrun_tui.runtimes.plan import Phase

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker_logs import LogRecord

_SLICE = 400
"""Lines taken in before the event loop gets its turn: a few milliseconds of work."""

_READ = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)
"""The phases whose cells are filled from the log."""


Seen = frozenset[tuple[float, str]]


class Followers:
    """One follower a rank. They outlive the steps of the launch, so that a failed one's last lines are kept too."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._tasks: dict[int, asyncio.Task[object]] = {}

    def follow(
        self,
        rank: int,
        host: str,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        seen: Seen = frozenset(),
    ) -> None:
        """Begin to follow a container: from its first line, from the last `tail`, or from Unix time `since` on.

        Lines in `seen` (time to a hundred-thousandth, text) are known already and passed over.
        """
        if rank not in self._tasks:
            source = self._context.services.logs.follow(
                self._context.transport(host), container, tail=tail, since=since
            )
            self._tasks[rank] = asyncio.create_task(self._run(host, source, seen), name=f"log {host}")

    async def drained(self, timeout: float) -> bool:
        """Wait until every follower has read its container's last line; whether all have, within `timeout` seconds."""
        pending = [task for task in self._tasks.values() if not task.done()]
        if pending:
            await asyncio.wait(pending, timeout=timeout)
        return all(task.done() for task in self._tasks.values())

    async def drained_one(self, rank: int, timeout: float) -> bool:
        """The same for the container of one rank."""
        task = self._tasks.get(rank)
        if task is not None and not task.done():
            await asyncio.wait([task], timeout=timeout)
        return task is not None and task.done()

    def complete(self, rank: int) -> bool:
        """Whether the log of a rank was read to its end."""
        task = self._tasks.get(rank)
        return task is not None and task.done() and not task.cancelled() and task.exception() is None

    async def close(self) -> None:
        """End all followers."""
        await drop(self._tasks.values())

    async def _run(self, host: str, source: AsyncIterator[Sequence[LogRecord]], seen: Seen) -> None:
        context = self._context
        serve = context.plan.serve
        reader = PhaseReader(serve.engine, serve.marks)
        try:
            async with closing(source) as batches:
                async for batch in batches:
                    new = [record for record in batch if (round(record.time, 5), record.text) not in seen]
                    await take_in(context, host, new if seen else batch, reader)
        except LinkLost as lost:
            context.notice("warning", "its log is incomplete: the connection was lost", host)
            await regain(context, host, lost)
        except HostError as error:
            context.notice("warning", f"cannot read its log: {error.what}", host)


async def take_in(context: Context, host: str, batch: Sequence[LogRecord], reader: PhaseReader) -> None:
    """Keep a batch of lines and tell what they say, giving the event loop its turn every few hundred lines."""
    for start in range(0, len(batch), _SLICE):
        part = batch[start : start + _SLICE]
        kept = context.bus.log(host, [LogLine(record.time, record.stream, record.text) for record in part])
        for line in kept:
            _read(context, host, line, reader)
        await asyncio.sleep(0)


def _read(context: Context, host: str, line: LogLine, reader: PhaseReader) -> None:
    before = reader.phase
    reading = reader.feed(line.text)
    if reading is None:
        return
    for name, value in reading.facts.items():
        context.bus.emit(EngineFact(host=host, name=name, value=value))
    phase = reading.phase
    if phase is None or phase not in _READ:
        return
    if phase is not before:
        _finish_before(context, host, phase)
    cell = context.bus.state.hosts[host].cells.get(phase) if host in context.bus.state.hosts else None
    # Ready is told by the endpoint alone; the log only says that it is near.
    done = reading.done and phase is not Phase.READY
    state = StepState.OK if done else StepState.RUNNING
    if cell is None or cell.state is not state:
        context.step(host, phase, state, reading.detail)
    if reading.progress is not None and not done:
        context.bus.emit(
            Progressed(host=host, phase=phase, done=reading.progress, total=100.0, unit="%", detail=reading.detail)
        )


def _finish_before(context: Context, host: str, phase: Phase) -> None:
    """Whatever came before a phase that has begun is over, also where no line said so."""
    row = context.bus.state.hosts.get(host)
    for earlier in _READ[: _READ.index(phase)]:
        cell = row.cells.get(earlier) if row else None
        if cell is not None and cell.state is StepState.RUNNING:
            context.step(host, earlier, StepState.OK)
