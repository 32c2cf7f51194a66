"""llama-server's compute buffer: a formula for its size in bytes and the band around it."""

from __future__ import annotations

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.llama_cpp.cache import Shape, flash_attention
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.gguf.keys import widest
from sparkrun_tui.models.layers import Groups

_LIMITED_OUTPUTS = 9450
"""Builds from about here on (June 2026, ggml-org/llama.cpp pull request 23861) reserve logits for the rows that
slots may ask for, not for a whole micro-batch."""

_MARGIN = 1.3
_MISS = 150 * MIB
"""The largest miss that was measured at the ordinary micro-batch of 512."""


def limits_outputs(version: str) -> bool:
    """Whether a build (`b11669`) limits the reserved logits; an unknown build counts as a new one."""
    build = whole(version.removeprefix("b"))
    return build is None or build >= _LIMITED_OUTPUTS


def compute_buffer(
    facts: ModelFacts, groups: Groups, settings: EngineSettings, shape: Shape, device: bool
) -> Band | None:
    """The compute buffer of one context in bytes, None when the model's widths are not known.

    With flash attention ub x 4 x (5E + the largest of three times the feed-forward, the experts' term and
    the logits) plus masks of two bytes per cell and token; a device needs 4E and a host buffer beside it.
    Without, heads x cells x ub x 4 come on top. Older builds and `--embeddings` hold logits of the whole
    micro-batch. Measured on 407 loads: exact for most architectures, up to 30 % more for the others.
    Sources: src/llama-graph.cpp, ggml/src/ggml-alloc.c.
    """
    hidden, ub = facts.hidden, shape.ubatch
    if not hidden:
        return None
    vocab = facts.vocab or 0
    options = settings.llama
    largest = 0
    for layer, _ in groups:
        if layer.attention is not None and layer.attention.window:
            largest = max(largest, layer.attention.window)
    cells = shape.sequence
    if largest:
        cells += shape.window_cells(largest, options.swa_full)
    ends = 4 if device else 5
    if not flash_attention(facts, options):
        width = 5 * hidden + _projections(facts, groups)
        likely = (facts.heads or 0) * shape.sequence * ub * 4 + ub * 4 * width + 4 * ub * cells
    else:
        logits = 0
        if not options.embeddings:
            logits = -(-vocab * shape.outputs // ub)
        likely = ub * 4 * (ends * hidden + max(_feed_forward(facts), logits)) + 2 * ub * cells
    if options.embeddings or not limits_outputs(settings.version):
        likely = max(likely, ub * (vocab + hidden) * 4)
    if device:
        likely += ub * 4 * 4 * hidden + 2 * ub * cells
    high = max(int(likely * _MARGIN), likely + _MISS)
    return Band(likely, int(likely * 0.88), high, "formula, exact for most architectures")


def _feed_forward(facts: ModelFacts) -> int:
    """The elements per token that the feed-forward holds at its peak."""
    if not facts.experts:
        return 3 * (facts.intermediate or 0)
    dense = 0
    if _has_dense_layers(facts):
        dense = facts.intermediate or 0
    used, width = facts.experts_per_token, facts.expert_width or 0
    hidden = facts.hidden or 0
    experts = 3 * used * width
    if used * hidden > 2 * used * width:
        experts += used * hidden
    return max(3 * dense, experts)


def _has_dense_layers(facts: ModelFacts) -> bool:
    """Whether a model with experts also has layers without (leading ones, or every other one)."""
    step = max(widest(facts.gguf, "interleave_moe_layer_step"), widest(facts.gguf, "moe_every_n_layers"))
    return widest(facts.gguf, "leading_dense_block_count") > 0 or step > 1 or not facts.expert_intermediate


def _projections(facts: ModelFacts, groups: Groups) -> int:
    """The elements per token of queries, keys and values of the widest layer."""
    width = 0
    for layer, _ in groups:
        attention = layer.attention
        if attention is None:
            continue
        heads = facts.heads or widest(facts.gguf, "attention.head_count")
        total = heads * attention.head_k + attention.kv_heads * (attention.head_k + attention.head_v)
        width = max(width, total)
    return width
