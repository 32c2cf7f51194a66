"""The one stream of a launch: numbers, stamps, redacts, folds, keeps and hands out every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import fields, replace
from typing import Any

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.launch.record.events import AnyEvent, Noticed, Progressed
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.journal import Journal
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine, safe_line
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.remote.ports.services import Clock

KEPT_EVENTS = 50_000
"""Events kept in memory for late readers; older ones are in the journal."""

_PROGRESS_EVERY = 0.25


class Bus:
    """Owns the state of a launch and its logs. Used from one event loop only."""

    def __init__(
        self, clock: Clock, redact: Redactor, journal: Journal | None = None, unwritable: OSError | None = None
    ) -> None:
        """`unwritable` is why there is no journal, where there should be one: it is reported after the first event."""
        self._clock = clock
        self.redact = redact
        self.journal = journal
        self.state = LaunchState()
        self.revision = 0
        self.logs: dict[str, LogBuffer] = {}
        self._events: list[AnyEvent] = []
        self._dropped = 0
        self._waiters: set[asyncio.Event] = set()
        self._progress: dict[tuple[str, str], float] = {}
        self._unwritable = unwritable
        self._disk_reported = False
        self.closed = False

    def emit(self, event: AnyEvent) -> None:
        """Publish `event`: its `seq` and, where it has none, its `time` are set here, and its text is made safe.

        Progress comes at most four times a second per host and phase, but for the last of a phase.
        """
        if self.closed:
            return
        now = event.time or self._clock()
        if isinstance(event, Progressed) and self._too_soon(event, now):
            return
        stamped = replace(self._safe(event), seq=self._dropped + len(self._events) + 1, time=now)
        self.state = fold(self.state, stamped)
        self.revision += 1
        self._events.append(stamped)
        if len(self._events) > KEPT_EVENTS + KEPT_EVENTS // 4:
            surplus = len(self._events) - KEPT_EVENTS
            del self._events[:surplus]
            self._dropped += surplus
        self._record(lambda journal: journal.event(stamped))
        if self._unwritable is not None:
            unwritable, self._unwritable = self._unwritable, None
            self._disk_failed(unwritable)
        self._wake()

    def _record(self, write: Callable[[Journal], object]) -> None:
        """Write to the journal; a full disk costs what is written, never the launch."""
        if self.journal is None:
            return
        try:
            write(self.journal)
        except OSError as error:
            self._disk_failed(error)

    def _disk_failed(self, error: OSError) -> None:
        if self._disk_reported:
            return
        self._disk_reported = True
        text = (
            f"what this launch does and says cannot be kept on this machine: {error.strerror or error}. The launch "
            "goes on; make room on the disk, and what comes after that is kept again"
        )
        self.emit(Noticed(level="warning", text=text))

    def log(self, host: str, lines: Iterable[LogLine]) -> list[LogLine]:
        """Keep lines of a host, in memory and on disk, made safe; they are returned as they were kept."""
        safe = self.safe_lines(lines)
        if safe:
            self.logs.setdefault(host, LogBuffer()).extend(safe)
            self._record(lambda journal: journal.log(host, safe))
        return safe

    def preload(self, host: str, lines: Iterable[LogLine]) -> None:
        """Lines of a host that are on disk already."""
        self.logs.setdefault(host, LogBuffer()).extend(lines)

    def restore(self, events: Iterable[AnyEvent]) -> None:
        """Events that are in the journal already: what the launch did before it was detached."""
        for event in map(self._safe, events):
            self.state = fold(self.state, event)
            self._events.append(event)
            self.revision += 1

    def safe_lines(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Foreign lines made safe to show and to keep."""
        return [safe_line(line, self.redact) for line in lines]

    def note(self, host: str, text: str) -> None:
        """A line of this program in the log of a host."""
        self.log(host, [LogLine(self._clock(), "app", text)])

    async def events(self, after: int = 0) -> AsyncIterator[AnyEvent]:
        """Every event with a number above `after` that is still in memory, then new ones until the end."""
        waiter = asyncio.Event()
        self._waiters.add(waiter)
        try:
            while True:
                start = max(after - self._dropped, 0)
                for event in self._events[start:]:
                    after = event.seq
                    yield event
                if self._dropped + len(self._events) > after:
                    continue
                if self.closed:
                    return
                waiter.clear()
                await waiter.wait()
        finally:
            self._waiters.discard(waiter)

    def close(self) -> None:
        """No more events; readers end once they have read what there is."""
        if self.closed:
            return
        self._record(lambda journal: journal.flush())
        self.closed = True
        self._record(lambda journal: journal.close())
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiters:
            waiter.set()

    def _too_soon(self, event: Progressed, now: float) -> bool:
        row = self.state.hosts.get(event.host)
        cell = row.cells.get(event.phase) if row is not None else None
        full = event.total is not None and event.done >= event.total
        if full and (cell is None or (cell.done, cell.total) != (event.done, event.total)):
            return False
        key = (event.host, event.phase)
        if now - self._progress.get(key, 0.0) < _PROGRESS_EVERY:
            return True
        self._progress[key] = now
        return False

    def _safe(self, event: AnyEvent) -> AnyEvent:
        changed: dict[str, Any] = {field.name: self._shown(getattr(event, field.name)) for field in fields(event)}
        return replace(event, **changed)

    def _shown(self, value: Any) -> Any:
        """A field of an event without secrets, whatever it is made of."""
        if isinstance(value, Repair):
            return replace(value, **{field.name: self.redact(getattr(value, field.name)) for field in fields(value)})
        if isinstance(value, tuple):
            return tuple(self._shown(item) for item in value)
        return self.redact.data(value)
