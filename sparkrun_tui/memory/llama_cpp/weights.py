"""How many bytes llama-server's model buffers and its image projector take."""

from __future__ import annotations

from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.bands import NOTHING, add
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.config.values import positive
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.models.weight_formats import format_named

_REST_BITS = 8.5
_PROJECTOR_BUFFER = 250 * MIB
_PROJECTOR = Band(900 * MIB, 400 * MIB, 2000 * MIB, "assumed image projector")


def model_buffers(facts: ModelFacts, settings: EngineSettings, device: bool) -> Band | None:
    """The bytes of weights that stay in memory, None when their size is unknown.

    Order: the recipe's `model_vram`, the tensors of the header, parameters times the file's bits. Blocks
    that only draft are left out unless they are used; a tied token embedding exists twice with a device.
    Source: src/llama-model.cpp (load_tensors).
    """
    declared = facts.declared
    if declared is not None and declared.model_vram:
        return add(Band(declared.model_vram, declared.model_vram, declared.model_vram, "recipe"), _draft_model(facts))
    if facts.weights is not None:
        weights = facts.weights
        size = weights.total
        if settings.speculative is None or "mtp" not in settings.speculative.method:
            size -= weights.drafter
        if device and weights.embedding and not weights.head:
            size += weights.embedding
        spread = 0.01 if weights.sharded is not None else 0.03
        own = Band(size, int(size * (1 - spread)), int(size * (1 + spread)), weights.source)
        return add(own, _draft_model(facts))
    own_guess = _by_parameters(facts)
    if own_guess is None:
        return None
    return add(own_guess, _draft_model(facts))


def _by_parameters(facts: ModelFacts) -> Band | None:
    """Parameters times bits per weight of the file, with the spread that mixes of types show."""
    counted = count_parameters(facts)
    total = counted.total if counted is not None else None
    stated = facts.params or total
    if facts.declared is not None and facts.declared.params:
        stated = facts.declared.params
    bits = bits_per_weight(facts)
    if not stated or bits is None:
        return None
    if stated == total:
        stated += _per_layer_embeddings(facts)
    size = int(stated * bits / 8)
    if counted is not None and counted.experts and _keeps_the_rest(facts):
        experts = min(counted.experts, stated)
        size = int((experts * bits + (stated - experts) * _REST_BITS) / 8)
    spread = 0.02 if bits in (8.5, 16.0, 32.0) else 0.06
    return Band(size, int(size * (1 - spread)), int(size * (1 + spread)), f"parameters at {bits:.2f} bits")


def _keeps_the_rest(facts: ModelFacts) -> bool:
    """Whether only a file's experts have the format that names it: mxfp4 files keep the rest at q8_0."""
    named = facts.quant.method if facts.quant is not None else ""
    named += facts.declared.model_dtype if facts.declared is not None else ""
    return "mxfp4" in named.lower()


def _per_layer_embeddings(facts: ModelFacts) -> int:
    """The parameters of embeddings that each layer has of its own (Gemma 3n and Gemma 4 E)."""
    width = positive(facts.gguf, "embedding_length_per_layer_input") or 0
    return width * (facts.vocab or 0) * len(facts.layers or ())


def bits_per_weight(facts: ModelFacts) -> float | None:
    """Bits per weight of the file: its own quantisation's, else what the recipe calls it."""
    if facts.quant is not None and facts.quant.bits is not None:
        return facts.quant.bits
    declared = facts.declared.model_dtype if facts.declared else ""
    form = format_named(declared)
    if form is None:
        return None
    return form.bits


def _draft_model(facts: ModelFacts) -> Band:
    """The bytes of a separate draft model, as far as they are known."""
    drafter = facts.drafter
    if drafter is None:
        return NOTHING
    if drafter.weights is not None:
        size = drafter.weights.total
        return Band(size, size, size, "draft model")
    return _by_parameters(drafter) or NOTHING


def projector(facts: ModelFacts, settings: EngineSettings) -> Band:
    """What a projector takes in bytes: its file and about 250 MiB for images (tools/mtmd/clip.cpp).

    It is the one of `--mmproj`, or with `-hf` that of the repository, where one is known to be there.
    """
    own = facts.weights.vision if facts.weights is not None else 0
    llama = settings.llama
    by_itself = own > 0 and bool(llama.hf_repo) and not llama.no_mmproj
    if llama.mmproj == "none" or not (llama.mmproj or by_itself):
        return NOTHING
    if own:
        return Band(own + _PROJECTOR_BUFFER, own, own + 2 * _PROJECTOR_BUFFER, "projector file and image buffers")
    buffers = Band(_PROJECTOR_BUFFER, 0, 2 * _PROJECTOR_BUFFER, "image buffers")
    return add(_PROJECTOR, buffers)
