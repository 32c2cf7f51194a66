"""The memory estimate of a rendered recipe on some hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.layout.hosts import degrees, hosts_wanted
from sparkrun_tui.engines.registry import ENGINES, family_of
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.launch.sizing.calibration import measured_on
from sparkrun_tui.launch.sizing.measured_store import image_facts
from sparkrun_tui.memory.engines import unknown
from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.metadata_block import MetadataBlock, metadata_block
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.models.facts import ModelFacts, facts_from_metadata, merge
from sparkrun_tui.recipe.names.local_model import is_path
from sparkrun_tui.recipe.names.mounts import normal_path
from sparkrun_tui.recipe.values.environment import expand_env
from sparkrun_tui.recipe.values.overrides import metadata_in_force
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.hub.place import hub_folder

if TYPE_CHECKING:
    from sparkrun_tui.remote.probe.facts import HostFacts

ASSUMED_HOST = "spark"
MAX_ASSUMED = 64
"""The most hosts that are assumed. A larger number is a typo, and must not be computed host by host."""


class FactsStore(Protocol):
    """A source of facts of models that needs no network: the shipped table, the cache, local files."""

    def find(self, model: str, revision: str = "") -> ModelFacts | None:
        """Facts of a model repository; None when the store has none."""


def digest_folder() -> Path:
    """The folder of the digests of models that were read from the Hub."""
    return paths.cache_dir() / "models"


def known_models() -> FactsStore:
    """The facts on this machine: its Hugging Face cache, digests, and the shipped table."""
    return _known_models(hub_folder(), digest_folder())


@lru_cache(maxsize=4)
def _known_models(hub: Path, digests: Path) -> FactsStore:
    from sparkrun_tui.models.store import LocalFacts

    return LocalFacts(hub, digests)


def declared_facts(rendered: Rendered) -> ModelFacts:
    """The facts of the model in the recipe's own metadata, with the dtypes that the overrides select."""
    meta = metadata_in_force(rendered)
    return facts_from_metadata(
        model_params=meta.model_params,
        model_dtype=meta.model_dtype,
        kv_dtype=meta.kv_dtype,
        num_layers=meta.num_layers,
        num_kv_heads=meta.num_kv_heads,
        head_dim=meta.head_dim,
        model_vram_bytes=meta.model_vram,
        kv_vram_per_token_bytes=meta.kv_vram_per_token,
    )


def declared_block(rendered: Rendered) -> MetadataBlock | None:
    """The figures by the recipe's own metadata, shared out as its command says; None where it states no weights.

    A command that cannot be built counts as one that says nothing: what is wrong with it is a problem of the recipe.
    """
    family = family_of(rendered.recipe.runtime)
    parts = {"tensor_parallel": 1, "pipeline_parallel": 1}
    kv_dtype = ""
    try:
        parts |= degrees(rendered, family)
        kv_dtype = engine_settings(rendered).kv_cache_dtype
    except SparkrunError:
        kv_dtype = ""
    context = rendered.get("max_model_len")
    if context is None:
        context = rendered.get("ctx_size")
    return metadata_block(
        declared_facts(rendered), context, parts["tensor_parallel"], parts["pipeline_parallel"], kv_dtype
    )


def model_facts(rendered: Rendered, store: FactsStore | None = None) -> ModelFacts:
    """All known facts of a recipe's model; the recipe's metadata takes precedence, and contradictions are noted.

    `store` None means the stores of this machine.
    """
    recipe = rendered.recipe
    declared = declared_facts(rendered)
    if not recipe.model:
        return declared
    model = recipe.model
    if is_path(model):
        model = normal_path(model)
    known = (store or known_models()).find(model, recipe.model_revision)
    if known is None:
        return declared
    return merge(declared, known)


def attention_heads(rendered: Rendered, store: FactsStore | None = None) -> int | None:
    """The attention heads of a recipe's model, which its ranks divide among them; None when unknown."""
    return model_facts(rendered, store).heads


def engine_settings(rendered: Rendered, image: str = "") -> EngineSettings:
    """The settings of the engine in the command that will run.

    The engine's version is that in the image's tag, else the one that the image reported on a host that has it.
    """
    family = family_of(rendered.recipe.runtime)
    if family is None:
        return EngineSettings(rendered.recipe.runtime)
    env = expand_env(rendered.recipe, {}, chain=rendered.chain)
    name = image or image_of(rendered)
    settings = read_settings(family, serve_words(rendered, family), name, env)
    if not settings.version:
        settings = replace(settings, version=_reported_version(name))
    return settings


