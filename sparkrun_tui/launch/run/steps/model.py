"""The model step: sends the model to every host that lacks it, from a host that has it, else from this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.base.make_room import room_for_models
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.engines.layout.caches import HF_HOME
from sparkrun_tui.engines.plan import HostView, ModelNeed, Phase
from sparkrun_tui.launch.plan.host_views import fast_address
from sparkrun_tui.launch.plan.model_sources import (
    as_request,
    as_stored,
    find_source,
    held_by,
    lacking,
    nowhere,
    projector_in,
    stored_whole,
)
from sparkrun_tui.launch.record.events import StepState
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.host_work import Losses, insist, on_all, regain
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.launch.run.steps.check import replan
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.hub.downloads import HubError
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel, Transfer

T = TypeVar("T")

SPARE = 5 * GIB
"""Bytes that must stay free on a host's disk after the transfer."""


async def bring_models(given: Given, running: Running, report: Reporter) -> None:
    """Make sure that every host has every model of the plan, and set the paths of a GGUF and its projector in it."""
    for host in given.hosts:
        report.step(host, Phase.MODEL, StepState.RUNNING)
    sent: set[str] = set()
    gguf_path, gguf_projector = "", ""
    model_path, model_commit = "", ""
    own = split_gguf(given.plan.serve.recipe.model)[0]
    for need in given.plan.serve.models:
        model = await _bring(given, running, report, need, sent)
        if need.repo == own and not model_path:
            model_path = f"{HF_HOME}/hub/{model.snapshot}"
            if model.entry:
                model_path += f"/{model.entry}"
            model_commit = str(model.commit)
        if not model.entry or gguf_path:
            continue
        folder = f"{HF_HOME}/hub/{model.snapshot}"
        gguf_path = f"{folder}/{model.entry}"
        projector = projector_in(model, as_request(need))
        if projector:
            gguf_projector = f"{folder}/{projector}"
    for host in given.hosts:
        if host in sent:
            report.step(host, Phase.MODEL, StepState.OK, "sent")
        else:
            report.step(host, Phase.MODEL, StepState.SKIPPED, "cached" if given.plan.serve.models else "on the host")
    if gguf_path or model_path:
        replan(
            given,
            running,
            model_path=model_path,
            model_commit=model_commit,
            gguf_path=gguf_path,
            gguf_projector=gguf_projector,
        )


async def _bring(given: Given, running: Running, report: Reporter, need: ModelNeed, sent: set[str]) -> StoredModel:
    request = as_request(need)
    try:
        model = await stored_whole(given.services, request, given.token)
        if model is None:
            model = await _there_already(given, report, request)
        if model is None:
            model = await _fetch(given, report, request)
    except SparkrunError as error:
        for host in given.hosts:
            report.step(host, Phase.MODEL, StepState.FAILED, error.what)
        raise
    except asyncio.CancelledError:
        for host in given.hosts:
            report.step(host, Phase.MODEL, StepState.CANCELLED)
        raise
    copy = _Copy(given, report, request, model)
    source = await _insist(given, report, lambda: find_source(given.services, given.plan.hosts, copy.model))

    arrived: set[str] = set()

    async def bring(host: str) -> None:
        if await insist(given, report, host, Phase.MODEL, lambda: _send(given, running, report, host, copy, source)):
            sent.add(host)
        arrived.add(host)

    try:
        await on_all(report, Phase.MODEL, given.hosts, bring)
    except SparkrunError:
        # Another host has failed: what has arrived is there for the next launch, and is not called cancelled.
        for host in arrived:
            report.step(host, Phase.MODEL, StepState.OK, "sent" if host in sent else "cached")
        raise
    return copy.model


class _Copy:
    """A model to be sent to hosts. It is only downloaded to this machine when a host needs it from here."""

    def __init__(self, given: Given, report: Reporter, request: ModelRequest, model: StoredModel) -> None:
        self.model = model
        self._given = given
        self._report = report
        self._request = request
        self._fetching = asyncio.Lock()

    async def here(self) -> StoredModel:
        """The model on this machine, downloaded if it is missing."""
        async with self._fetching:
            if not self.model.hub:
                self.model = await _fetch(self._given, self._report, self._request)
        return self.model


