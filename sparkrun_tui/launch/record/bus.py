"""The event stream of a launch: numbers, stamps, redacts, folds, keeps and publishes every event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import fields, replace
from typing import Any

from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.launch.record.events import AnyEvent, Noticed, Progressed
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.journal import Journal
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine, safe_lines
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.remote.ports.services import Clock

KEPT_EVENTS = 50_000
"""How many events stay in memory for late readers; older ones are in the journal."""

_PROGRESS_EVERY = 0.25
"""Seconds between two progress events of one host and phase."""


class Bus:
    """Owns the state and the logs of a launch. Used from one event loop only."""

    def __init__(
        self, clock: Clock, redact: Redactor, journal: Journal | None = None, unwritable: OSError | None = None
    ) -> None:
        """`unwritable` is the reason why no journal could be opened; it is reported after the first event."""
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
        """Publish `event`: sets its `seq` and, if it has none, its `time`, and makes its text safe to show.

        Progress is published at most four times a second per host and phase, except for the last of a phase.
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

    def hide(self, secrets: Iterable[Secret | str]) -> None:
        """Hide secrets from now on that became known only after the launch began."""
        self.redact = self.redact.plus(secrets)

    def _record(self, write: Callable[[Journal], object]) -> None:
        """Write to the journal. A write that fails is reported once and does not end the launch."""
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
            f"events and logs of this launch cannot be saved on this machine: {error.strerror or error}. The launch "
            "goes on. Make room on the disk: what follows is then saved again"
        )
        self.emit(Noticed(level="warning", text=text))

    def log(self, host: str, lines: Iterable[LogLine]) -> list[LogLine]:
        """Keep lines of a host in memory and on disk. Returns them as they are kept: safe to show, without secrets."""
        safe = self.safe_lines(lines)
        if safe:
            self.logs.setdefault(host, LogBuffer()).extend(safe)
            self._record(lambda journal: journal.log(host, safe))
        return safe

    def preload(self, host: str, lines: Iterable[LogLine]) -> None:
        """Take lines of a host into memory that are already on disk."""
        self.logs.setdefault(host, LogBuffer()).extend(lines)

    def restore(self, events: Iterable[AnyEvent]) -> None:
        """Take events into the state that are already in the journal: what the launch did before it was attached."""
        for event in map(self._safe, events):
            self.state = fold(self.state, event)
            self._events.append(event)
            self.revision += 1

    def safe_lines(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Lines of hosts made safe to show and to keep."""
        return safe_lines(lines, self.redact)

    def note(self, host: str, text: str) -> None:
        """Add a line of this program to the log of a host."""
        self.log(host, [LogLine(self._clock(), "app", text)])

    async def events(self, after: int = 0) -> AsyncIterator[AnyEvent]:
        """Every event with a number above `after` that is still in memory, then new ones until the bus is closed."""
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
        """End the stream; readers end once they have read the remaining events."""
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
        """Whether progress comes too soon after the last of its host and phase. The first complete one never does."""
        complete = event.total is not None and event.done >= event.total
        if complete and not self._shows(event):
            return False
        key = (event.host, event.phase)
        if now - self._progress.get(key, 0.0) < _PROGRESS_EVERY:
            return True
        self._progress[key] = now
        return False

    def _shows(self, event: Progressed) -> bool:
        """Whether the state already has the figures of a progress event."""
        row = self.state.hosts.get(event.host)
        if row is None:
            return False
        cell = row.cells.get(event.phase)
        return cell is not None and (cell.done, cell.total) == (event.done, event.total)

    def _safe(self, event: AnyEvent) -> AnyEvent:
        changed: dict[str, Any] = {field.name: self._shown(getattr(event, field.name)) for field in fields(event)}
        return replace(event, **changed)

    def _shown(self, value: Any) -> Any:
        """The value of an event's field without secrets; repairs and tuples are searched, too."""
        if isinstance(value, Repair):
            return replace(value, **{field.name: self.redact(getattr(value, field.name)) for field in fields(value)})
        if isinstance(value, tuple):
            return tuple(self._shown(item) for item in value)
        return self.redact.data(value)
