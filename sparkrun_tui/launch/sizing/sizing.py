"""Whether a rendered recipe fits on some hosts: the one place where recipe and memory estimate meet."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from sparkrun_tui.base import paths
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.layout.hosts import hosts_wanted
from sparkrun_tui.engines.registry import ENGINES, family_of
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.launch.sizing.calibration import measured_on
from sparkrun_tui.launch.sizing.measured_store import image_facts
from sparkrun_tui.memory.engines import unknown
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts, facts_from_metadata, merge
from sparkrun_tui.models.store import LocalFacts
from sparkrun_tui.recipe.values.overrides import metadata_in_force
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.remote.hub.cache import hub_folder
from sparkrun_tui.remote.probe.facts import HostFacts

ASSUMED_HOST = "spark"
MAX_ASSUMED = 64
"""Hosts that are assumed at most: more is a typo, which must not be worked out host by host."""


class FactsStore(Protocol):
    """Whatever knows facts of models at once, without a network: the shipped table, the cache, the local files."""

    def find(self, model: str, revision: str = "") -> ModelFacts | None:
        """Facts of a model repository, or None when nothing is known here and now."""


def digest_folder() -> Path:
    """Where digests of models read from the Hub are kept."""
    return paths.cache_dir() / "models"


def known_models() -> FactsStore:
    """What is known of models here and now: this machine's Hugging Face cache, digests, and the shipped table."""
    return _known_models(hub_folder(), digest_folder())


@lru_cache(maxsize=4)
def _known_models(hub: Path, digests: Path) -> FactsStore:
    return LocalFacts(hub, digests)


def declared_facts(rendered: Rendered) -> ModelFacts:
    """What the recipe's own metadata says of its model, with dtypes that hang on overrides as they are in force."""
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


def model_facts(rendered: Rendered, store: FactsStore | None = None) -> ModelFacts:
    """All that is known of a recipe's model; the recipe's metadata takes precedence and says where it contradicts.

    Without a `store`, what is known on this machine is asked.
    """
    recipe = rendered.recipe
    declared = declared_facts(rendered)
    known = (store or known_models()).find(recipe.model, recipe.model_revision) if recipe.model else None
    return declared if known is None else merge(declared, known)


def attention_heads(rendered: Rendered, store: FactsStore | None = None) -> int | None:
    """The attention heads of a recipe's model, which its ranks share out; None when they are not known."""
    return model_facts(rendered, store).heads


def engine_settings(rendered: Rendered, image: str = "") -> EngineSettings:
    """What the engine is asked to do by the command that will run.

    Its version is what the image's tag says, else what the image said of itself on a host that was seen to hold it.
    """
    family = family_of(rendered.recipe.runtime)
    if family is None:
        return EngineSettings(rendered.recipe.runtime)
    env = {name: value.text for name, value in rendered.recipe.env.items()}
    name = image or image_of(rendered)
    settings = read_settings(family, serve_words(rendered, family), name, env)
    return settings if settings.version else replace(settings, version=_told_version(name))


def engine_version(rendered: Rendered) -> str:
    """The version of the engine in the image that a launch would run; empty where nothing has told it."""
    family = family_of(rendered.recipe.runtime)
    if family is None:
        return ""
    name = image_of(rendered)
    return version_in_tag(family, name) or _told_version(name)


def _told_version(image: str) -> str:
    """What an image said of itself on a host that was seen to hold it."""
    return image_facts(image).version


def image_of(rendered: Rendered) -> str:
    """The image that a launch would run: the recipe's, else its engine's usual one."""
    engine = ENGINES.get(rendered.recipe.runtime)
    return engine.image(rendered.recipe) if engine is not None else rendered.recipe.container


def host_memory(facts: HostFacts) -> HostMemory:
    """A probed host as the estimate takes it; it says when the host was asked, so that an old figure is seen."""
    gpu = facts.gpus[0] if facts.gpus else None
    discrete = gpu is not None and gpu.memory_total is not None
    total = (gpu.memory_total or 0) if gpu is not None and discrete else facts.memory_total
    return HostMemory(
        name=facts.name,
        total=total,
        available=None if discrete else facts.memory_available,
        assumed=False,
        source=time.strftime("probed at %H:%M:%S", time.localtime(facts.taken)),
        gpus=max(len(facts.gpus), 1),
        unified=not discrete,
        gpu_name=gpu.name if gpu is not None else "",
    )


def assumed_hosts(count: int) -> list[HostMemory]:
    """As many DGX Sparks as a recipe needs, where no hosts are named."""
    return [assumed_spark(f"{ASSUMED_HOST}-{number + 1}") for number in range(count)]


def size(
    rendered: Rendered, hosts: Sequence[HostMemory], store: FactsStore | None = None, now: float | None = None
) -> Estimate:
    """The memory estimate of a rendered recipe; with no hosts given, a DGX Spark is assumed for each one needed.

    What earlier launches of it have measured takes the place of what is estimated, and is named in the notes; `now`
    is Unix time, for how long ago that was.
    """
    settings = engine_settings(rendered)
    family = family_of(rendered.recipe.runtime)
    chosen = list(hosts) or assumed_hosts(hosts_wanted(rendered, family, MAX_ASSUMED).count)
    known = store or known_models()
    facts = model_facts(rendered, known)
    drafter = settings.speculative.model if settings.speculative is not None else ""
    if drafter:
        facts = replace(facts, drafter=known.find(drafter))
    if family is not None and not serve_words(rendered, family):
        return unknown(facts, settings, chosen, "the command cannot be read as shell: it is not known what it asks for")
    measured, notes = measured_on(rendered, settings, image_of(rendered), chosen, now)
    found = estimate(facts, settings, chosen, measured)
    return replace(found, notes=(*notes, *found.notes)) if notes else found


def unknown_size(rendered: Rendered, hosts: Sequence[HostMemory], reason: str) -> Estimate:
    """An estimate in which everything is unknown, with the reason in words."""
    settings = EngineSettings(rendered.recipe.runtime)
    return unknown(ModelFacts("nothing"), settings, list(hosts) or assumed_hosts(1), reason)


def needed_bytes(found: Estimate) -> int | None:
    """What the engine itself will take of the host that gives most, in bytes; None when a part of it is unknown."""
    if found.weights_bytes is None:
        return None
    sums = [sum(part.bytes for part in picture.parts if part.kind != "others") for picture in found.hosts]
    return max(sums, default=0) or None
