"""One llama-server worked out: its context, the drafter's, their compute buffers, and what --fit makes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.llama_cpp.cache import (
    PAD,
    CacheBytes,
    LlamaRefusal,
    Shape,
    cache_bytes,
    check,
    drafts_per_step,
    pad,
    shape_of,
    slots_of,
)
from sparkrun_tui.memory.llama_cpp.compute import compute_buffer
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, grouped

FIT_MARGIN_MIB = 1024
FIT_FLOOR = 4096
_NO_BAND = Band(0, 0, 0, "none")

_WINDOW_FAMILIES = (
    "gemma2",
    "gemma3",
    "gemma4",
    "cohere2",
    "gpt_oss",
    "llama4",
    "olmo2",
    "olmo3",
    "exaone4",
    "exaone_moe",
    "smallthinker",
    "afmoe",
    "mimo_v2",
    "step3p5",
    "deepseek_v4",
)
"""Families (config.json's words) for which llama.cpp keeps a window cache of its own."""


@dataclass(frozen=True, slots=True)
class LlamaPlan:
    """What one server allocates, in bytes: the target's context, a drafter's, and both compute buffers.

    `compute` is None when the model's widths are unknown. `draft` is None without a drafting context.
    """

    shape: Shape
    cache: CacheBytes
    compute: Band | None
    draft: CacheBytes | None
    draft_compute: Band
    drafts: int

    @property
    def context(self) -> int:
        """Bytes of caches, states and outputs of target and drafter."""
        return self.cache.total + (self.draft.total if self.draft else 0)

    @property
    def buffers(self) -> Band:
        """Both compute buffers."""
        own = self.compute or _NO_BAND
        other = self.draft_compute
        return Band(own.likely + other.likely, own.low + other.low, own.high + other.high, own.source)

    @property
    def total(self) -> int:
        """Everything but the weights."""
        return self.context + self.buffers.likely


def llama_layers(facts: ModelFacts) -> tuple[Layer, ...] | None:
    """The layers as llama.cpp caches them, None when that is not known.

    Facts of a GGUF header are that already. Those of a `config.json` may have windows that llama.cpp does
    not use.
    """
    if facts.layers is None:
        return None
    if facts.gguf:
        return facts.layers
    if facts.model_type.startswith(_WINDOW_FAMILIES):
        return facts.layers
    if not any(layer.attention is not None and layer.attention.window is not None for layer in facts.layers):
        return facts.layers
    same: dict[int, Layer] = {}
    return tuple(
        same.setdefault(id(layer), replace(layer, attention=_in_full(layer.attention))) for layer in facts.layers
    )


def _in_full(attention: Attention | None) -> Attention | None:
    """A layer's attention without the window that llama.cpp does not use."""
    if attention is None or attention.window is None:
        return attention
    return replace(attention, kind=AttentionKind.FULL, window=None)


def wanted_context(facts: ModelFacts, settings: EngineSettings) -> int | None:
    """The context that is asked for in tokens: -c, else (0 or absent) what the model was trained on.

    Without -c, `--kv-unified-per-slot` asks for its tokens times the slots (tools/server/server.cpp).
    """
    options = settings.llama
    if options.ctx_size is None and options.slot_tokens:
        return slots_of(options)[0] * options.slot_tokens
    if options.ctx_size is not None and options.ctx_size > 0:
        return options.ctx_size
    return facts.max_length


def plan_llama(facts: ModelFacts, settings: EngineSettings, want: int, device: bool = True) -> LlamaPlan:
    """Plan a server with a context of `want` tokens; raises LlamaRefusal, also when layers are unknown.

    `device` says whether layers run on a GPU (its buffers differ a little from the CPU's).
    """
    layers = llama_layers(facts)
    if layers is None:
        raise LlamaRefusal("how llama.cpp caches tokens of this model is not known")
    options = settings.llama
    shape = shape_of(want, settings)
    check(facts, settings, shape)
    drafts = drafts_per_step(settings) if _uses_mtp(settings) else 0
    groups = grouped(layers)
    cache = cache_bytes(facts, groups, settings, shape, (options.cache_type_k, options.cache_type_v), drafts)
    compute = compute_buffer(facts, groups, settings, shape, device)
    draft, draft_compute = _drafting(facts, settings, shape, device)
    return LlamaPlan(shape, cache, compute, draft, draft_compute, drafts)


def _uses_mtp(settings: EngineSettings) -> bool:
    """Whether the checkpoint's own drafting layers are used."""
    return settings.speculative is not None and "mtp" in settings.speculative.method


def _drafting(
    facts: ModelFacts, settings: EngineSettings, shape: Shape, device: bool
) -> tuple[CacheBytes | None, Band]:
    """The drafting context and its compute buffer: the target's cells, f16 unless set otherwise.

    Source: common/speculative.cpp, tools/server/server-context.cpp.
    """
    speculative = settings.speculative
    if speculative is None:
        return None, _NO_BAND
    layers: Sequence[Layer] | None
    drafter = facts
    if _uses_mtp(settings):
        layers = facts.mtp
    elif speculative.model and facts.drafter is not None:
        drafter, layers = facts.drafter, llama_layers(facts.drafter)
    else:
        return None, _NO_BAND
    if not layers:
        return None, _NO_BAND
    options = settings.llama
    types = (options.draft_cache_type_k, options.draft_cache_type_v)
    groups = grouped(layers)
    cache = cache_bytes(drafter, groups, settings, shape, types, 0)
    return cache, compute_buffer(drafter, groups, settings, shape, device) or _NO_BAND


def fitted_context(
    facts: ModelFacts, settings: EngineSettings, weights: int, free: int, device: bool = True
) -> int | None:
    """The context in tokens that `--fit` leaves when -c is absent, None when it is not known.

    Linear between the floor (4096) and the trained length so that the margin (1 GiB) stays free, rounded
    down to 256 per stream; the floor even when that does not fit. Source: common/fit.cpp.
    """
    options = settings.llama
    most = wanted_context(facts, settings)
    if most is None:
        return None
    if options.ctx_size is not None or options.slot_tokens or not options.fit:
        return most
    margin = (options.fit_target_mib if options.fit_target_mib is not None else FIT_MARGIN_MIB) * MIB
    high = pad(most)
    low = min(high, options.fit_ctx_min or FIT_FLOOR)
    room = free - margin - weights
    largest = plan_llama(facts, settings, high, device)
    if largest.total <= room:
        return high
    smallest = plan_llama(facts, settings, low, device)
    if smallest.total >= room or largest.total <= smallest.total:
        return low
    step = PAD * largest.shape.streams
    fitted = low + (high - low) * (room - smallest.total) // (largest.total - smallest.total)
    return max(low, fitted // step * step)