def engine_version(rendered: Rendered) -> str:
    """The version of the engine in the image that a launch would run; empty when unknown."""
    family = family_of(rendered.recipe.runtime)
    if family is None:
        return ""
    name = image_of(rendered)
    return version_in_tag(family, name) or _reported_version(name)


def _reported_version(image: str) -> str:
    """The version that an image reported on a host that has it; empty when unknown."""
    return image_facts(image).version


def image_of(rendered: Rendered) -> str:
    """The image that a launch would run: the recipe's, else the default of its engine."""
    engine = ENGINES.get(rendered.recipe.runtime)
    return engine.image(rendered.recipe) if engine is not None else rendered.recipe.container


def host_memory(facts: HostFacts) -> HostMemory:
    """A probed host for the estimate; `source` has the time of the probe, so that users see how old it is."""
    total = facts.memory_total
    available: int | None = facts.memory_available
    unified = True
    gpu_name = ""
    if facts.gpus:
        gpu = facts.gpus[0]
        gpu_name = gpu.name
        if gpu.memory_total is not None:
            # A discrete GPU: how much of its memory is free is not probed.
            total, available, unified = gpu.memory_total, None, False
    return HostMemory(
        name=facts.name,
        total=total,
        available=available,
        assumed=False,
        source=time.strftime("probed at %H:%M:%S", time.localtime(facts.taken)),
        gpus=max(len(facts.gpus), 1),
        unified=unified,
        gpu_name=gpu_name,
    )


def assumed_hosts(count: int) -> list[HostMemory]:
    """`count` DGX Sparks, for a recipe without hosts."""
    return [assumed_spark(f"{ASSUMED_HOST}-{number + 1}") for number in range(count)]


def size(
    rendered: Rendered,
    hosts: Sequence[HostMemory],
    store: FactsStore | None = None,
    now: float | None = None,
    facts: ModelFacts | None = None,
) -> Estimate:
    """The memory estimate of a rendered recipe; without hosts, for as many DGX Sparks as it needs.

    Measurements of its earlier launches replace estimated figures, and the notes name them; `now` is Unix time, to say
    how old they are. `facts` are what `model_facts` gives, where the caller has asked already.
    """
    # A dry run needs no estimate, and so not the whole estimator.
    from sparkrun_tui.memory.estimate import estimate

    settings = engine_settings(rendered)
    family = family_of(rendered.recipe.runtime)
    chosen = list(hosts) or assumed_hosts(hosts_wanted(rendered, family, MAX_ASSUMED).count)
    known = store or known_models()
    if facts is None:
        facts = model_facts(rendered, known)
    if settings.speculative is not None and settings.speculative.model:
        facts = replace(facts, drafter=_drafter(known, settings.speculative))
    if facts.layers is None and facts.weights is None and not facts.params and is_path(rendered.recipe.model):
        reason = f"{rendered.recipe.model} lies on the hosts, which have not said what it is: a launch or its plan asks"
        return unknown(facts, settings, chosen, reason)
    if family is not None and not serve_words(rendered, family):
        return unknown(facts, settings, chosen, "the command cannot be read as shell, so its settings are unknown")
    measured, notes = measured_on(rendered, settings, image_of(rendered), chosen, now)
    found = estimate(facts, settings, chosen, measured)
    if notes:
        found = replace(found, notes=(*notes, *found.notes))
    return found


def _drafter(store: FactsStore, speculative: Speculative) -> ModelFacts | None:
    """The facts of a draft model: of its revision, else of its repository; None when unknown."""
    return store.find(speculative.model, speculative.revision) or store.find(speculative.model)


def unknown_size(rendered: Rendered, hosts: Sequence[HostMemory], reason: str) -> Estimate:
    """An estimate in which everything is unknown, with the reason in words."""
    settings = EngineSettings(rendered.recipe.runtime)
    return unknown(ModelFacts("nothing"), settings, list(hosts) or assumed_hosts(1), reason)


def needed_bytes(found: Estimate) -> int | None:
    """Bytes that the engine will use on its fullest host; None when a part of it is unknown."""
    if found.weights_bytes is None:
        return None
    most = 0
    for picture in found.hosts:
        own = [part.bytes for part in picture.parts if part.kind != "others"]
        most = max(most, sum(own))
    return most or None
