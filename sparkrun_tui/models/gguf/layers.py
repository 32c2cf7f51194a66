"""Reads from a GGUF header which caches and states llama.cpp keeps for each block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.config.values import positive, word
from sparkrun_tui.models.gguf.architectures import ARCHITECTURES
from sparkrun_tui.models.gguf.keys import Keys, block_count, draft_blocks, per_layer, widest
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, State, StateKind


@dataclass(frozen=True, slots=True)
class WindowRule:
    """How an architecture spreads its window: the default period (0: all), and whether full layers come first.

    `default` is the window in tokens when the header has none (None: no window then), `fixed` one that
    the header cannot change.
    """

    period: int
    default: int | None = None
    full_first: bool = False
    fixed: int | None = None
    chunked: bool = False


_WINDOWS = {
    "gemma2": WindowRule(2, default=4096),
    "gemma3": WindowRule(6),
    "gemma3n": WindowRule(5),
    "gemma4": WindowRule(6),
    "cohere2": WindowRule(4),
    "cohere2moe": WindowRule(4),
    "llama4": WindowRule(4, fixed=8192, chunked=True),
    "olmo2": WindowRule(4),
    "exaone4": WindowRule(4),
    "exaone-moe": WindowRule(4, default=128),
    "gpt-oss": WindowRule(2),
    "smallthinker": WindowRule(4, default=4096, full_first=True),
    "afmoe": WindowRule(4),
    "plamo3": WindowRule(8),
    "mimo2": WindowRule(0),
    "step35": WindowRule(4),
}
"""Architectures with a window cache of their own (src/models/*.cpp, load_arch_hparams)."""

_NO_WINDOWS = frozenset({"llama", "phi3", "phimoe", "qwen2", "qwen2moe", "qwen3", "qwen3moe", "starcoder2", "mistral3"})
"""Architectures whose headers may state a window that llama.cpp does not use."""

_EVERY_FOURTH_FULL = frozenset({"qwen3next", "qwen35", "qwen35moe"})

_COMPRESSED = "deepseek4"
_FULL_INDEXER_CONTEXT = 1048576
"""From this trained length on, GLM's sparse attention shares indexers: the first two layers and then every fourth
own one."""


def gguf_layers(keys: Keys) -> tuple[tuple[Layer, ...], tuple[Layer, ...]] | None:
    """The decoder layers and the drafting layers of a model.

    None when the header lacks a size, and for an architecture that is not known here.

    Sources: llama.cpp, src/llama-model.cpp, src/models/, src/llama-hparams.cpp.
    """
    total = block_count(keys)
    arch = word(keys, "arch")
    if total is None:
        return None
    if arch and arch not in ARCHITECTURES:
        return None
    drafts = draft_blocks(keys)
    count = max(1, total - drafts)
    windows = _windows(keys, count)
    states = _recurrent(keys, count)
    state = _state(keys)
    if any(states) and state is None:
        return None
    own = _own_caches(keys, count)
    layers: list[Layer] = []
    same: dict[Layer, Layer] = {}
    for i in range(count):
        layer = Layer(shares=i >= own)
        if _attends(keys, i, states):
            layer = replace(layer, attention=_attention(keys, i, total, windows[i]))
        if states[i]:
            layer = replace(layer, state=state)
        layers.append(same.setdefault(layer, layer))
    for i in range(count, total):
        layer = Layer(_attention(keys, i, total, None))
        layers.append(same.setdefault(layer, layer))
    for layer in layers:
        if layer.attention or layer.state:
            return tuple(layers[:count]), tuple(layers[count:])
    return None


def _attends(keys: Keys, index: int, states: Sequence[bool]) -> bool:
    """Whether a block has attention: those with a state only do in models that run both in each block."""
    return not states[index] or _runs_both(keys, states)


def _runs_both(keys: Keys, states: Sequence[bool]) -> bool:
    """Whether every block has both attention and a state (Falcon-H1)."""
    if not all(states):
        return False
    return widest(keys, "attention.head_count") > 0 and not widest(keys, "wkv.head_size")


def _own_caches(keys: Keys, count: int) -> int:
    """How many of the first layers keep a cache of their own; later ones read those."""
    shared = positive(keys, "attention.shared_kv_layers")
    if shared is None:
        shared = 0
        if word(keys, "arch") == "gemma3n":
            shared = count - 20
    return max(1, count - shared)


def _windows(keys: Keys, count: int) -> list[int | None]:
    """Each layer's window in tokens, None for full attention.

    Source: src/llama-hparams.cpp (set_swa_pattern): layer i has a window unless i % period is the last (or
    first) of its period; a list in the header names the layers themselves.
    """
    arch = word(keys, "arch")
    rule = _WINDOWS.get(arch)
    pattern = keys.get("attention.sliding_window_pattern")
    window = positive(keys, "attention.sliding_window")
    none: list[int | None] = [None] * count
    if rule is None:
        if arch in _NO_WINDOWS or window is None or not pattern:
            return none
        rule = WindowRule(0)
    window = rule.fixed or window or rule.default
    if window is None:
        return none
    if arch == "exaone4" and count != 64:
        return none
    windows: list[int | None] = [window] * count
    if isinstance(pattern, Sequence) and not isinstance(pattern, str):
        for i in range(count):
            if pattern and not pattern[i % len(pattern)]:
                windows[i] = None
        return windows
    period = rule.period
    if isinstance(pattern, int) and not isinstance(pattern, bool):
        period = pattern
    if period <= 0:
        return windows
    full = 0 if rule.full_first else period - 1
    for i in range(full, count, period):
        windows[i] = None
    return windows


def _recurrent(keys: Keys, count: int) -> list[bool]:
    """For each layer, whether it keeps a recurrent state.

    A list in the header decides. Without one these layers do: every layer but the interval's last
    (Qwen3-Next and later), those without KV heads and (where the header lists it) without feed-forward, all
    layers of models without attention heads, and all layers of models whose blocks run both.
    """
    listed = keys.get("attention.recurrent_layers")
    if isinstance(listed, Sequence) and not isinstance(listed, str) and len(listed) >= count:
        return [bool(mark) for mark in listed[:count]]
    if not positive(keys, "ssm.inner_size", "shortconv.l_cache", "wkv.head_size", "kda.head_dim"):
        return [False] * count
    interval = positive(keys, "full_attention_interval")
    if interval is None and word(keys, "arch") in _EVERY_FOURTH_FULL:
        interval = 4
    if interval is not None:
        return [(i + 1) % interval != 0 for i in range(count)]
    heads = per_layer(keys, "attention.head_count_kv", count) or [0] * count
    if all(heads):
        return [True] * count
    widths = None
    if isinstance(keys.get("feed_forward_length"), Sequence):
        widths = per_layer(keys, "feed_forward_length", count)
    if widths is None:
        widths = [0] * count
    recurrent = []
    for head, width in zip(heads, widths, strict=True):
        recurrent.append(head == 0 and width == 0)
    return recurrent


def _state(keys: Keys) -> State | None:
    """The state that recurrent layers keep, None when the model has none or a size is missing.

    Source: src/llama-hparams.cpp (n_embd_r, n_embd_s).
    """
    hidden = positive(keys, "embedding_length")
    if hidden is None:
        return None
    head = positive(keys, "wkv.head_size")
    if head is not None:
        shifts = positive(keys, "token_shift_count") or 2
        return State(StateKind.LIGHTNING, hidden, shifts + 1, heads=hidden // head, rows=head, columns=head)
    kernel = positive(keys, "shortconv.l_cache")
    if kernel is not None:
        return State(StateKind.SHORT_CONV, hidden, kernel)
    kernel = positive(keys, "ssm.conv_kernel") or 1
    square = positive(keys, "kda.head_dim")
    if square is not None:
        heads = widest(keys, "attention.head_count")
        return State(StateKind.KDA, 3 * heads * square, kernel, heads=heads, rows=square, columns=square)
    inner, size = positive(keys, "ssm.inner_size"), positive(keys, "ssm.state_size")
    if inner is None or size is None:
        return None
    groups = positive(keys, "ssm.group_count") or 0
    heads = inner
    if groups:
        ranks = positive(keys, "ssm.time_step_rank")
        if ranks is not None and inner % ranks == 0:
            heads = ranks
    rows = inner // heads
    is_delta_net = positive(keys, "full_attention_interval") or word(keys, "arch") in _EVERY_FOURTH_FULL
    if is_delta_net:
        return State(StateKind.GDN, inner + 2 * groups * size, kernel, heads, rows, columns=size)
    if groups:
        return State(StateKind.MAMBA2, inner, kernel, heads, rows, columns=size, groups=groups, group_width=size)
    return State(StateKind.MAMBA1, inner, kernel, heads, rows, columns=size)


def _attention(keys: Keys, index: int, total: int, window: int | None) -> Attention | None:
    """One layer's cache, None when it has no KV heads or a size is missing.

    Latent models (those with decompressed head sizes in the header) keep keys only. Sources:
    src/llama-hparams.cpp (n_embd_k_gqa, n_embd_v_gqa, is_mla), src/llama-kv-cache-dsa.cpp.
    """
    heads = per_layer(keys, "attention.head_count", total)
    shared = per_layer(keys, "attention.head_count_kv", total) or heads
    hidden = positive(keys, "embedding_length")
    if shared is None or shared[index] <= 0:
        return None
    plain = None
    if hidden is not None and heads is not None and heads[0] > 0:
        plain = hidden // heads[0]
    key = positive(keys, "attention.key_length") or plain
    value = positive(keys, "attention.value_length") or plain
    if window is not None:
        key = positive(keys, "attention.key_length_swa") or key
        value = positive(keys, "attention.value_length_swa") or value
    if key is None or value is None:
        return None
    is_latent = positive(keys, "attention.key_length_mla") and positive(keys, "attention.value_length_mla")
    if is_latent:
        indexer = 0
        if _owns_indexer(keys, index):
            indexer = positive(keys, "attention.indexer.key_length") or 0
        rope = positive(keys, "rope.dimension_count") or 0
        return Attention(AttentionKind.MLA, shared[index], key, 0, rope=rope, indexer=indexer)
    if word(keys, "arch") == _COMPRESSED:
        return _compressed(keys, index, total, shared[index], key)
    if window is None:
        return Attention(AttentionKind.FULL, shared[index], key, value)
    kind = AttentionKind.WINDOW
    rule = _WINDOWS.get(word(keys, "arch"))
    if rule is not None and rule.chunked:
        kind = AttentionKind.CHUNKED
    return Attention(kind, shared[index], key, value, window=window)


def _compressed(keys: Keys, index: int, total: int, heads: int, width: int) -> Attention | None:
    """A DeepSeek V4 layer: rows of keys in a window, and compressed ones by the layer's ratio."""
    ratios = per_layer(keys, "attention.compress_ratios", total)
    if ratios is None:
        return None
    return Attention(
        AttentionKind.WINDOW,
        heads,
        width,
        0,
        window=positive(keys, "attention.sliding_window") or 128,
        rope=positive(keys, "rope.dimension_count") or 0,
        indexer=positive(keys, "attention.indexer.key_length") or 0,
        compress=ratios[index],
    )


def _owns_indexer(keys: Keys, index: int) -> bool:
    """Whether a latent layer keeps index keys of its own (src/models/glm-dsa.cpp)."""
    listed = keys.get("attention.indexer.types")
    if isinstance(listed, Sequence) and not isinstance(listed, str) and index < len(listed):
        return bool(listed[index])
    length = positive(keys, "context_length") or 0
    if word(keys, "arch") == "glm-dsa" and length >= _FULL_INDEXER_CONTEXT:
        return index < 2 or (index - 2) % 4 == 0
    return True
