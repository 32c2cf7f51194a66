"""The diagnosis of a failed launch as one event: the cause in the engine's logs, else the step that failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase, RankPlan
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis, ExitInfo, GuardInfo, explain_refusal
from sparkrun_tui.launch.record.events import Diagnosed, StepState
from sparkrun_tui.launch.record.state import HostRow
from sparkrun_tui.launch.run.parts.defects import rule_defect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.repairable import Repairable
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.watch import RankEnded, inspect
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.guard.record import GuardRecord

_BARE = "the container ended with exit code"
_ASK = 3.0
_REMOVAL = 1.5
"""Seconds between the end of a container and its removal when another program stops it."""

_LAST_LINES = 5.0
"""Seconds to wait for the last log lines of a container that has ended."""


async def report_failure(given: Given, running: Running, report: Reporter, failure: SparkrunError) -> None:
    """Emit the diagnosis of `failure`."""
    if isinstance(failure, RankEnded):
        await running.followers.drained_one(failure.ended.rank.rank, _LAST_LINES)
    in_logs = _cause_in_logs(given, report, failure)
    found: Diagnosed | None = None
    if in_logs:
        exits = await _exits(given, running)
        found = await _from_logs(given, running, report, exits)
    if found is None:
        found = _from_failure(given, failure)
    settle(report, found.host or failure.host, found.title)
    report.bus.emit(found)


async def removed_elsewhere(given: Given, running: Running, failure: SparkrunError) -> bool:
    """Whether a launch that served was stopped and removed by another program, for example from another terminal."""
    if not isinstance(failure, RankEnded) or not running.served:
        return False
    if failure.ended.by_guard:
        return False
    if not failure.ended.gone:
        await asyncio.sleep(_REMOVAL)
    with suppress(HostError):
        ended = await inspect(given, running, failure.ended.rank)
        return ended is not None and ended.gone
    return False


def _cause_in_logs(given: Given, report: Reporter, failure: SparkrunError) -> bool:
    """Whether the logs may hold the cause: not when a step failed before the engines of all hosts were started."""
    if isinstance(failure, RankEnded) or given.plan.serve.delegated:
        return True
    for row in report.bus.state.hosts.values():
        cell = row.cells.get(Phase.START)
        if cell is None or cell.state is not StepState.OK:
            return False
    return True


def settle(report: Reporter, failed: str = "", why: str = "") -> None:
    """Report phases that are still running as ended: failed on the host `failed`, cancelled on the others.

    Where nothing runs on that host, it failed in the phase that had to come next, because of `why`.
    """
    for host, row in report.bus.state.hosts.items():
        for phase, cell in row.cells.items():
            if cell.state is StepState.RUNNING:
                report.step(host, phase, StepState.FAILED if host == failed else StepState.CANCELLED, cell.detail)
    row_of_failed = report.bus.state.hosts.get(failed)
    if row_of_failed is None or any(cell.state is StepState.FAILED for cell in row_of_failed.cells.values()):
        return
    following = _next_phase(row_of_failed)
    if following is not None:
        report.step(failed, following, StepState.FAILED, why)


def _next_phase(row: HostRow) -> Phase | None:
    """The phase after the last one that a host has reached; None where it has been through all."""
    phases = list(Phase)
    reached = [phases.index(phase) for phase, cell in row.cells.items() if cell.state is not StepState.PENDING]
    following = max(reached, default=-1) + 1
    if following == len(phases):
        return None
    return phases[following]


async def _exits(given: Given, running: Running) -> dict[str, ExitInfo]:
    """How the ranks on each host have ended; hosts that do not answer in time are left out."""
    exits: dict[str, ExitInfo] = {}

    async def one(rank: RankPlan) -> None:
        with suppress(HostError, TimeoutError):
            async with asyncio.timeout(_ASK):
                ended = await inspect(given, running, rank)
            if ended is not None:
                exits[rank.host] = ExitInfo(
                    ended.code, ended.oom_killed, restarted=ended.restarted, guard=_of_guard(ended.guard)
                )

    await asyncio.gather(*(one(rank) for rank in given.ranks if rank.rank in running.containers))
    return exits


def _of_guard(record: GuardRecord | None) -> GuardInfo | None:
    """What a guard says of the end of its container; None where it says nothing of it."""
    if record is None:
        return None
    decisive = record.stopped
    if decisive is None:
        decisive = min(record.minute(), key=lambda sample: sample.available, default=None)
    if decisive is None:
        return None
    return GuardInfo(
        stopped=record.stopped is not None,
        left=decisive.available,
        floor=record.floor,
        time=record.time_of(decisive),
        pressure=decisive.pressure,
    )


async def _from_logs(given: Given, running: Running, report: Reporter, exits: dict[str, ExitInfo]) -> Diagnosed | None:
    # The smallest host bounds what a repair may ask of all of them, whatever another says of its memory.
    totals = [facts.memory_total for host in given.hosts if (facts := running.facts.get(host)) is not None]
    diagnosis = Diagnosis(
        given.plan.serve.engine,
        values=_effective_values(given),
        memory_total=min(totals, default=None),
        report=rule_defect(report, given.hosts[0] if given.hosts else ""),
    )
    lines = {host: buffer.since(0) for host, buffer in report.bus.logs.items()}
    turns = Turns()
    for host in given.hosts:
        for line in lines.get(host, ()):
            diagnosis.read(host, (line,))
            await turns.rest()
    found = diagnosis.result(exits)
    if found is None or not found.evidence.startswith(_BARE):
        return found
    # No line is a known cause: the last one of the host is the best evidence.
    for line in reversed(lines.get(found.host, [])):
        if line.text.strip():
            return replace(found, evidence=line.text.strip())
    return found


def _effective_values(given: Given) -> dict[str, str]:
    """The recipe's effective values by key, as text."""
    return {key: link.value.text for key, link in given.plan.rendered.chain.items()}


def _from_failure(given: Given, failure: SparkrunError) -> Diagnosed:
    host = failure.host
    if not host and given.hosts:
        host = given.hosts[0]
    if isinstance(failure, Repairable):
        return Diagnosed(
            host=host, title=failure.what, explanation=failure.explanation, evidence="", repairs=failure.repairs
        )
    repairs: tuple[Repair, ...] = ()
    if failure.remedy:
        repairs = (Repair(failure.remedy, ""),)
    # A step on several hosts raises its own error from the first host's.
    from_docker = isinstance(failure, DockerError) or isinstance(failure.__cause__, DockerError)
    if from_docker:
        known = explain_refusal(failure.what, host, _effective_values(given))
        if known is not None:
            return replace(known, repairs=(*repairs, *known.repairs))
    return Diagnosed(host=host, title=failure.what, explanation="", evidence="", repairs=repairs)
