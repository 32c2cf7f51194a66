"""Why a launch failed, told as one event: the engine's own words where its logs have them, else what step failed."""

from __future__ import annotations

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.launch.context import Context
from sparkrun_tui.launch.diagnosis import ExitInfo, diagnose
from sparkrun_tui.launch.events import Diagnosed, Repair
from sparkrun_tui.launch.watch import RankEnded

_LAST_LINES = 5.0
"""Seconds that the last lines of a container that has ended are waited for."""


async def tell_failure(context: Context, failure: SparkrunError) -> None:
    """Emit the diagnosis of `failure`."""
    if isinstance(failure, RankEnded) and context.followers is not None:
        await context.followers.drained_one(failure.ended.rank.rank, _LAST_LINES)
    started = bool(context.containers)
    found = _from_logs(context, failure) if started else None
    context.bus.emit(found or _from_failure(context, failure))


def _from_logs(context: Context, failure: SparkrunError) -> Diagnosed | None:
    lines = {host: buffer.since(0) for host, buffer in context.bus.logs.items()}
    ordered = {host: lines[host] for host in context.hosts if host in lines}
    exits: dict[str, ExitInfo] = {}
    if isinstance(failure, RankEnded):
        exits[failure.ended.rank.host] = ExitInfo(failure.ended.code, failure.ended.oom_killed)
    chain = context.plan.rendered.chain
    head = context.facts.get(context.plan.serve.ready.host)
    return diagnose(
        context.plan.serve.engine,
        ordered,
        exits,
        values={key: item.value.text for key, item in chain.items()},
        memory_total=head.memory_total if head else None,
    )


def _from_failure(context: Context, failure: SparkrunError) -> Diagnosed:
    host = failure.host or (context.hosts[0] if context.hosts else "")
    repairs = (Repair(failure.remedy, ""),) if failure.remedy else ()
    return Diagnosed(host=host, title=failure.what, explanation="", evidence="", repairs=repairs)
