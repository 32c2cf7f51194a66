"""What llama-server allocates for its context: cells, streams, caches, windows, states and outputs, in bytes."""

from __future__ import annotations

from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings, LlamaOptions
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.gguf.types import CACHE_TYPES, block_length, element_size
from sparkrun_tui.models.layers import Attention, AttentionKind, Groups, State, grouped

DEFAULT_SLOTS = 4
DEFAULT_DRAFTS = 3
DEFAULT_NGRAM_DRAFTS = 64
PAD = 256
_WITHOUT_FLASH = frozenset({"grok"})
"""Architectures for which flash attention is forced off (src/llama-context.cpp, llama_init_from_model)."""

_OVERLAPPING = 4
"""The compression ratio whose blocks overlap (the other one is 128)."""


class LlamaRefusal(Exception):
    """The server refuses these settings; the text says why."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How the context is laid out, in tokens (cells): the whole context, one stream's cells, and batches.

    `streams` share nothing; a unified cache is one stream for all slots. `outputs` is how many rows of
    logits one batch may ask for.
    """

    n_ctx: int
    sequence: int
    streams: int
    slots: int
    unified: bool
    batch: int
    ubatch: int
    outputs: int

    @property
    def allocated(self) -> int:
        """Cells of all streams."""
        return self.sequence * self.streams

    def window_cells(self, window: int, swa_full: bool) -> int:
        """The cells of one stream of a window cache (llama_kv_cache_iswa, constructor)."""
        if swa_full:
            return self.sequence
        reach = window * (self.slots if self.unified else 1) + self.ubatch
        return pad(min(self.sequence, reach))


@dataclass(frozen=True, slots=True)
class CacheBytes:
    """Bytes of one context: full caches, index keys, window caches, recurrent states, and the output buffer."""

    full: int
    indexer: int
    window: int
    state: int
    output: int

    @property
    def kv(self) -> int:
        """Bytes of all attention caches."""
        return self.full + self.indexer + self.window

    @property
    def total(self) -> int:
        """Bytes of the whole context, without the compute buffer."""
        return self.kv + self.state + self.output


def pad(tokens: int) -> int:
    """Round a number of cells up to the next 256 (GGML_PAD in llama_context)."""
    return ceil(tokens / PAD) * PAD


def drafts_per_step(settings: EngineSettings) -> int:
    """How many tokens one step drafts: the flag, else 3 (64 for n-gram methods), 0 without drafting."""
    speculative = settings.speculative
    if speculative is None or not speculative.method:
        return 0
    if speculative.tokens:
        return speculative.tokens
    return DEFAULT_NGRAM_DRAFTS if speculative.method.startswith("ngram-mod") else DEFAULT_DRAFTS


def slots_of(options: LlamaOptions) -> tuple[int, bool]:
    """How many requests run at once, and whether they share one cache: 4 that do unless -np is given."""
    if options.parallel is not None and options.parallel > 0:
        return options.parallel, bool(options.kv_unified)
    return DEFAULT_SLOTS, True


