"""The record of a memory guard as an event of its launch, and as a late addition to the launch's journal."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from sparkrun_tui.base import identifiers
from sparkrun_tui.launch.record.codec import to_json
from sparkrun_tui.launch.record.event_file import EventFile
from sparkrun_tui.launch.record.events import GuardSeen, GuardState
from sparkrun_tui.launch.record.journal import launches_dir, read_state
from sparkrun_tui.remote.guard.record import GuardRecord, Sample

Keep = Callable[[str, GuardRecord], None]
"""Called with a host and the record of its guard, before that is removed."""


def seen(record: GuardRecord, host: str, after: float, *, closing: bool = False) -> GuardSeen:
    """What is new in a record since the sample at `after`, seconds since the host's start.

    `closing` is for the last event of a record: what is not in its past yet is added, too.
    """
    samples = [sample for sample in record.past if sample.uptime > after]
    until = samples[-1].uptime if samples else after
    levels = [sample.available for sample in samples]
    minute: tuple[Sample, ...] = ()
    if closing:
        rest = [sample for sample in record.recent if sample.uptime > until]
        if rest:
            levels.append(min(sample.available for sample in rest))
            until = rest[-1].uptime
        if record.stopped is not None:
            minute = record.minute(record.stopped.uptime)
        elif not record.same_boot:
            minute = record.minute()
    newest = [sample for sample in record.recent if sample.uptime > after]
    pressures = [sample.pressure for sample in (*samples, *newest) if sample.pressure is not None]
    return GuardSeen(
        host=host,
        floor=record.floor,
        state=state_of(record),
        samples=tuple(levels),
        now=None if record.last is None else record.last.available,
        pressure=max(pressures, default=None),
        minute=tuple(sample.available for sample in minute),
        stopped=None if record.stopped is None else record.stopped.available,
        until=until,
    )


def state_of(record: GuardRecord) -> GuardState:
    """What the guard of a record does."""
    if record.stopped is not None:
        return GuardState.STOPPED
    if record.ended:
        return GuardState.ENDED
    if record.silent:
        return GuardState.SILENT
    return GuardState.WATCHING


def keeper(launch_id: str) -> Keep:
    """Adds the records of guards to the journal of a launch that this machine has; to no other.

    For a workload that is stopped without being watched: its guards' records are removed then. Raises `OSError` when
    the journal cannot be written.
    """
    known = identifiers.launch_id(launch_id)

    def keep(host: str, record: GuardRecord) -> None:
        folder = launches_dir() / (known or "")
        if known is None or not (folder / "events.jsonl").is_file():
            return
        row = read_state(folder).hosts.get(host)
        after = 0.0
        if row is not None and row.guard is not None:
            after = row.guard.until
        event = replace(seen(record, host, after, closing=True), time=time.time())
        file = EventFile(folder / "events.jsonl")
        try:
            file.add(to_json(event), safely=True)
        finally:
            file.close()

    return keep
