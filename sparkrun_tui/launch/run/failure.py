"""Why a launch failed, as one event: the engine's own words where its logs have them, else what step failed."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase, RankPlan
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis, ExitInfo, explain_refusal
from sparkrun_tui.launch.record.events import Diagnosed, StepState
from sparkrun_tui.launch.run.parts.defects import rule_defect
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.watch import RankEnded, inspect
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.docker.types import DockerError

_BARE = "the container ended with exit code"
_ASK = 3.0
_REMOVAL = 1.5
"""Seconds between the end of a container and its removal, when somebody stops it."""

_LAST_LINES = 5.0
"""Seconds that the last lines of a container that has ended are waited for."""


async def report_failure(given: Given, running: Running, report: Reporter, failure: SparkrunError) -> None:
    """Emit the diagnosis of `failure`."""
    if isinstance(failure, RankEnded):
        await running.followers.drained_one(failure.ended.rank.rank, _LAST_LINES)
    in_logs = _engine_spoke(given, report, failure)
    settle(report, failure)
    found = await _from_logs(given, running, report, await _exits(given, running)) if in_logs else None
    report.bus.emit(found or _from_failure(given, failure))


async def removed_elsewhere(given: Given, running: Running, failure: SparkrunError) -> bool:
    """Whether what served has ended because somebody else has stopped and removed it, from another terminal say."""
    if not isinstance(failure, RankEnded) or not running.served:
        return False
    if not failure.ended.gone:
        await asyncio.sleep(_REMOVAL)
    with suppress(HostError):
        ended = await inspect(given, running, failure.ended.rank)
        return ended is not None and ended.gone
    return False


def _engine_spoke(given: Given, report: Reporter, failure: SparkrunError) -> bool:
    """Whether the cause is to be looked for in the logs: not while a step of the launch failed before the engine."""
    if isinstance(failure, RankEnded) or given.plan.serve.delegated:
        return True
    rows = report.bus.state.hosts.values()
    return all((cell := row.cells.get(Phase.START)) is not None and cell.state is StepState.OK for row in rows)


def settle(report: Reporter, failure: SparkrunError | None = None) -> None:
    """Nothing runs any more: what was under way has failed where the failure was, and was cancelled elsewhere."""
    for host, row in report.bus.state.hosts.items():
        for phase, cell in row.cells.items():
            if cell.state is StepState.RUNNING:
                failed = failure is not None and host == failure.host
                report.step(host, phase, StepState.FAILED if failed else StepState.CANCELLED, cell.detail)


async def _exits(given: Given, running: Running) -> dict[str, ExitInfo]:
    """How the ranks are that have ended by now; hosts that cannot be asked at once are left out."""
    exits: dict[str, ExitInfo] = {}

    async def one(rank: RankPlan) -> None:
        with suppress(HostError, TimeoutError):
            async with asyncio.timeout(_ASK):
                ended = await inspect(given, running, rank)
            if ended is not None:
                exits[rank.host] = ExitInfo(ended.code, ended.oom_killed, restarted=ended.restarted)

    await asyncio.gather(*(one(rank) for rank in given.ranks if rank.rank in running.containers))
    return exits


async def _from_logs(given: Given, running: Running, report: Reporter, exits: dict[str, ExitInfo]) -> Diagnosed | None:
    lines = {host: buffer.since(0) for host, buffer in report.bus.logs.items()}
    ordered = {host: lines[host] for host in given.hosts if host in lines}
    chain = given.plan.rendered.chain
    head = running.facts.get(given.plan.serve.ready.host)
    diagnosis = Diagnosis(
        given.plan.serve.engine,
        values={key: item.value.text for key, item in chain.items()},
        memory_total=head.memory_total if head else None,
        report=rule_defect(report, given.hosts[0] if given.hosts else ""),
    )
    turns = Turns()
    for host, rows in ordered.items():
        for row in rows:
            diagnosis.read(host, (row,))
            await turns.rest()
    found = diagnosis.result(exits)
    if found is not None and found.evidence.startswith(_BARE):
        # Nothing in the log is known to be a cause: the last that was said is the best there is.
        last = next((line.text for line in reversed(lines.get(found.host, [])) if line.text.strip()), "")
        return replace(found, evidence=last.strip() or found.evidence)
    return found


def _from_failure(given: Given, failure: SparkrunError) -> Diagnosed:
    host = failure.host or (given.hosts[0] if given.hosts else "")
    repairs = (Repair(failure.remedy, ""),) if failure.remedy else ()
    # A step on several hosts raises its own error from the first one.
    if isinstance(failure, DockerError) or isinstance(failure.__cause__, DockerError):
        values = {key: link.value.text for key, link in given.plan.rendered.chain.items()}
        known = explain_refusal(failure.what, host, values)
        if known is not None:
            return replace(known, repairs=(*repairs, *known.repairs))
    return Diagnosed(host=host, title=failure.what, explanation="", evidence="", repairs=repairs)
