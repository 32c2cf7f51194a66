"""The check step: reach every host, probe it, plan again with what it said, and judge before anything is changed."""

from __future__ import annotations

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.host_views import probe_paths, view_of
from sparkrun_tui.launch.plan.plan import build_plan
from sparkrun_tui.launch.plan.preflight import Finding, Surroundings, Verdict, judge
from sparkrun_tui.launch.record.events import MemorySeen, StepState
from sparkrun_tui.launch.run.parts.context import Context
from sparkrun_tui.launch.run.parts.host_work import insist, on_all
from sparkrun_tui.remote.transport import LinkState


async def check(context: Context) -> None:
    """Probe and judge all hosts. Raises `LaunchError` with the first thing that stands in the way."""
    around: dict[str, Surroundings] = {}

    async def one(host: str) -> None:
        context.step(host, Phase.CHECK, StepState.RUNNING)
        await insist(context, host, Phase.CHECK, lambda: _probe(context, host))
        around[host] = await insist(context, host, Phase.CHECK, lambda: _look(context, host))

    await on_all(context, Phase.CHECK, context.hosts, one)
    replan(context)
    findings = judge(context.plan, context.facts, around, context.memory_needed)
    _tell(context, findings)


def replan(context: Context, gguf_path: str = "") -> None:
    """Lay the plan out again on what the probes said: real paths, addresses, free ports. The launch id stays."""
    plan = context.plan
    views = [
        view_of(context.facts[view.name], plan.cluster, view.name) if view.name in context.facts else view
        for view in plan.hosts
    ]
    context.plan = build_plan(
        plan.rendered,
        plan.cluster,
        views,
        launch_id=plan.launch_id,
        solo=len(views) == 1,
        env=plan.env,
        brought=plan.brought,
        attention_heads=plan.attention_heads,
        gguf_path=gguf_path,
    )


async def _probe(context: Context, host: str) -> None:
    transport = context.transport(host)
    try:
        await transport.connect()
    except HostError:
        status = transport.link
        context.link(host, status.state, status.detail)
        raise
    context.link(host, LinkState.UP)
    ports = (context.plan.serve.ready.port,)
    facts = await context.services.probe(transport, probe_paths(context.plan.cluster), ports)
    context.facts[host] = facts
    context.bus.emit(MemorySeen(host=host, available=facts.memory_available, total=facts.memory_total))


async def _look(context: Context, host: str) -> Surroundings:
    if context.facts[host].docker_access != "ok":
        return Surroundings()
    docker = context.docker(host)
    containers = await docker.containers()
    image = await docker.image(context.plan.serve.image)
    return Surroundings.seen(containers, image)


def _tell(context: Context, findings: tuple[Finding, ...]) -> None:
    stopping: list[Finding] = []
    for finding in findings:
        waived = finding.verdict is Verdict.WARN or (finding.overridable and finding.code in context.overridden)
        context.notice("warning" if waived else "error", str(finding), finding.host)
        if not waived:
            stopping.append(finding)
    failed = {finding.host for finding in stopping}
    for host in context.hosts:
        if host in failed:
            first = next(finding for finding in stopping if finding.host == host)
            context.step(host, Phase.CHECK, StepState.FAILED, first.what)
        else:
            context.step(host, Phase.CHECK, StepState.OK)
    if stopping:
        first = stopping[0]
        raise LaunchError(str(first), host=first.host, remedy=first.remedy)