def shape_of(want: int, settings: EngineSettings) -> Shape:
    """The layout for a wanted context of `want` tokens.

    n_ctx = pad256(want); slots 4 and unified unless -np is given; each slot's share is padded again. Source:
    src/llama-context.cpp (llama_context::llama_context), tools/server/server-context.cpp.
    """
    options = settings.llama
    slots, unified = slots_of(options)
    n_ctx = pad(max(1, want))
    streams, sequence = 1, n_ctx
    if not unified:
        streams, sequence = slots, pad(max(1, n_ctx // slots))
    batch = min(max(1, want), options.batch or 2048)
    ubatch = min(batch, options.ubatch or 512)
    outputs = slots * (1 + drafts_per_step(settings))
    if options.embeddings:
        batch = outputs = ubatch
    return Shape(n_ctx, sequence, streams, slots, unified, batch, ubatch, outputs)


def flash_attention(facts: ModelFacts, options: LlamaOptions) -> bool:
    """Whether flash attention is on: `auto` turns it on wherever the model's heads allow, Grok forces it off."""
    if facts.gguf.get("arch") in _WITHOUT_FLASH:
        return False
    return options.flash_attn not in ("off", "0", "false", "disabled")


def check(facts: ModelFacts, settings: EngineSettings, shape: Shape) -> None:
    """Raises `LlamaRefusal` for cache types that the server refuses or that make it abort.

    Source: src/llama-context.cpp (llama_init_from_model), common/arg.cpp (kv_cache_type_from_str).
    """
    options = settings.llama
    key, value = options.cache_type_k, options.cache_type_v
    for kind in (key, value):
        if kind not in CACHE_TYPES:
            raise LlamaRefusal(f"unsupported cache type {kind}; known: {', '.join(sorted(CACHE_TYPES))}")
    layers = [layer.attention for layer, _ in grouped(facts.layers or ()) if layer.attention is not None]
    flash = flash_attention(facts, options)
    if block_length(value) > 1 and not flash:
        why = "-fa off turns off" if facts.gguf.get("arch") not in _WITHOUT_FLASH else "this architecture has not"
        raise LlamaRefusal(f"a quantised V cache ({value}) needs flash attention, which {why}")
    if key != value and any(layer.kind is AttentionKind.MLA or layer.compress is not None for layer in layers):
        raise LlamaRefusal(f"this model needs equal K ({key}) and V ({value}) cache types: set both")
    for layer in layers if flash else ():
        for name, kind, width in (("K", key, layer.head_k), ("V", value, layer.head_v)):
            if width % block_length(kind):
                raise LlamaRefusal(
                    f"{name} cache type {kind} has blocks of {block_length(kind)}, "
                    f"which do not divide the head size {width}"
                )
    both_quantised = block_length(key) > 1 and block_length(value) > 1
    if both_quantised and shape.streams > 1 and facts.gguf.get("arch") == "phi3":
        raise LlamaRefusal("with both caches quantised and more than one stream this architecture aborts at start")


def cache_bytes(
    facts: ModelFacts,
    groups: Groups,
    settings: EngineSettings,
    shape: Shape,
    types: tuple[str, str],
    drafts: int,
) -> CacheBytes:
    """The bytes of one context over some layers with K and V of `types`.

    Full layers keep all cells, window layers their own, latent ones keys only, states are fp32 and there is
    one per slot and drafted token more. Sources: src/llama-kv-cache.cpp, llama-kv-cache-iswa.cpp,
    llama-memory-recurrent.cpp, llama-context.cpp (output_reserve).
    """
    own = []
    for layer, count in groups:
        if layer.attention is not None and not layer.shares:
            own.append((layer.attention, count))
    widest = 0 if flash_attention(facts, settings.llama) else _padded_width(groups)
    full = window = indexer = 0.0
    compressors = 0
    key_size, value_size = element_size(types[0]) or 2.0, element_size(types[1]) or 2.0
    for attention, count in own:
        if attention.compress is not None:
            in_window, rows, keys, compressor = compressed_bytes(attention, shape, settings.llama.swa_full, key_size)
            window += count * in_window
            full += count * rows
            indexer += count * keys
            compressors += count * compressor
            continue
        token = _key_width(attention) * key_size + _value_width(attention, widest) * value_size
        if attention.window is not None:
            cells = shape.window_cells(attention.window, settings.llama.swa_full)
            window += count * shape.streams * cells * token
        else:
            full += count * shape.allocated * token
            indexer += count * shape.allocated * attention.indexer * key_size
    per_slot = sum(count * state_bytes(layer.state) for layer, count in groups if layer.state is not None)
    state = per_slot * shape.slots * (1 + drafts) + compressors
    output = shape.slots * (facts.vocab or 0) * 4
    return CacheBytes(int(full), int(indexer), int(window), state, output)


def _key_width(attention: Attention) -> int:
    """The elements of one token's keys."""
    return attention.kv_heads * attention.head_k


def _value_width(attention: Attention, widest: int) -> int:
    """The elements of one token's values; without flash attention every layer has the widest."""
    if attention.kind is AttentionKind.MLA:
        return 0
    return widest or attention.kv_heads * attention.head_v


def _padded_width(groups: Groups) -> int:
    """The widest layer's values: a transposed V cache is padded to it (is_n_embd_v_gqa_variable)."""
    return max((a.kv_heads * a.head_v for layer, _ in groups if (a := layer.attention) is not None), default=0)


def state_bytes(state: State) -> int:
    """One layer's recurrent state in bytes: convolution and recurrence in fp32 (llama-hparams.cpp)."""
    columns = (state.kernel - 1) * (state.inner + 2 * state.groups * state.group_width)
    return (columns + state.heads * state.rows * state.columns) * 4


def compressed_bytes(
    attention: Attention, shape: Shape, swa_full: bool, key_size: float
) -> tuple[float, float, float, int]:
    """One DeepSeek V4 layer's window rows, compressed rows, index keys and compressor state in bytes.

    Rows are keys only, and padded. Each slot has streams of its own, also in a unified cache. A ratio of 4 keeps index
    keys and overlapping states of 8 rows, 128 keeps states of 128. Source: src/llama-kv-cache-dsv4.cpp.
    """
    ratio = attention.compress or 0
    width = attention.kv_heads * attention.head_k
    cells = shape.sequence
    if not swa_full:
        cells = pad(min(shape.sequence, (attention.window or 0) + shape.ubatch))
    raw = shape.slots * cells * width * key_size
    if not ratio:
        return raw, 0.0, 0.0, 0
    rows = shape.slots * pad(ceil(shape.sequence / ratio))
    index = 0.0
    state = 2 * ratio * width
    if ratio == _OVERLAPPING:
        index = rows * attention.indexer * key_size
        state = 2 * (2 * ratio) * 2 * (width + attention.indexer)
    return raw, rows * width * key_size, index, shape.slots * state * 4
