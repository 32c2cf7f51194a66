"""Where a model lies besides this machine: whole in the caches of hosts, which may send it to each other."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import HostError, LaunchError, SparkrunError
from sparkrun_tui.engines.llama_cpp.gguf_files import choose
from sparkrun_tui.engines.plan import HostView, ModelNeed
from sparkrun_tui.launch.plan.host_views import fast_address
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.ports.models import CacheListing, ModelFile, ModelPlan, ModelRequest, StoredModel


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


def whole_in(listing: CacheListing | None, request: ModelRequest) -> StoredModel | None:
    """The model when what a cache was seen to hold is all of it, as far as that can be known; else None."""
    if listing is None:
        return None
    names = [file.name for file in listing.files]
    projector = request.patterns[0] if request.patterns else ""
    try:
        quant = request.gguf_quant
        chosen = choose(names, quant, projector).files if quant else hub_cache.by_patterns(names, request.patterns)
    except LaunchError:
        return None
    wanted = frozenset(chosen)
    indexes = {name: text for name, text in listing.indexes.items() if name in wanted}
    if not hub_cache.whole(wanted, indexes, listing.partial):
        return None
    files = tuple(file for file in listing.files if file.name in wanted)
    return as_stored(ModelPlan(request.repo, listing.commit, files), request)


async def held_by(services: Services, views: Sequence[HostView], request: ModelRequest) -> StoredModel | None:
    """The model as the first of these hosts holds it whole; None when none does. Raises `LinkLost`."""
    for view in views:
        seen = await services.shipper.listing(request, services.connector(view.name), view.hf_cache)
        model = whole_in(seen, request)
        if model is not None:
            return model
    return None


async def lacking(services: Services, views: Sequence[HostView], model: StoredModel) -> tuple[str, ...]:
    """The hosts that do not hold all of a model. Raises `LinkLost`."""
    missing = []
    for view in views:
        if not await services.shipper.present(model, services.connector(view.name), view.hf_cache):
            missing.append(view.name)
    return tuple(missing)


async def find_source(services: Services, views: Sequence[HostView], model: StoredModel) -> HostView | None:
    """A host that has the model, may send it, and reaches every host that lacks it; None when no one does, or need.

    Raises `LinkLost`.
    """
    missing = set(await lacking(services, views, model))
    for source in (view for view in views if missing and view.relays and view.name not in missing):
        transport = services.connector(source.name)
        targets = [fast_address(view) for view in views if view.name in missing]
        if all([await services.shipper.reaches(transport, address) for address in targets]):
            return source
    return None


def nowhere(request: ModelRequest, hosts: Sequence[str], why: SparkrunError) -> LaunchError:
    """That a model is missing on `hosts` and can be had neither from this machine nor from the Hub."""
    where = " and ".join(hosts) if len(hosts) < 3 else f"{len(hosts)} hosts"
    host = why.host if isinstance(why, HostError) else ""
    what = f"{why.what}, and {request.repo} is whole neither on this machine nor on {where}"
    return LaunchError(what, host=host, remedy=why.remedy)
