"""Followers of the containers' logs: every line goes to its host's buffer and file, and to the reader of phases."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.logs.guard import RuleGuard
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.registry import log_of
from sparkrun_tui.launch.record.events import EngineFact, Progressed, StepState
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.state import Cell
from sparkrun_tui.launch.run.parts.defects import defect, rule_defect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import drop
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.aio import Turns, closing
from sparkrun_tui.remote.failures import NeedsUser

if TYPE_CHECKING:
    from sparkrun_tui.remote.docker.logs import LogRecord

_SLICE = 50
"""How many lines are kept before they are read: a few milliseconds of work, even for long lines."""
_MOST_CHARACTERS = 1 << 14
"""Characters of lines that are taken in without a pause."""

_PAUSE = 2.0
MOST_COMPARED = 4000
"""How many of the newest lines are compared when a log is resumed."""

_READ = (Phase.LOAD, Phase.COMPILE, Phase.GRAPHS, Phase.READY)
"""The phases whose cells are filled from the log."""


KnownLines = frozenset[tuple[int, str]]
"""Lines by their time in microseconds, as log files keep it, and their text."""


@dataclass(frozen=True, slots=True)
class _Start:
    """Where following begins; `tail`, `since` and `seen` as in `Followers.follow`."""

    host: str
    container: str
    tail: int | None
    since: float | None
    seen: KnownLines


class Followers:
    """One follower per rank. They outlive the steps of the launch, so that the last lines of a failed one are kept."""

    def __init__(self, given: Given, report: Reporter) -> None:
        self._given = given
        self._report = report
        self._tasks: dict[int, asyncio.Task[object]] = {}
        self.figures: dict[str, dict[str, float]] = {}
        """The figures that each host's engine has printed so far."""

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
        """Follow a container from its first line, from the last `tail` lines, or from Unix time `since`.

        Lines in `seen` are skipped.
        """
        if rank not in self._tasks:
            start = _Start(host, container, tail, since, seen)
            self._tasks[rank] = asyncio.create_task(self._run(start), name=f"log {host}")

    async def drained_one(self, rank: int, timeout: float) -> bool:
        """Wait for up to `timeout` seconds until a rank's last line was read; whether it was."""
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
                    self._report.notice("warning", f"cannot read the container's log: {error.what}", start.host)
                if isinstance(error, NeedsUser):
                    return
            except Exception as error:
                # A defect must not end a log silently: it is reported, and the log is resumed where it was.
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
                new = batch
                if start.seen:
                    new = [record for record in batch if self._key(record) not in start.seen]
                await self._take_in(start.host, new, reader, guard)

    def _key(self, record: LogRecord) -> tuple[int, str]:
        """The key of a line in `KnownLines`: those hold lines as they are kept, made safe."""
        (line,) = self._report.bus.safe_lines([LogLine(record.time, record.stream, record.text)])
        return _line_key(line)

    def _onwards(self, start: _Start) -> _Start:
        """Where to resume: after the last line in the host's buffer."""
        buffer = self._report.bus.logs.get(start.host)
        if buffer is None:
            return start
        printed = [line for line in buffer.since(buffer.end - MOST_COMPARED) if line.stream != "app"]
        if not printed:
            return start
        return _Start(start.host, start.container, None, printed[-1].time, known_lines(printed))

    async def _take_in(self, host: str, batch: Sequence[LogRecord], reader: PhaseReader, guard: RuleGuard) -> None:
        """Keep a batch of lines and report what they show, with a pause for the event loop every few hundred lines.

        Lines are kept before they are read, so that a defect of a rule does not hide a line.
        """
        turns = Turns()
        for part in _parts(batch):
            records = [LogLine(record.time, record.stream, record.text) for record in part]
            kept = self._report.bus.log(host, records)
            if guard.run("looking at lines", True, reader.may_say, "\n".join(line.text for line in kept)):
                for line in kept:
                    guard.run("reading a line", None, self._read, host, line, reader)
                    await turns.rest()
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
        # The log may say that the engine is nearly ready; that it is ready, only its endpoint shows.
        done = reading.done and phase is not Phase.READY
        state = StepState.OK if done else StepState.RUNNING
        cell = _cell(report, host, phase)
        if cell is None or cell.state is not state:
            report.step(host, phase, state, reading.detail)
        if reading.progress is not None and not done:
            report.bus.emit(
                Progressed(host=host, phase=phase, done=reading.progress, total=100.0, unit="%", detail=reading.detail)
            )


def _parts(batch: Sequence[LogRecord]) -> Iterator[Sequence[LogRecord]]:
    """A batch in parts that are taken in without a pause: of some lines, and of few characters where lines are long."""
    begin = characters = 0
    for end, record in enumerate(batch):
        if end - begin >= _SLICE or (characters + len(record.text) > _MOST_CHARACTERS and end > begin):
            yield batch[begin:end]
            begin, characters = end, 0
        characters += len(record.text)
    if begin < len(batch):
        yield batch[begin:]


def known_lines(lines: Iterable[LogLine]) -> KnownLines:
    """The lines in the form of `KnownLines`."""
    return frozenset(map(_line_key, lines))


def _line_key(line: LogLine) -> tuple[int, str]:
    return round(line.time * 1_000_000), line.text


def _cell(report: Reporter, host: str, phase: Phase) -> Cell | None:
    row = report.bus.state.hosts.get(host)
    return None if row is None else row.cells.get(phase)


def _finish_before(report: Reporter, host: str, phase: Phase) -> None:
    """Report the phases before one that has begun as done, also when no line said so."""
    for earlier in _READ[: _READ.index(phase)]:
        cell = _cell(report, host, earlier)
        if cell is not None and cell.state is StepState.RUNNING:
            report.step(host, earlier, StepState.OK)
