"""What Qwen4-Exp's layers hold beside attention and feed-forward: mixed hidden streams and embeddings of n-grams."""

from __future__ import annotations

from sparkrun_tui.models.config.families import INDEXED
from sparkrun_tui.models.config.values import positive, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer
from sparkrun_tui.models.modules.module import Kind, Module, Split, small

_STREAMS, _LOW_RANK, _PADDED_ROWS = 4, 320, 16
_NGRAM, _HEADS, _WORDS, _DIVISOR = 3, 8, 20_000_000, 128
"""Defaults of the configuration (sglang/srt/configs/qwen4_exp.py)."""

_TABLE_BYTES = {"nvfp4": 9 / 16, "float8_e4m3fn": 1.0}
"""Bytes of an element of the n-gram table by `ple_embedding_dtype`."""


def stream_modules(facts: ModelFacts, layer: Layer, at: str) -> list[Module]:
    """What mixes the hidden streams before a layer's attention and feed-forward, and a layer's n-gram embeddings.

    Each rank keeps the mixers, which no format quantises, and the projections of the embeddings. Source:
    vllm/models/qwen4_exp/nvidia/hyperconnection.py, ple_layer.py.
    """
    if facts.model_type not in INDEXED:
        return []
    config, hidden = facts.config, facts.hidden or 0
    streams = positive(config, "hc_count") or _STREAMS
    rank, wide = positive(config, "hc_lowrank") or _LOW_RANK, streams * hidden
    down = -(-(rank + streams) // _PADDED_ROWS) * _PADDED_ROWS
    found = [small(2 * (down + rank + 1) * wide)]
    if layer.beside is None:
        return found
    width = positive(config, "ple_embed_dim") or hidden
    rows, columns = _table_shape(facts)
    size = _table_element(facts)
    table = Module("embed_ngrams", Kind.EMBEDDING, int(rows * columns * size), 1, element=1, linear=False)
    if size == facts.element_bytes:
        table = Module("embed_ngrams", Kind.EMBEDDING, rows, columns, linear=False)
    return [
        *found,
        table,
        Module(f"{at}.ple.key_proj", Kind.DENSE, wide, width, Split.WHOLE),
        Module(f"{at}.ple.value_proj", Kind.DENSE, hidden, width, Split.WHOLE),
        small(3 * wide),
        small(wide * (positive(config, "ple_conv_kernel_size") or 4)),
    ]


def _table_shape(facts: ModelFacts) -> tuple[int, int]:
    """The rows and columns of a layer's n-gram table: each head has its own words, a prime number of them.

    Source: vllm/models/qwen4_exp/nvidia/ngram_embedding.py (_make_vocab_layout).
    """
    config = facts.config
    heads = ((positive(config, "ngram_size") or _NGRAM) - 1) * (positive(config, "heads_per_ngram") or _HEADS)
    words = positive(config, "ngram_vocab_size_base") or _WORDS
    divisor = positive(config, "make_ngram_vocab_size_divisible_by") or _DIVISOR
    width = positive(config, "ple_embed_dim") or facts.hidden or 0
    return -(-heads * words // divisor) * divisor, width // max(1, heads)


def _table_element(facts: ModelFacts) -> float:
    """Bytes of an element of the n-gram table.

    The published quantised checkpoints keep it in fp8; compressed-tensors leave it in the model's own type. Source:
    vllm/models/qwen4_exp/common/ngram_embedding.py (from_quant_config).
    """
    stated = _TABLE_BYTES.get(word(facts.config, "ple_embedding_dtype"))
    if stated is not None:
        return stated
    if facts.quant is None or facts.quant.method == "compressed-tensors":
        return facts.element_bytes
    return 1.0


def table_bytes(facts: ModelFacts) -> int:
    """The bytes of all n-gram tables, 0 for a model without any."""
    if facts.model_type not in INDEXED:
        return 0
    rows, columns = _table_shape(facts)
    layers = sum(layer.beside is not None for layer in facts.layers or ())
    return int(layers * rows * columns * _table_element(facts))
