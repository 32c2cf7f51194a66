"""Folds the events of a launch into its state. Pure: a replay of the events gives the same state."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import (
    AnyEvent,
    Diagnosed,
    EndpointUp,
    EngineFact,
    GuardSeen,
    HostNamed,
    LaunchBegan,
    LaunchStatus,
    LinkChanged,
    MemorySeen,
    Noticed,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.launch.record.state import Cell, GuardRow, HostRow, LaunchState

MEMORY_READINGS = 60
"""How many memory readings are kept per host."""

GUARD_READINGS = 60
"""How many readings of a guard are kept per host at the end; when there are twice as many, each two become one."""

MAX_NOTICES = 200
"""How many notices are kept in the state; the oldest are dropped first, the journal keeps more."""

FINAL = frozenset({LaunchStatus.FAILED, LaunchStatus.CANCELLED, LaunchStatus.STOPPED})
"""Statuses that no other status follows."""

_ENDED = frozenset({StepState.SKIPPED, StepState.OK, StepState.FAILED, StepState.CANCELLED})


def fold(state: LaunchState, event: AnyEvent) -> LaunchState:
    """The state after `event`. Never fails: an event about an unknown host adds a row for it."""
    return _HANDLERS[type(event)](state, event)


def fold_all(events: Iterable[AnyEvent], state: LaunchState | None = None) -> LaunchState:
    """The state after all `events`, starting from `state` or from an empty one."""
    current = state or LaunchState()
    for event in events:
        current = fold(current, event)
    return current


def _began(state: LaunchState, event: LaunchBegan) -> LaunchState:
    known = state.hosts
    rows = {name: replace(known.get(name, HostRow(name, rank)), rank=rank) for rank, name in enumerate(event.hosts)}
    if event.claimed and state.launch_id and not state.claimed:
        # It was launched from this machine, which knows better than labels what it was.
        return replace(state, hosts=rows)
    return replace(
        state,
        claimed=event.claimed,
        launch_id=event.launch_id,
        recipe=event.recipe,
        engine=event.engine,
        model=event.model,
        cluster=event.cluster,
        port=event.port,
        settings=dict(event.settings),
        reference=event.reference,
        hosts=rows,
        started=event.time if state.started is None else state.started,
    )


def _status(state: LaunchState, event: StatusChanged) -> LaunchState:
    if state.status in FINAL:
        return state
    ready_at = state.ready_at
    if ready_at is None and event.status is LaunchStatus.READY:
        ready_at = event.time
    ended = event.time if event.status in FINAL else None
    return replace(state, status=event.status, detail=event.detail, ready_at=ready_at, ended=ended)


def _step(state: LaunchState, event: StepChanged) -> LaunchState:
    row = _row(state, event.host)
    cell = row.cells.get(event.phase, Cell())
    ends = event.state in _ENDED
    begins_again = event.state is StepState.RUNNING and cell.state in _ENDED
    started = cell.started
    if begins_again or (event.state is StepState.RUNNING and started is None):
        started = event.time
    detail = event.detail
    if not detail:
        # The detail of a running step does not describe its result.
        just_ended = ends and event.state is not cell.state
        detail = "" if just_ended else cell.detail
    ended = event.time if ends else None
    cell = replace(cell, state=event.state, detail=detail, started=started, ended=ended)
    return _with_cell(state, row, event.phase, cell)


def _progress(state: LaunchState, event: Progressed) -> LaunchState:
    row = _row(state, event.host)
    cell = row.cells.get(event.phase, Cell())
    if cell.state in _ENDED:
        return state
    cell = replace(
        cell,
        state=StepState.RUNNING,
        started=event.time if cell.started is None else cell.started,
        done=event.done,
        total=event.total,
        rate=event.rate,
        unit=event.unit,
        detail=event.detail or cell.detail,
    )
    return _with_cell(state, row, event.phase, cell)


def _link(state: LaunchState, event: LinkChanged) -> LaunchState:
    return _with_row(state, replace(_row(state, event.host), link=event.state, link_detail=event.detail))


def _memory(state: LaunchState, event: MemorySeen) -> LaunchState:
    row = _row(state, event.host)
    readings = (*row.memory, event.available)[-MEMORY_READINGS:]
    return _with_row(state, replace(row, memory=readings, memory_total=event.total))


def _named(state: LaunchState, event: HostNamed) -> LaunchState:
    return _with_row(state, replace(_row(state, event.host), own_names=event.names, user=event.user))


def _guard(state: LaunchState, event: GuardSeen) -> LaunchState:
    row = _row(state, event.host)
    known = row.guard or GuardRow(event.floor, event.state)
    readings, width = list(known.readings), known.width
    waiting = [*known.waiting, *event.samples]
    while len(waiting) >= width:
        readings.append(min(waiting[:width]))
        del waiting[:width]
        if len(readings) >= 2 * GUARD_READINGS:
            readings = [min(readings[at : at + 2]) for at in range(0, len(readings), 2)]
            width *= 2
    seen = [*event.samples, *event.minute]
    for value in (known.least, event.now, event.stopped):
        if value is not None:
            seen.append(value)
    pressures = [value for value in (known.pressure, event.pressure) if value is not None]
    guard = GuardRow(
        floor=event.floor,
        state=event.state,
        readings=tuple(readings),
        width=width,
        waiting=tuple(waiting),
        now=known.now if event.now is None else event.now,
        least=min(seen, default=None),
        pressure=max(pressures, default=None),
        minute=event.minute or known.minute,
        stopped=known.stopped if event.stopped is None else event.stopped,
        until=event.until,
    )
    return _with_row(state, replace(row, guard=guard))


def _fact(state: LaunchState, event: EngineFact) -> LaunchState:
    return replace(state, facts={**state.facts, event.name: event.value})


def _noticed(state: LaunchState, event: Noticed) -> LaunchState:
    return replace(state, notices=(*state.notices, event)[-MAX_NOTICES:])


def _endpoint(state: LaunchState, event: EndpointUp) -> LaunchState:
    return replace(state, endpoint=event)


def _diagnosed(state: LaunchState, event: Diagnosed) -> LaunchState:
    return state if state.diagnosis else replace(state, diagnosis=event)


def _row(state: LaunchState, host: str) -> HostRow:
    return state.hosts.get(host) or HostRow(host, len(state.hosts))


def _with_row(state: LaunchState, row: HostRow) -> LaunchState:
    return replace(state, hosts={**state.hosts, row.name: row})


def _with_cell(state: LaunchState, row: HostRow, phase: Phase, cell: Cell) -> LaunchState:
    return _with_row(state, replace(row, cells={**row.cells, phase: cell}))


_HANDLERS: dict[type[Any], Callable[[LaunchState, Any], LaunchState]] = {
    LaunchBegan: _began,
    StatusChanged: _status,
    StepChanged: _step,
    Progressed: _progress,
    LinkChanged: _link,
    MemorySeen: _memory,
    HostNamed: _named,
    GuardSeen: _guard,
    EngineFact: _fact,
    Noticed: _noticed,
    EndpointUp: _endpoint,
    Diagnosed: _diagnosed,
}
