"""The model step: downloaded once on the workstation, then sent to every host at once where it is missing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.launch.containers import shell_path
from sparkrun_tui.launch.context import Context, closing, insist, on_all, regain
from sparkrun_tui.launch.events import StepState
from sparkrun_tui.launch.model_sources import as_request, as_stored, held_by, lacking, nowhere
from sparkrun_tui.launch.steps_check import replan
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.hub import HubError
from sparkrun_tui.remote.ports import ModelRequest, StoredModel, Transfer
from sparkrun_tui.runtimes.common import HF_HOME
from sparkrun_tui.runtimes.plan import HostView, ModelNeed, Phase

T = TypeVar("T")

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
    services, views = context.services, context.plan.hosts
    try:
        plan = await services.models.plan(request, context.token)
    except HubError as error:
        if not error.unreached:
            raise
        return await _without_hub(context, request, error)
    model = as_stored(plan, request)
    missing = await _insist(context, lambda: lacking(services, views, model))
    return None if missing else model


async def _without_hub(context: Context, request: ModelRequest, why: HubError) -> StoredModel:
    """The model when every host holds it whole by its own files; raises `LaunchError` when one does not."""
    services, views = context.services, context.plan.hosts
    model = await _insist(context, lambda: held_by(services, views, request))
    if model is None:
        raise nowhere(request, context.hosts, why)
    found = model
    missing = await _insist(context, lambda: lacking(services, views, found))
    if missing:
        raise nowhere(request, missing, why)
    context.notice("note", f"{why.what}; every host has {request.repo}, so it is not needed")
    return model


async def _insist(context: Context, ask: Callable[[], Awaitable[T]]) -> T:
    """Ask all hosts, again once whichever was lost is back."""
    while True:
        try:
            return await ask()
        except LinkLost as lost:
            await regain(context, lost.host, lost)


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
