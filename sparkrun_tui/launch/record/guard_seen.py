"""The record of a memory guard as an event of its launch."""

from __future__ import annotations

from sparkrun_tui.launch.record.events import GuardSeen, GuardState
from sparkrun_tui.remote.guard.record import GuardRecord, Sample


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
