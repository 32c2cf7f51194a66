"""What one rank reads and works out for one token: the weights that are active, in bytes and in number."""

from __future__ import annotations

from sparkrun_tui.base.by_identity import ByIdentity
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.weights.holdings import holding_of
from sparkrun_tui.memory.weights.kernels import COMMON
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module, Split
from sparkrun_tui.models.storage.stored import Stored
from sparkrun_tui.models.weight_formats import weight_format

_REMEMBERED = 64
_LEAST_SCALE, _MOST_SCALE = 0.5, 2.0
"""How far the bytes of a checkpoint may be from those of its modules to scale these: beyond, it is another model."""

_GGUF_END = 6.5625
"""Bits at least of the head in a GGUF (Q6_K, src/llama-quant.cpp), also where the embedding serves as one."""


@dataclass(frozen=True, slots=True)
class Reads:
    """One token on the rank that does most: `size` bytes of weights read, `weights` of them multiplied.

    `layers` is the number of decoder layers, `has_experts` whether a router chooses among experts, and `bits` what
    most of the weights are stored in.
    """

    size: float
    weights: float
    layers: int
    has_experts: bool
    bits: float


def reads_of(facts: ModelFacts, settings: EngineSettings) -> Reads | None:
    """The reads of one token, None where the architecture or the format of the weights is not known.

    A token reads all weights but these: of the experts those that the router chooses, of the embedding one row, of
    the vision tower and of the model's own drafter nothing. A tied embedding is read as the head. Pipeline stages
    follow one another, so that they do not divide the reads of one request.
    """
    objects = (facts.config, facts.gguf, facts.layers, facts.quant, facts.weights)
    declared = facts.declared.model_dtype if facts.declared else ""
    experts = (facts.experts, facts.experts_per_token)
    values = (declared, facts.dtype, experts, settings.quantization, settings.version, settings.tensor_parallel)
    return _READS.get(objects, values, lambda: _added_up(facts, settings))


_READS: ByIdentity[Reads | None] = ByIdentity(_REMEMBERED)


def _added_up(facts: ModelFacts, settings: EngineSettings) -> Reads | None:
    holding = holding_of(facts, settings, COMMON)
    if holding is None or facts.layers is None:
        return None
    ranks = max(1, settings.tensor_parallel)
    form = weight_format(facts)
    end_bits = max(form.bits, _GGUF_END) if form is not None and form.quantises_ends else 0.0
    has_head = any(module.kind is Kind.HEAD for module, _ in holding.text)
    size = weights = whole = largest = 0.0
    bits = 16.0
    for module, stored in holding.text:
        if module.made:
            continue
        stored_bytes = module.copies * stored.size(module.rows, module.columns)
        if end_bits and module.kind in (Kind.EMBEDDING, Kind.HEAD):
            stored_bytes = module.elements * end_bits / 8
        whole += stored_bytes
        share = _active(facts, module, has_head) / _ranks(module, ranks)
        size += stored_bytes * share
        weights += module.elements * share
        if module.elements > largest and module.kind not in (Kind.EMBEDDING, Kind.HEAD):
            largest, bits = module.elements, _bits(module, stored)
    return Reads(size * _scale(facts, whole), weights, len(facts.layers), facts.experts > 0, bits)


def _active(facts: ModelFacts, module: Module, has_head: bool) -> float:
    """The share of a module's weights that one token reads."""
    if module.kind is Kind.EMBEDDING:
        is_read_as_head = module.name == "embed_tokens" and not has_head
        return 1.0 if is_read_as_head else 0.0
    if module.kind is Kind.EXPERTS and facts.experts:
        return min(1.0, facts.experts_per_token / facts.experts)
    return 1.0


def _ranks(module: Module, ranks: int) -> int:
    """Among how many ranks the reads of a module are divided."""
    is_whole = module.split is Split.WHOLE and module.kind is not Kind.EXPERTS
    return 1 if is_whole else ranks


def _bits(module: Module, stored: Stored) -> float:
    """Bits a weight, scales included."""
    return stored.size(module.rows, module.columns) * 8 / max(1, module.rows * module.columns)


def _scale(facts: ModelFacts, whole: float) -> float:
    """How much larger the checkpoint is than the sum of its modules, where its headers or its listing say."""
    if facts.weights is None or whole <= 0:
        return 1.0
    known = facts.weights.total - facts.weights.vision - facts.weights.drafter
    scale = known / whole
    return scale if _LEAST_SCALE < scale < _MOST_SCALE else 1.0
