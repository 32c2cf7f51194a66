"""The model step: downloaded once on the workstation, then sent to every host at once where it is missing."""

from __future__ import annotations

import asyncio
from functools import partial

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.launch.containers import shell_path
from sparkrun_tui.launch.context import Context, closing, insist, on_all
from sparkrun_tui.launch.events import StepState
from sparkrun_tui.launch.steps_check import replan
from sparkrun_tui.remote.ports import ModelFile, ModelPlan, ModelRequest, StoredModel, Transfer
from sparkrun_tui.runtimes.common import HF_HOME
from sparkrun_tui.runtimes.gguf_files import choose
from sparkrun_tui.runtimes.plan import HostView, ModelNeed, Phase

SPARE = 5 * GIB


async def bring_models(context: Context) -> None:
    """Make sure every host holds every model of the plan; the plan then knows where a GGUF's first part lies."""
    for host in context.hosts:
        context.step(host, Phase.MODEL, StepState.RUNNING)
    sent: set[str] = set()
    gguf_path = ""
    for need in context.plan.serve.models:
        model = await _bring(context, need, sent)
        if model.entry and not gguf_path:
            gguf_path = f"{HF_HOME}/hub/{model.snapshot}/{model.entry}"
    for host in context.hosts:
        done = StepState.OK if host in sent else StepState.SKIPPED
        context.step(host, Phase.MODEL, done, "sent" if host in sent else "cached")
    if gguf_path:
        replan(context, gguf_path)


async def _bring(context: Context, need: ModelNeed, sent: set[str]) -> StoredModel:
    request = as_request(need)
    try:
        model = await context.services.models.stored(request)
        if model is None:
            model = await _there_already(context, request)
        if model is None:
            model = await _fetch(context, request)
    except SparkrunError as error:
        for host in context.hosts:
            context.step(host, Phase.MODEL, StepState.FAILED, error.what)
        raise
    except asyncio.CancelledError:
        for host in context.hosts:
            context.step(host, Phase.MODEL, StepState.CANCELLED)
        raise
    whole = model

    async def ship(host: str) -> None:
        if await insist(context, host, Phase.MODEL, lambda: _ship(context, host, whole)):
            sent.add(host)

    await on_all(context, Phase.MODEL, context.hosts, ship)
    return whole


async def _there_already(context: Context, request: ModelRequest) -> StoredModel | None:
    """The model when every host holds it whole, so that nothing has to pass through the workstation."""
    plan = await context.services.models.plan(request, context.token)
    model = as_stored(plan, request)
    for view in context.plan.hosts:
        if not await insist(context, view.name, Phase.MODEL, partial(_present, context, view, model)):
            return None
    return model


async def _present(context: Context, view: HostView, model: StoredModel) -> bool:
    return await context.services.shipper.present(model, context.transport(view.name), view.hf_cache)


def as_request(need: ModelNeed) -> ModelRequest:
    """What a plan needs of a model, as the source of models is asked for it."""
    return ModelRequest(need.repo, need.revision, need.patterns, need.gguf_quant)


def as_stored(plan: ModelPlan, request: ModelRequest) -> StoredModel:
    """What a planned download will be once it is there; its files are those of the plan."""
    files = tuple(ModelFile(file.name, file.size, True) for file in plan.files)
    entry = ""
    if request.gguf_quant:
        projector = request.patterns[0] if request.patterns else ""
        entry = choose((file.name for file in files), request.gguf_quant, projector).first
    ref = request.revision or "main"
    return StoredModel(plan.repo, plan.commit, "", files, entry, "" if ref == plan.commit else ref)


async def _fetch(context: Context, request: ModelRequest) -> StoredModel:
    model: StoredModel | None = None
    async with closing(context.services.models.fetch(request, context.token)) as items:
        async for item in items:
            if isinstance(item, StoredModel):
                model = item
                continue
            told = Transfer(item.done, item.total, item.rate, item.detail or "downloading here")
            for host in context.hosts:
                context.progress(host, Phase.MODEL, told)
    if model is None:
        raise LaunchError(f"the download of {request.repo} ended early", remedy=f"hf download {request.repo}")
    return model


async def _ship(context: Context, host: str, model: StoredModel) -> bool:
    """Send the model where it is missing; whether anything had to be sent."""
    view = next(view for view in context.plan.hosts if view.name == host)
    transport = context.transport(host)
    shipper = context.services.shipper
    if await shipper.present(model, transport, view.hf_cache):
        return False
    await _room(context, view, model)
    async with closing(shipper.ship(model, transport, view.hf_cache)) as moving:
        async for moved in moving:
            context.progress(host, Phase.MODEL, moved)
    return True


async def _room(context: Context, view: HostView, model: StoredModel) -> None:
    facts = context.facts.get(view.name)
    disk = facts.disk_for(view.hf_cache) if facts else None
    if disk is None or "disk" in context.overridden or disk.free >= model.size + SPARE:
        return
    folder = f"{view.hf_cache}/hub/{model.folder}"
    held = await context.transport(view.name).run(f"du -sk -- {shell_path(folder)} 2>/dev/null | cut -f1")
    there = int(held.stdout.strip()) * 1024 if held.ok and held.stdout.strip().isdecimal() else 0
    if disk.free < model.size - there + SPARE:
        needed = format_gib(model.size - there + SPARE)
        raise LaunchError(
            f"not enough disk for {model.repo}: {format_gib(disk.free)} free in {view.hf_cache}, {needed} needed",
            host=view.name,
            remedy=f"Make room on {view.name}: du -sh {view.hf_cache}/hub/*",
        )
