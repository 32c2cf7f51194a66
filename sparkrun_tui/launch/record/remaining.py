"""How long a launch will take from now on, from its progress and from how long the same recipe took before."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.record.state import Cell, HostRow, LaunchState

_BROUGHT = (Phase.IMAGE, Phase.MODEL)
"""What is brought side by side: the longer one counts."""
_OVER = frozenset({StepState.OK, StepState.SKIPPED})
_LEAST_SHARE = 0.02
"""From this share on, the time so far says how long a phase without a rate will take."""


@dataclass(frozen=True, slots=True)
class Remaining:
    """Seconds that a launch still takes. `complete` is false where nothing is known of some of its phases."""

    seconds: float
    complete: bool


def remaining(state: LaunchState, before: Mapping[Phase, float], now: float) -> Remaining | None:
    """What is left until the launch serves; None when it is not starting, or nothing is known of what is left.

    `before` has the seconds that each phase took the last time, `now` is the time in Unix seconds.
    """
    if state.status is not LaunchStatus.STARTING or not state.hosts:
        return None
    found = [_of_host(row, before, now) for row in state.hosts.values()]
    seconds = max(one.seconds for one in found)
    if seconds <= 0:
        return None
    return Remaining(seconds, all(one.complete for one in found))


def _of_host(row: HostRow, before: Mapping[Phase, float], now: float) -> Remaining:
    """What is left on one host, phase by phase."""
    seconds, brought, complete = 0.0, 0.0, True
    last_reached = max((list(Phase).index(phase) for phase, cell in row.cells.items() if cell.started), default=-1)
    for place, phase in enumerate(Phase):
        cell = row.cells.get(phase, Cell())
        if cell.state is StepState.PENDING and place < last_reached:
            continue  # it has no such phase
        left = _of_phase(cell, before.get(phase), now)
        if left is None:
            complete = False
        elif phase in _BROUGHT:
            brought = max(brought, left)
        else:
            seconds += left
    return Remaining(seconds + brought, complete)


def _of_phase(cell: Cell, before: float | None, now: float) -> float | None:
    """The seconds that one phase still takes; None when that is not known."""
    if cell.state in _OVER:
        return 0.0
    if cell.state is not StepState.RUNNING:
        return before
    elapsed = 0.0
    if cell.started is not None:
        elapsed = max(now - cell.started, 0.0)
    if cell.done is not None and cell.total:
        missing = max(cell.total - cell.done, 0.0)
        if cell.rate:
            return missing / cell.rate
        share = cell.done / cell.total
        if _LEAST_SHARE <= share <= 1:
            return elapsed * (1 - share) / share
    if before is None:
        return None
    return max(before - elapsed, 0.0)
