"""Inspects the hosts of a plan before anything is done: what is there, what must move, what stands in the way."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.units import format_bytes, format_gib
from sparkrun_tui.engines.plan import HostView, ModelNeed, Phase
from sparkrun_tui.launch.plan.host_views import probe_paths, view_of
from sparkrun_tui.launch.plan.model_sources import as_request, as_stored, find_source, held_by
from sparkrun_tui.launch.plan.plan import LaunchPlan, build_plan
from sparkrun_tui.launch.plan.preflight import Finding, Surroundings, Verdict, judge
from sparkrun_tui.launch.plan.shapes import WORKSTATION, Command, PlanStep
from sparkrun_tui.launch.plan.steps import download_command, relay_command
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.sizing.calibration import remember_image
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel
from sparkrun_tui.remote.probe.facts import HostFacts


@dataclass(slots=True)
class _Inspected:
    """What the hosts said. Hosts that did not answer are in `errors` alone."""

    facts: dict[str, HostFacts] = field(default_factory=dict)
    around: dict[str, Surroundings] = field(default_factory=dict)
    errors: dict[str, HostError] = field(default_factory=dict)


async def inspect(
    plan: LaunchPlan, services: Services, token: Secret | None = None, memory_needed: int | None = None
) -> tuple[LaunchPlan, dict[str, HostFacts]]:
    """The plan with what its hosts hold now, and their facts; nothing is changed on them.

    Steps name the hosts that still need something and how many bytes move; what stands in the way is among the
    problems. Sizes are left open where the Hub cannot be asked.
    """
    seen = _Inspected()
    await asyncio.gather(*(_ask(plan, services, host, seen) for host in plan.host_names))
    views = [view_of(seen.facts[v.name], plan.cluster, v.name) if v.name in seen.facts else v for v in plan.hosts]
    plan = build_plan(
        plan.rendered, plan.cluster, views, launch_id=plan.launch_id, solo=len(views) == 1, env=plan.env,
        brought=plan.brought,
        attention_heads=plan.attention_heads,
    )  # fmt: skip
    models = [await _model(plan, need, services, token, seen) for need in plan.serve.models]
    findings = judge(plan, seen.facts, seen.around, memory_needed)
    problems = (*plan.problems, *map(_problem, findings), *(_silent(error) for error in seen.errors.values()))
    return replace(
        plan, steps=_steps(plan, seen, zip(plan.serve.models, models, strict=True)), problems=problems
    ), seen.facts


async def _ask(plan: LaunchPlan, services: Services, host: str, seen: _Inspected) -> None:
    try:
        transport = services.connector(host)
        await transport.connect()
        facts = await services.probe(transport, probe_paths(plan.cluster), (plan.serve.ready.port,))
        around = Surroundings()
        if facts.docker_access == "ok":
            docker = services.docker(transport)
            image = await docker.image(plan.serve.image)
            if not plan.cluster.is_demo:
                remember_image(plan.serve.engine, plan.serve.image, image)
            around = Surroundings.seen(await docker.containers(), image)
    except HostError as error:
        seen.errors[host] = error
        return
    seen.facts[host], seen.around[host] = facts, around


@dataclass(frozen=True, slots=True)
class _Model:
    """A model need: its size where it is known, how much of it the workstation lacks, and the hosts without it."""

    size: int | None
    download: int
    missing: tuple[str, ...]
    files: tuple[str, ...] = ()
    """The files of a GGUF quantisation, once they are known."""
    source: str = ""
    """The host that has it and sends it to the others."""


async def _model(
    plan: LaunchPlan, need: ModelNeed, services: Services, token: Secret | None, seen: _Inspected
) -> _Model:
    request = as_request(need)
    download = 0
    try:
        stored: StoredModel | None = await services.models.stored(request)
        if stored is None:
            wanted = await services.models.plan(request, token)
            stored, download = as_stored(wanted, request), wanted.missing
    except SparkrunError:
        stored = await _without_hub(plan, request, services, seen)
    if stored is None:
        return _Model(None, 0, plan.host_names)
    model = stored
    asked = [view for view in plan.hosts if view.name in seen.facts]

    async def present(name: str, cache: str) -> bool:
        try:
            return await services.shipper.present(model, services.connector(name), cache)
        except HostError:
            return False

    found = await asyncio.gather(*(present(view.name, view.hf_cache) for view in asked))
    have = {view.name for view, there in zip(asked, found, strict=True) if there}
    missing = tuple(name for name in plan.host_names if name not in have)
    source = await _source(services, asked, model) if have and missing else ""
    if source:
        download = 0
    files = tuple(file.name for file in stored.files) if need.gguf_quant else ()
    return _Model(stored.size, download if missing else 0, missing, files, source)


async def _source(services: Services, views: Sequence[HostView], model: StoredModel) -> str:
    """The host that will send the model to the others; empty when none can."""
    try:
        source = await find_source(services, views, model)
    except HostError:
        return ""
    return source.name if source is not None else ""


async def _without_hub(
    plan: LaunchPlan, request: ModelRequest, services: Services, seen: _Inspected
) -> StoredModel | None:
    """The model as a host that answers holds it whole."""
    try:
        return await held_by(services, [view for view in plan.hosts if view.name in seen.facts], request)
    except HostError:
        return None


def _steps(plan: LaunchPlan, seen: _Inspected, models: Iterable[tuple[ModelNeed, _Model]]) -> tuple[PlanStep, ...]:
    remaining = iter(models)
    steps = []
    for step in plan.steps:
        if step.phase is Phase.CHECK:
            step = replace(step, detail=_check_detail(plan, seen))
        elif step.phase is Phase.IMAGE:
            missing = tuple(h for h in step.hosts if not seen.around.get(h, Surroundings()).has_image)
            step = _only(step, missing, f"pull {plan.serve.image}", None)
        elif step.phase is Phase.MODEL:
            need, model = next(remaining)
            step = _only(step, model.missing, _move(step, model), model.size)
            step = replace(step, commands=tuple(_transfers(plan, step, need, model)))
        steps.append(step)
    return tuple(steps)


def _transfers(plan: LaunchPlan, step: PlanStep, need: ModelNeed, model: _Model) -> Iterable[Command]:
    """What moves the model: from a host that has it, else from here, after a download where there is one to be had."""
    views = {view.name: view for view in plan.hosts}
    if model.source:
        for name in model.missing:
            yield relay_command(need, views[model.source], views[name])
        return
    for command in step.commands:
        if not command.downloads:
            yield command
        elif model.size is None or model.download:
            yield replace(command, text=download_command(need, model.files))


def _move(step: PlanStep, model: _Model) -> str:
    size = f" {format_bytes(model.size)}" if model.size is not None else ""
    what = step.detail.partition(",")[0]
    if model.source:
        return f"rsync {what}{size} from {model.source}"
    first = f"download {format_bytes(model.download)} here, then send" if model.download else "send"
    return f"{first} {what}{size}" + (" to each" if len(model.missing) > 1 else "")


def _only(step: PlanStep, missing: Sequence[str], detail: str, size: int | None) -> PlanStep:
    """The step for the hosts that need it; with none left it has nothing to do."""
    have = [host for host in step.hosts if host not in missing]
    if not missing:
        return replace(step, detail="on all hosts already", commands=(), size=0)
    commands = tuple(
        command
        for command in step.commands
        if command.host in missing or (command.host == WORKSTATION and command.target not in have)
    )
    shown = f"{detail}; {', '.join(have)} {'has' if len(have) == 1 else 'have'} it" if have else detail
    total = None if size is None else size * len(missing)
    return replace(step, hosts=tuple(missing), detail=shown, commands=commands, size=total)


def _check_detail(plan: LaunchPlan, seen: _Inspected) -> str:
    """What the hosts have in common, and their free room."""
    known = [seen.facts[name] for name in plan.host_names if name in seen.facts]
    if not known:
        return "no host answers"
    versions = "/".join(dict.fromkeys(f"Docker {facts.docker_version}" for facts in known if facts.docker_version))
    free = "/".join(format_gib(disk.free, 0) for facts in known if (disk := facts.disk_for(facts.hf_cache)) is not None)
    memory = "/".join(format_gib(facts.memory_available, 0) for facts in known)
    parts = ["reachable", versions, f"disk {free} free" if free else "", f"memory {memory} available"]
    return ", ".join(part for part in parts if part)


def _problem(finding: Finding) -> Problem:
    severity = Severity.ERROR if finding.verdict is Verdict.FAIL else Severity.WARNING
    return Problem(severity, finding.code, f"{finding.host}: {finding}", remedy=finding.remedy)


def _silent(error: HostError) -> Problem:
    return Problem(Severity.ERROR, "unreachable", f"{error.host}: {error.what}", remedy=error.remedy)
