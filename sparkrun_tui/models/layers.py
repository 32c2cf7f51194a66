"""What one decoder layer keeps per token or per request: attention caches and recurrent states."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from sparkrun_tui.base.records import dataclass

MOST_LAYERS = 1024
"""More layers than any model has: a file that states more is damaged."""


class AttentionKind(StrEnum):
    """How far back a layer's attention cache reaches, and whether it is a latent one."""

    FULL = "full"
    WINDOW = "window"
    CHUNKED = "chunked"
    MLA = "mla"


class StateKind(StrEnum):
    """The recurrences that keep a state of fixed size per request."""

    GDN = "gdn"
    MAMBA1 = "mamba1"
    MAMBA2 = "mamba2"
    KDA = "kda"
    SHORT_CONV = "short_conv"
    NGRAM_CONV = "ngram_conv"
    LIGHTNING = "lightning"


@dataclass(frozen=True, slots=True)
class Attention:
    """One layer's attention cache, sizes in elements per token before any tensor parallelism.

    `head_k`/`head_v` are the widths of one KV head's key and value. For `MLA` there is one head, its
    key is latent plus rope and its value 0; `rope` is the rope part of it. `window` is the window or
    chunk in tokens. `indexer` is the width of the sparse-attention index key of a layer that owns an
    indexer (0: none) and `index_pool` how many tokens share one index entry; full layers have both too
    (Qwen4-Exp). `compress` is
    DeepSeek-V4's compression ratio (0: an uncompressed window layer, None: not such a model).
    """

    kind: AttentionKind
    kv_heads: int
    head_k: int
    head_v: int
    window: int | None = None
    rope: int = 0
    indexer: int = 0
    index_pool: int = 1
    compress: int | None = None


@dataclass(frozen=True, slots=True)
class State:
    """One layer's recurrent state, sizes in elements before any tensor parallelism.

    The convolution keeps `kernel - 1` columns of `inner + 2 * groups * group_width` channels, the
    recurrence `heads * rows * columns` elements (0 heads: none). `dtype` is the recurrence's own data
    type from the checkpoint, empty for the model's.
    """

    kind: StateKind
    inner: int
    kernel: int
    heads: int = 0
    rows: int = 0
    columns: int = 0
    groups: int = 0
    group_width: int = 0
    dtype: str = ""


@dataclass(frozen=True, slots=True)
class Layer:
    """One decoder layer: its attention cache, its recurrent state, both, or neither.

    `shares` marks a layer that reads the cache of an earlier one and allocates none of its own in
    engines that know about it. `inputs` is the short window in which a layer keeps the inputs of its
    convolutions (Inkling): its heads, their width as `head_k`, and the kernel as `window`. `beside` is a
    second state, of the convolution over a layer's n-gram embeddings (Qwen4-Exp).
    """

    attention: Attention | None = None
    state: State | None = None
    shares: bool = False
    inputs: Attention | None = None
    beside: State | None = None


Groups = Sequence[tuple[Layer, int]]
"""Different layers, each with its number of occurrences."""


def grouped(layers: Sequence[Layer]) -> Groups:
    """Each different layer once, with its number; equal layers of one model are the same object."""
    first = {id(layer): layer for layer in layers}
    counts = dict.fromkeys(first, 0)
    for layer in layers:
        counts[id(layer)] += 1
    return [(layer, counts[key]) for key, layer in first.items()]


def kinds(layers: Sequence[Layer] | None) -> Sequence[Layer]:
    """Each different layer once."""
    return list({id(layer): layer for layer in layers or ()}.values())
