"""The memory guards of a launch: started beside its containers, read while it runs, removed with it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import format_gib
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.guarding import floor_on
from sparkrun_tui.launch.record.events import GuardState
from sparkrun_tui.launch.record.guard_seen import seen, state_of
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.guarded import Guarded
from sparkrun_tui.launch.run.parts.host_work import insist
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.guard.guards import Guard
from sparkrun_tui.remote.guard.record import GuardRecord

_NEWEST = 20
"""Lines of each file of a record that are read while a launch is watched: more than come between two readings."""

_GAP = 60.0
"""Seconds without a reading after which a record is read whole."""

_ANSWER = 5.0
"""Seconds that a host may take to show its record when its container has ended."""

_WHOLE = 15.0
"""Seconds that a host may take to show its record and remove it."""


async def start_guard(given: Given, running: Running, report: Reporter, host: str, container: str) -> None:
    """Start the guard of a container unless its host gets none. A host that cannot have it is named in a notice.

    Raises `LinkLost` when the host stays away.
    """
    view = next(view for view in given.plan.hosts if view.name == host)
    floor = floor_on(given.plan.cluster, view)
    if not floor:
        return
    guard = Guard(given.transport(host), given.plan.launch_id)
    # Noted before the request: whatever becomes of it, what it leaves there is removed with the launch.
    guarded = running.guards[host] = Guarded()
    try:
        await insist(given, report, host, Phase.START, lambda: guard.start(container, floor))
    except LinkLost:
        raise
    except HostError as error:
        guarded.closed = True
        report.notice("warning", f"no memory guard on this host: {error.what}", host)


def expect_guards(given: Given, running: Running, report: Reporter) -> None:
    """Look for guards on all hosts of a launch that was found there, from where its journal ends."""
    for host in given.hosts:
        row = report.bus.state.hosts.get(host)
        guarded = Guarded()
        if row is not None and row.guard is not None:
            guarded.reported = row.guard.until
            guarded.closed = row.guard.state is GuardState.STOPPED
        running.guards[host] = guarded


async def report_guard(given: Given, running: Running, report: Reporter, host: str) -> None:
    """Report what the guard of a host has recorded since the last time; a host that cannot be asked is skipped."""
    guarded = running.guards.get(host)
    if guarded is None or guarded.closed:
        return
    now = asyncio.get_running_loop().time()
    lately = guarded.asked is not None and now - guarded.asked < _GAP
    guard = Guard(given.transport(host), given.plan.launch_id)
    try:
        record = await (guard.read(past=_NEWEST, recent=_NEWEST) if lately else guard.read())
    except HostError:
        return
    guarded.asked = now
    if record is None:
        if given.attached:
            # It was launched without a guard, or somebody removed it.
            running.guards.pop(host, None)
        return
    state = state_of(record)
    if state is GuardState.STOPPED and lately:
        # With the whole minute before it.
        with suppress(HostError):
            record = await guard.read() or record
    _publish(running, report, host, record)
    _warn(report, host, guarded, state)


async def see_guard(given: Given, running: Running, host: str) -> GuardRecord | None:
    """The whole record of the guard on a host whose container has ended, kept for the report; None without one."""
    guarded = running.guards.get(host)
    if guarded is None:
        return None
    guard = Guard(given.transport(host), given.plan.launch_id)
    with suppress(HostError, TimeoutError):
        async with asyncio.timeout(_ANSWER):
            guarded.record = await guard.read() or guarded.record
    return guarded.record


async def end_guard(given: Given, running: Running, report: Reporter, host: str) -> None:
    """End the guard of a host and remove its record, once that is in the journal. A failure is a notice."""
    if host not in running.guards:
        return
    guard = Guard(given.transport(host), given.plan.launch_id)
    try:
        async with asyncio.timeout(_WHOLE):
            record = await guard.read()
            if record is not None:
                _publish(running, report, host, record, closing=True)
            await guard.end()
    except (HostError, TimeoutError) as error:
        why = error.what if isinstance(error, HostError) else "no answer in time"
        report.notice("warning", f"the memory guard's record may be left on this host: {why}", host)


def _publish(running: Running, report: Reporter, host: str, record: GuardRecord, *, closing: bool = False) -> None:
    guarded = running.guards[host]
    if guarded.closed:
        return
    state = state_of(record)
    closing = closing or state is GuardState.STOPPED
    event = seen(record, host, guarded.reported, closing=closing)
    guarded.reported = event.until
    row = report.bus.state.hosts.get(host)
    known = None if row is None else row.guard
    if known is None or event.samples or event.minute or (event.state, event.now) != (known.state, known.now):
        report.bus.emit(event)
    if record.stopped is not None:
        text = f"{stopped_words(record.stopped.available)} (its floor is {format_gib(record.floor)})"
        report.notice("error", text, host)
    guarded.closed = closing


def stopped_words(left: int) -> str:
    """What a guard did, in words; `left` is the bytes that were available then."""
    return f"the memory guard stopped the container: memory fell to {format_gib(left)}"


def _warn(report: Reporter, host: str, guarded: Guarded, state: GuardState) -> None:
    """Tell once that a guard does not guard any more."""
    if state is GuardState.ENDED:
        guarded.ended += 1
    # A container that has just ended is reported by those who watch it.
    gone = state is GuardState.SILENT or guarded.ended > 1
    if gone and not guarded.warned:
        guarded.warned = True
        report.notice("warning", "the memory guard takes no samples any more: this host is not guarded", host)
