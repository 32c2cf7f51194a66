"""Finds models in the caches of hosts, which may send them to each other."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.engines.llama_cpp.gguf_files import choose
from sparkrun_tui.engines.plan import HostView, ModelNeed
from sparkrun_tui.launch.plan.host_views import fast_address
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelPlan, ModelRequest, StoredModel


def as_request(need: ModelNeed) -> ModelRequest:
    """The request to the source of models for what a plan needs of a model."""
    return ModelRequest(need.repo, need.revision, need.patterns, need.gguf_quant)


def as_stored(plan: ModelPlan, request: ModelRequest) -> StoredModel:
    """The model that a planned download will produce; its files are those of the plan."""
    files = tuple(ModelFile(file.name, file.size, True) for file in plan.files)
    entry = ""
    if request.gguf_quant:
        names = [file.name for file in files]
        entry = choose(names, request.gguf_quant, _projector(request)).first
    ref = request.revision or "main"
    if ref == plan.commit:
        ref = ""
    return StoredModel(plan.repo, plan.commit, "", files, entry, ref)


def _projector(request: ModelRequest) -> str:
    """The name of the projector that is asked for beside a GGUF quantisation; empty without one."""
    return request.patterns[0] if request.patterns else ""


def projector_in(model: StoredModel, request: ModelRequest) -> str:
    """The name of the projector among a model's files; empty where it has none."""
    if not request.gguf_quant or not request.patterns:
        return ""
    return choose([file.name for file in model.files], request.gguf_quant, _projector(request)).mmproj


async def stored_whole(services: Services, request: ModelRequest, token: Secret | None = None) -> StoredModel | None:
    """The model as this machine has it; None where it lacks a part.

    A cache shows whether all parts of a model are there, but not whether its repository has a projector, too: where the
    cache has none, the Hub is asked, if it answers.
    """
    model = await services.models.stored(request)
    wants_projector = bool(request.gguf_quant and request.patterns)
    if model is None or not wants_projector or projector_in(model, request):
        return model
    try:
        plan = await services.models.plan(request, token)
    except SparkrunError:
        return model
    names = {file.name for file in model.files}
    if all(file.name in names for file in plan.files):
        return model
    return None


def whole_in(listing: CacheListing | None, request: ModelRequest) -> StoredModel | None:
    """The model when the listed cache holds all of it, as far as its own files show; else None."""
    if listing is None:
        return None
    names = [file.name for file in listing.files]
    try:
        if request.gguf_quant:
            chosen = choose(names, request.gguf_quant, _projector(request)).files
        else:
            chosen = hub_cache.by_patterns(names, request.patterns)
    except LaunchError:
        return None
    wanted = frozenset(chosen)
    indexes = {name: text for name, text in listing.indexes.items() if name in wanted}
    if wanted & listing.cut or not hub_cache.whole(wanted, indexes, listing.partial):
        return None
    files = tuple(file for file in listing.files if file.name in wanted)
    return as_stored(ModelPlan(request.repo, listing.commit, files), request)


async def held_by(services: Services, views: Sequence[HostView], request: ModelRequest) -> StoredModel | None:
    """The model as the first of these hosts that has all of it holds it; None when none does. Raises `LinkLost`."""
    for view in views:
        seen = await services.shipper.listing(request, services.connector(view.name), view.hf_cache)
        model = whole_in(seen, request)
        if model is not None:
            return model
    return None


async def lacking(services: Services, views: Sequence[HostView], model: StoredModel) -> tuple[str, ...]:
    """The names of the hosts that do not hold all of a model. Raises `LinkLost`."""
    missing = []
    for view in views:
        if not await services.shipper.present(model, services.connector(view.name), view.hf_cache):
            missing.append(view.name)
    return tuple(missing)


async def find_source(services: Services, views: Sequence[HostView], model: StoredModel) -> HostView | None:
    """A host that has the model, may send it, and reaches every host that lacks it.

    None when there is no such host, or when no host lacks the model. Raises `LinkLost`.
    """
    missing = set(await lacking(services, views, model))
    if not missing:
        return None
    targets = [view for view in views if view.name in missing]
    for source in views:
        if source.name in missing or not source.relays:
            continue
        transport = services.connector(source.name)
        if all(
            [await services.shipper.reaches(transport, fast_address(view, source), view.boot_id) for view in targets]
        ):
            return source
    return None


def nowhere(request: ModelRequest, hosts: Sequence[str], why: SparkrunError) -> LaunchError:
    """The error for a model that `hosts` lack and that neither this machine nor the Hub can provide."""
    where = " and ".join(hosts) if len(hosts) < 3 else f"{len(hosts)} hosts"
    host = why.host if isinstance(why, HostError) else ""
    what = f"{why.what}, and {request.repo} is whole neither on this machine nor on {where}"
    return LaunchError(what, host=host, remedy=why.remedy)
