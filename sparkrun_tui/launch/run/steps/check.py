"""The check step: probes every host, makes the plan again with the answers, and judges before anything is changed."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.plan import ImageRay, Phase
from sparkrun_tui.launch.plan.host_views import probe_paths
from sparkrun_tui.launch.plan.inspect import see_model
from sparkrun_tui.launch.plan.making import plan_again
from sparkrun_tui.launch.plan.plan import CONDITIONS, stopped_by
from sparkrun_tui.launch.plan.preflight import Finding, Surroundings, Verdict, judge
from sparkrun_tui.launch.record.events import HostNamed, MemorySeen, StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import insist, on_all
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState

_MOST_NAME = 253
"""Letters of the longest name that a host can have."""


async def check(given: Given, running: Running, report: Reporter) -> None:
    """Probe and judge all hosts. Raises `LaunchError` with the first finding that stops the launch."""
    around: dict[str, Surroundings] = {}

    async def one(host: str) -> None:
        report.step(host, Phase.CHECK, StepState.RUNNING)
        await insist(given, report, host, Phase.CHECK, lambda: _probe(given, running, report, host))
        around[host] = await insist(given, report, host, Phase.CHECK, lambda: _inspect(given, running, host))

    await on_all(report, Phase.CHECK, given.hosts, one)
    replan(given, running)
    findings = judge(given.plan, running.facts, around, given.memory_needed)
    _report_findings(given, report, findings)


def replan(given: Given, running: Running, *, ray: ImageRay | None = None, **found: str) -> None:
    """Make the plan again with the probes' answers: real paths, addresses, free ports. The launch id stays the same.

    `found` are the paths of the model, as `build_plan` takes them; `ray` is what the image says of Ray, None where it
    was not asked. Raises `LaunchError` when other conditions of the recipe hold on the hosts as they are.
    """
    given.plan = plan_again(given.plan, running.facts, ray=ray, **found)
    for problem in given.plan.errors:
        if problem.code == CONDITIONS:
            raise stopped_by(problem)


async def _probe(given: Given, running: Running, report: Reporter, host: str) -> None:
    transport = given.transport(host)
    try:
        await transport.connect()
    except HostError:
        status = transport.link
        report.link(host, status.state, status.detail)
        raise
    report.link(host, LinkState.UP)
    ports = (given.plan.serve.ready.port,)
    facts = await given.services.probe(transport, probe_paths(given.plan.cluster), ports)
    running.facts[host] = facts
    report.bus.emit(MemorySeen(host=host, available=facts.memory_available, total=facts.memory_total))
    report.bus.emit(named(host, facts))


def named(host: str, facts: HostFacts) -> HostNamed:
    """What a host calls itself, also without its domain, and who logs in there; a host may say anything."""
    whole = shorten(facts.hostname, _MOST_NAME)
    names = tuple(name for name in dict.fromkeys((whole, whole.partition(".")[0])) if name)
    return HostNamed(host=host, names=names, user=shorten(facts.user, _MOST_NAME))


async def _inspect(given: Given, running: Running, host: str) -> Surroundings:
    model = await see_model(given.plan, given.services, host)
    if running.facts[host].docker_access != "ok":
        return Surroundings(model_path=model)
    docker = given.docker(host)
    containers = await docker.containers()
    image = await docker.image(given.plan.serve.image_on(host))
    return replace(Surroundings.seen(containers, image), model_path=model)


def _report_findings(given: Given, report: Reporter, findings: tuple[Finding, ...]) -> None:
    stopping: list[Finding] = []
    first_of_host: dict[str, Finding] = {}
    for finding in findings:
        ignored = finding.ignorable and finding.code in given.ignored
        if ignored or finding.verdict is Verdict.WARN:
            report.notice("warning", str(finding), finding.host)
            continue
        report.notice("error", str(finding), finding.host)
        stopping.append(finding)
        first_of_host.setdefault(finding.host, finding)
    for host in given.hosts:
        stopped_by = first_of_host.get(host)
        if stopped_by is None:
            report.step(host, Phase.CHECK, StepState.OK)
        else:
            report.step(host, Phase.CHECK, StepState.FAILED, stopped_by.what)
    if stopping:
        first = stopping[0]
        raise LaunchError(str(first), host=first.host, remedy=first.remedy)
