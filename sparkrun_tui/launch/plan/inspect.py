"""Inspects the hosts of a plan before anything changes: what they hold, what must be moved, what prevents a launch."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import field, replace

from sparkrun_tui.base.errors import HostError, SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.units import format_bytes, format_gib
from sparkrun_tui.engines.plan import HostView, ImageRay, ModelNeed, Phase
from sparkrun_tui.launch.image_ray import kept_of, key_of
from sparkrun_tui.launch.plan.host_views import probe_paths
from sparkrun_tui.launch.plan.making import plan_again
from sparkrun_tui.launch.plan.model_sources import as_request, as_stored, find_source, held_by, stored_whole
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.plan.preflight import Finding, Surroundings, Verdict, judge
from sparkrun_tui.launch.plan.shapes import WORKSTATION, Command, PlanStep
from sparkrun_tui.launch.plan.steps import download_command, relay_command
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.sizing.calibration import remember_image
from sparkrun_tui.launch.sizing.host_models import look_at_model
from sparkrun_tui.recipe.format.hooks import model_on_hosts
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.remote.docker.types import ImageInfo
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.probe.model_path import PathSeen


@dataclass(slots=True)
class _Inspected:
    """The answers of the hosts. A host that did not answer is only in `errors`."""

    facts: dict[str, HostFacts] = field(default_factory=dict)
    around: dict[str, Surroundings] = field(default_factory=dict)
    errors: dict[str, HostError] = field(default_factory=dict)
    images: dict[str, ImageInfo] = field(default_factory=dict)


async def inspect(
    plan: LaunchPlan, services: Services, token: Secret | None = None, memory_needed: int | None = None
) -> tuple[LaunchPlan, dict[str, HostFacts]]:
    """The plan with what its hosts hold now, and the facts of each host that answered; changes nothing on them.

    Steps name only the hosts that still need something, and how many bytes move. What prevents the launch is among the
    problems. `memory_needed` is bytes per host. Sizes are unknown where the Hub cannot be asked.
    """
    seen = _Inspected()
    await asyncio.gather(*(_ask(plan, services, host, seen) for host in plan.host_names))
    plan = plan_again(plan, seen.facts, ray=_kept_ray(plan, seen))
    models = [(need, await _model(plan, need, services, token, seen)) for need in plan.serve.models]
    problems = list(plan.problems)
    problems += map(_problem, judge(plan, seen.facts, seen.around, memory_needed))
    problems += map(_unreachable, seen.errors.values())
    steps = _steps(plan, seen, models)
    return replace(plan, steps=steps, problems=tuple(problems)), seen.facts


def _kept_ray(plan: LaunchPlan, seen: _Inspected) -> ImageRay:
    """What is kept of Ray in the image that the head node has; no image is asked here."""
    head = plan.serve.ready.host
    image = seen.images.get(head)
    if image is None:
        return plan.ray
    found = kept_of(head, key_of(image))
    if (found.has, found.version) == (plan.ray.has, plan.ray.version):
        return plan.ray
    return found


async def _ask(plan: LaunchPlan, services: Services, host: str, seen: _Inspected) -> None:
    try:
        transport = services.connector(host)
        await transport.connect()
        facts = await services.probe(transport, probe_paths(plan.cluster), (plan.serve.ready.port,))
        around = Surroundings()
        seen_model = await see_model(plan, services, host)
        if facts.docker_access == "ok":
            docker = services.docker(transport)
            name = plan.serve.image_on(host)
            image = await docker.image(name)
            if not plan.cluster.is_demo:
                remember_image(plan.serve.engine, name, image)
            if image is not None:
                seen.images[host] = image
            around = Surroundings.seen(await docker.containers(), image)
    except HostError as error:
        seen.errors[host] = error
        return
    seen.facts[host], seen.around[host] = facts, replace(around, model_path=seen_model)


async def see_model(plan: LaunchPlan, services: Services, host: str) -> PathSeen | None:
    """What a host has at the path of the plan's model; None for a model without a path. Raises `HostError`."""
    model = model_on_hosts(plan.rendered.recipe)
    if model is None or not model.source:
        return None
    return await look_at_model(services.connector(host), model)


@dataclass(frozen=True, slots=True)
class _Model:
    """A needed model: its size in bytes, the bytes to download to the workstation, and the hosts that lack it."""

    size: int | None
    download: int
    missing: tuple[str, ...]
    files: tuple[str, ...] = ()
    """The files of a GGUF quantisation; empty while they are unknown."""
    source: str = ""
    """The host that sends it to the others; empty when the workstation does."""


