"""What memory guards have seen, in words and as a row of bars, for the app and the command line."""

from __future__ import annotations

from sparkrun_tui.base.bars import bars
from sparkrun_tui.base.units import format_gib
from sparkrun_tui.launch.record.events import GuardState
from sparkrun_tui.launch.record.state import GuardRow, HostRow, LaunchState


def nearest(state: LaunchState) -> HostRow | None:
    """The host whose guard came nearest to its floor: one that stopped a container, else the one with least left."""
    found: HostRow | None = None
    for row in sorted(state.hosts.values(), key=lambda row: row.rank):
        if row.guard is not None and (found is None or _order(row) < _order(found)):
            found = row
    return found


def _order(row: HostRow) -> tuple[bool, float]:
    guard = row.guard
    if guard is None or guard.least is None:
        return True, float("inf")
    return guard.stopped is None, float(guard.least - guard.floor)


def picture(row: HostRow, width: int) -> str:
    """The memory that was left on a host during the launch, as at most `width` bars of the whole memory.

    Where its guard stopped the container, it is the minute before that.
    """
    guard = row.guard
    if guard is None:
        return ""
    values = (*guard.readings, *guard.waiting)
    if guard.minute:
        values = guard.minute
    elif guard.now is not None:
        values = (*values, guard.now)
    return bars(values, row.memory_total or max(values, default=0), width)


def guard_words(guard: GuardRow) -> str:
    """The figures of a guard: what was left at the least, and what it does about it."""
    parts = []
    if guard.stopped is not None:
        parts.append(f"stopped the container at {format_gib(guard.stopped)}")
    elif guard.least is not None:
        parts.append(f"least {format_gib(guard.least)}")
    if guard.now is not None and guard.state is GuardState.WATCHING:
        parts.append(f"now {format_gib(guard.now)}")
    if guard.state is GuardState.SILENT:
        parts.append("takes no samples any more")
    if guard.pressure is not None and guard.pressure >= 1:
        parts.append(f"pressure {guard.pressure:.0f} %")
    parts.append(f"floor {format_gib(guard.floor)}")
    return ", ".join(parts)
