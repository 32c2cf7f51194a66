"""Followers of the containers' logs: every line to its host's buffer and file, and to the reader of phases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.engines.logs.guard import RuleGuard
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.registry import log_of
from sparkrun_tui.launch.record.events import EngineFact, Progressed, StepState
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.parts.defects import defect, rule_defect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.aio import Turns, closing
from sparkrun_tui.remote.failures import NeedsUser

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.logs import LogRecord

_SLICE = 50
"""Lines that are kept at once, before they are read: a few milliseconds of work, however long they are."""

_PAUSE = 2.0
_KNOWN = 4000
"""Newest lines that are compared when a log is taken up again."""

_READ = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)
"""The phases whose cells are filled from the log."""


KnownLines = frozenset[tuple[int, str]]


@dataclass(frozen=True, slots=True)
class _Start:
    """Where to begin to follow."""

    host: str
    container: str
    tail: int | None
    since: float | None
    seen: KnownLines


class Followers:
    """One follower a rank. They outlive the steps of the launch, so that a failed one's last lines are kept too."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._tasks: dict[int, asyncio.Task[object]] = {}
        self.figures: dict[str, dict[str, float]] = {}
        """Of each host, what its engine has printed so far."""

    def follow(
        self,
        rank: int,
        host: str,
        container: str,
        *,
        tail: int | None = None,
        since: float | None = None,
        seen: KnownLines = frozenset(),
    ) -> None:
        """Begin to follow a container: from its first line, from the last `tail`, or from Unix time `since` on.

        Lines in `seen` (time in microseconds, as the files keep it, and text) are known already and passed over.
        """
        if rank not in self._tasks:
            start = _Start(host, container, tail, since, seen)
            self._tasks[rank] = asyncio.create_task(self._run(start), name=f"log {host}")

    async def drained_one(self, rank: int, timeout: float) -> bool:
        """Wait until a rank's last line was read; whether it was, within `timeout` seconds."""
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

    async def _run(self, start: _Start) -> None:
        serve = self._given.plan.serve
        report = rule_defect(self._report, start.host)
        reader = PhaseReader(log_of(serve.engine), report)
        guard = RuleGuard(report)
        reported = ""
        while True:
            try:
                await self._follow(start, reader, guard)
                return
            except HostError as error:
                if error.what != reported:
                    reported = error.what
                    self._report.notice("warning", f"cannot read its log: {error.what}", start.host)
                if isinstance(error, NeedsUser):
                    return
            except Exception as error:
                # A defect must not end a log silently: it is reported, and the log is taken up where it was.
                what = f"{type(error).__name__}: {error}"
                if what != reported:
                    reported = what
                    failure = defect(self._given, self._report, error, "interrupted the reading of this log")
                    self._report.notice("warning", failure.what, start.host)
            await asyncio.sleep(_PAUSE)
            start = self._onwards(start)

    async def _follow(self, start: _Start, reader: PhaseReader, guard: RuleGuard) -> None:
        source = self._given.services.logs.follow(
            self._given.transport(start.host), start.container, tail=start.tail, since=start.since
        )
        async with closing(source) as batches:
            async for batch in batches:
                new = [record for record in batch if self._key(record) not in start.seen] if start.seen else batch
                await self._take_in(start.host, new, reader, guard)

    def _key(self, record: LogRecord) -> tuple[int, str]:
        """How a line is known once it is kept: made safe."""
        (line,) = self._report.bus.safe_lines([LogLine(record.time, record.stream, record.text)])
        return round(line.time * 1_000_000), line.text

    def _onwards(self, start: _Start) -> _Start:
        """From where the buffer of the host ends."""
        buffer = self._report.bus.logs.get(start.host)
        printed = [line for line in buffer.since(buffer.end - _KNOWN) if line.stream != "app"] if buffer else []
        if not printed:
            return start
        seen = frozenset((round(line.time * 1_000_000), line.text) for line in printed)
        return _Start(start.host, start.container, None, printed[-1].time, seen)

    async def _take_in(self, host: str, batch: Sequence[LogRecord], reader: PhaseReader, guard: RuleGuard) -> None:
        """Keep a batch of lines and report what they say, giving the event loop its turn every few hundred lines.

        Lines are kept before they are read: whatever a rule makes of one, it is there to be seen.
        """
        turns = Turns()
        for start in range(0, len(batch), _SLICE):
            part = batch[start : start + _SLICE]
            records = [LogLine(record.time, record.stream, record.text) for record in part]
            for line in self._report.bus.log(host, records):
                guard.run("reading a line", None, self._read, host, line, reader)
                await turns.rest()
        await asyncio.sleep(0)

    def _read(self, host: str, line: LogLine, reader: PhaseReader) -> None:
        report = self._report
        before = reader.phase
        reading = reader.feed(line.text)
        if reading is None:
            return
        self.figures.setdefault(host, {}).update(reading.facts)
        for name, value in reading.facts.items():
            report.bus.emit(EngineFact(host=host, name=name, value=value))
        phase = reading.phase
        if phase is None or phase not in _READ:
            return
        if phase is not before:
            _finish_before(report, host, phase)
        cell = report.bus.state.hosts[host].cells.get(phase) if host in report.bus.state.hosts else None
        # Only the endpoint says that it is ready; the log says that it is near.
        done = reading.done and phase is not Phase.READY
        state = StepState.OK if done else StepState.RUNNING
        if cell is None or cell.state is not state:
            report.step(host, phase, state, reading.detail)
        if reading.progress is not None and not done:
            report.bus.emit(
                Progressed(host=host, phase=phase, done=reading.progress, total=100.0, unit="%", detail=reading.detail)
            )


def _finish_before(report: Reporter, host: str, phase: Phase) -> None:
    """Whatever came before a phase that has begun is over, also where no line said so."""
    row = report.bus.state.hosts.get(host)
    for earlier in _READ[: _READ.index(phase)]:
        cell = row.cells.get(earlier) if row else None
        if cell is not None and cell.state is StepState.RUNNING:
            report.step(host, earlier, StepState.OK)