async def _model(
    plan: LaunchPlan, need: ModelNeed, services: Services, token: Secret | None, seen: _Inspected
) -> _Model:
    request = as_request(need)
    download = 0
    try:
        stored: StoredModel | None = await stored_whole(services, request, token)
        if stored is None:
            wanted = await services.models.plan(request, token)
            stored, download = as_stored(wanted, request), wanted.missing
    except SparkrunError:
        stored = await _without_hub(plan, request, services, seen)
    if stored is None:
        return _Model(None, 0, plan.host_names)

    asked = [view for view in plan.hosts if view.name in seen.facts]
    present = await asyncio.gather(*(_present(services, stored, view) for view in asked))
    have = {view.name for view, there in zip(asked, present, strict=True) if there}
    missing = tuple(name for name in plan.host_names if name not in have)
    source = ""
    if have and missing:
        source = await _source(services, asked, stored)
    if source or not missing:
        download = 0
    files: tuple[str, ...] = ()
    if need.gguf_quant:
        files = tuple(file.name for file in stored.files)
    return _Model(stored.size, download, missing, files, source)


async def _present(services: Services, model: StoredModel, view: HostView) -> bool:
    """Whether a host holds all of a model; False when it cannot be asked."""
    try:
        return await services.shipper.present(model, services.connector(view.name), view.hf_cache)
    except HostError:
        return False


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
    """The model as one of the hosts that answer holds it completely; None when none does."""
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
            step = _only(step, missing, f"pull {' and '.join(dict.fromkeys(map(plan.serve.image_on, missing)))}", None)
        elif step.phase is Phase.MODEL:
            need, model = next(remaining)
            step = _only(step, model.missing, _move(step, model), model.size)
            step = replace(step, commands=tuple(_transfers(plan, step, need, model)))
        steps.append(step)
    return tuple(steps)


def _transfers(plan: LaunchPlan, step: PlanStep, need: ModelNeed, model: _Model) -> Iterable[Command]:
    """The commands that move the model: from a host that has it, else from this machine, after a download if needed."""
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
    what = step.detail.partition(",")[0]
    if model.size is not None:
        what += f" {format_bytes(model.size)}"
    if model.source:
        return f"rsync {what} from {model.source}"
    if len(model.missing) > 1:
        what += " to each"
    if model.download:
        return f"download {format_bytes(model.download)} here, then send {what}"
    return f"send {what}"


def _only(step: PlanStep, missing: Sequence[str], detail: str, size: int | None) -> PlanStep:
    """The step for the hosts that need it; without any, a step that has nothing to do. `size` is bytes per host."""
    if not missing:
        return replace(step, detail="on all hosts already", commands=(), size=0)
    have = [host for host in step.hosts if host not in missing]
    commands = []
    for command in step.commands:
        from_here = command.host == WORKSTATION and command.target not in have
        if from_here or command.host in missing:
            commands.append(command)
    if have:
        verb = "has" if len(have) == 1 else "have"
        detail = f"{detail}; {', '.join(have)} {verb} it"
    total = None if size is None else size * len(missing)
    return replace(step, hosts=tuple(missing), detail=detail, commands=tuple(commands), size=total)


def _check_detail(plan: LaunchPlan, seen: _Inspected) -> str:
    """One line about the hosts that answered: their Docker versions, free disk and available memory."""
    known = [seen.facts[name] for name in plan.host_names if name in seen.facts]
    if not known:
        return "no host answers"
    versions: list[str] = []
    free: list[str] = []
    memory: list[str] = []
    for facts in known:
        version = f"Docker {facts.docker_version}"
        if facts.docker_version and version not in versions:
            versions.append(version)
        disk = facts.disk_for(facts.hf_cache)
        if disk is not None:
            free.append(format_gib(disk.free, 0))
        memory.append(format_gib(facts.memory_available, 0))
    parts = ["reachable"]
    if versions:
        parts.append("/".join(versions))
    if free:
        parts.append(f"disk {_each(free)} free")
    parts.append(f"memory {_each(memory)} available")
    return ", ".join(parts)


def _each(figures: Sequence[str]) -> str:
    """The figures of several hosts: one when they are equal, else all, in the order of the hosts."""
    if len(set(figures)) == 1:
        return figures[0] if len(figures) == 1 else f"{figures[0]} each"
    return " and ".join(figures)


def _problem(finding: Finding) -> Problem:
    severity = Severity.ERROR if finding.verdict is Verdict.FAIL else Severity.WARNING
    return Problem(severity, finding.code, f"{finding.host}: {finding}", remedy=finding.remedy)


def _unreachable(error: HostError) -> Problem:
    return Problem(Severity.ERROR, "unreachable", f"{error.host}: {error.what}", remedy=error.remedy)
