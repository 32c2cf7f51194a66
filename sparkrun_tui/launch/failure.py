"""Why a launch failed, told as one event: the engine's own words where its logs have them, else what step failed."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.launch.context import Context
from sparkrun_tui.launch.diagnosis import ExitInfo, diagnose
from sparkrun_tui.launch.events import Diagnosed, Repair, StepState
from sparkrun_tui.launch.watch import RankEnded

_BARE = "the container ended with exit code"
_LAST_LINES = 5.0
"""Seconds that the last lines of a container that has ended are waited for."""


async def tell_failure(context: Context, failure: SparkrunError) -> None:
    """Emit the diagnosis of `failure`."""
    if isinstance(failure, RankEnded) and context.followers is not None:
        await context.followers.drained_one(failure.ended.rank.rank, _LAST_LINES)
    settle(context, failure)
    started = bool(context.containers)
    found = _from_logs(context, failure) if started else None
    context.bus.emit(found or _from_failure(context, failure))


def settle(context: Context, failure: SparkrunError | None = None) -> None:
    """Nothing runs any more: what was under way has failed where the failure was, and was cancelled elsewhere."""
    for host, row in context.bus.state.hosts.items():
        for phase, cell in row.cells.items():
            if cell.state is StepState.RUNNING:
                failed = failure is not None and host == failure.host
                context.step(host, phase, StepState.FAILED if failed else StepState.CANCELLED, cell.detail)


def _from_logs(context: Context, failure: SparkrunError) -> Diagnosed | None:
    lines = {host: buffer.since(0) for host, buffer in context.bus.logs.items()}
    ordered = {host: lines[host] for host in context.hosts if host in lines}
    exits: dict[str, ExitInfo] = {}
    if isinstance(failure, RankEnded):
        exits[failure.ended.rank.host] = ExitInfo(failure.ended.code, failure.ended.oom_killed)
    chain = context.plan.rendered.chain
    head = context.facts.get(context.plan.serve.ready.host)
    found = diagnose(
        context.plan.serve.engine,
        ordered,
        exits,
        values={key: item.value.text for key, item in chain.items()},
        memory_total=head.memory_total if head else None,
    )
    if found is not None and found.evidence.startswith(_BARE):
        # Nothing in the log is known to be a cause: the last that was said is the best there is.
        last = next((line.text for line in reversed(lines.get(found.host, [])) if line.text.strip()), "")
        return replace(found, evidence=last.strip() or found.evidence)
    return found


def _from_failure(context: Context, failure: SparkrunError) -> Diagnosed:
    host = failure.host or (context.hosts[0] if context.hosts else "")
    repairs = (Repair(failure.remedy, ""),) if failure.remedy else ()
    return Diagnosed(host=host, title=failure.what, explanation="", evidence="", repairs=repairs)