async def _there_already(given: Given, report: Reporter, request: ModelRequest) -> StoredModel | None:
    """The model when all hosts have it or can get it from one of them, so that it need not be downloaded here."""
    services, views = given.services, given.plan.hosts
    try:
        plan = await services.models.plan(request, given.token)
    except HubError as error:
        if not error.unreached:
            raise
        return await _without_hub(given, report, request, error)
    model = as_stored(plan, request)
    missing = await _insist(given, report, lambda: lacking(services, views, model))
    if not missing:
        return model
    source = await _insist(given, report, lambda: find_source(services, views, model))
    return None if source is None else model


async def _without_hub(given: Given, report: Reporter, request: ModelRequest, why: HubError) -> StoredModel:
    """The model when every host has all of it, judged by its files there, or can get it from one that does.

    Raises `LaunchError` otherwise.
    """
    services, views = given.services, given.plan.hosts
    model = await _insist(given, report, lambda: held_by(services, views, request))
    if model is None:
        raise nowhere(request, given.hosts, why)
    found = model
    holder = "every host"
    missing = await _insist(given, report, lambda: lacking(services, views, found))
    if missing:
        source = await _insist(given, report, lambda: find_source(services, views, found))
        if source is None:
            raise nowhere(request, missing, why)
        holder = source.name
    report.notice("note", f"{why.what}; the Hub is not needed, since {holder} has {request.repo}")
    return model


async def _insist(given: Given, report: Reporter, ask: Callable[[], Awaitable[T]]) -> T:
    """The result of `ask`, which asks several hosts and is repeated once a lost host is back."""
    losses = Losses()
    while True:
        try:
            return await ask()
        except LinkLost as lost:
            await regain(given, report, lost.host, lost)
            await losses.one(lost)


async def _fetch(given: Given, report: Reporter, request: ModelRequest) -> StoredModel:
    model: StoredModel | None = None
    async with closing(given.services.models.fetch(request, given.token)) as items:
        async for item in items:
            if isinstance(item, StoredModel):
                model = item
                continue
            moved = Transfer(item.done, item.total, item.rate, item.detail or "downloading here")
            for host in given.hosts:
                report.progress(host, Phase.MODEL, moved)
    if model is None:
        raise LaunchError(
            f"the download of {request.repo} ended early", remedy=shell.words(["hf", "download", request.repo])
        )
    return model


async def _send(
    given: Given, running: Running, report: Reporter, host: str, copy: _Copy, source: HostView | None
) -> bool:
    """Send the model to a host that lacks it, from `source` if there is one; whether the host lacked it."""
    view = given.plan.hosts[given.rank_of(host)]
    transport = given.transport(host)
    shipper = given.services.shipper
    if await shipper.present(copy.model, transport, view.hf_cache):
        return False
    await _room(given, running, view, copy.model)
    if source is not None and source.name != host and await _relayed(given, report, view, copy.model, source):
        return True
    async with closing(shipper.ship(await copy.here(), transport, view.hf_cache)) as moving:
        async for moved in moving:
            report.progress(host, Phase.MODEL, moved)
    return True


async def _relayed(given: Given, report: Reporter, view: HostView, model: StoredModel, source: HostView) -> bool:
    """Let a host that has the model send it; False when that fails, which is reported."""
    moving = given.services.shipper.relay(
        model,
        given.transport(source.name),
        source.hf_cache,
        given.transport(view.name),
        view.hf_cache,
        fast_address(view, source),
    )
    try:
        async with closing(moving) as items:
            async for moved in items:
                report.progress(view.name, Phase.MODEL, moved)
    except LinkLost:
        raise
    except HostError as error:
        report.notice(
            "warning", f"{source.name} could not send the model ({error.what}); sending it from here", view.name
        )
        return False
    return True


async def _room(given: Given, running: Running, view: HostView, model: StoredModel) -> None:
    """Check that a host's disk has room for the model; files that it has already count. Raises `LaunchError`."""
    facts = running.facts.get(view.name)
    if facts is None or "disk" in given.ignored:
        return
    disk = facts.disk_for(view.hf_cache)
    if disk is None or disk.free >= model.size + SPARE:
        return
    folder = f"{view.hf_cache}/hub/{model.folder}"
    count = shell.script("du -sk -- {folder} 2>/dev/null | cut -f1", folder=shell.path_word(folder))
    counted = await given.transport(view.name).run(count)
    there = 0
    if counted.ok:
        there = (identifiers.size(counted.stdout) or 0) * 1024
    needed = model.size - there + SPARE
    if disk.free < needed:
        free = format_gib(disk.free)
        raise LaunchError(
            f"not enough disk for {model.repo}: {free} free in {view.hf_cache}, {format_gib(needed)} needed",
            host=view.name,
            remedy=room_for_models(view.name),
        )
