"""The tables of cosines and sines that an engine keeps for rotary positions."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.models.config.values import Config, flag, fraction, mapping, positive, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, kinds

_WITHOUT = ("nemotron_h", "jamba")
"""Families whose attention has no rotary positions (vllm/model_executor/models/nemotron_h.py, jamba.py)."""


def rope_bytes(facts: ModelFacts) -> int:
    """The bytes of all rope tables of a model; each rank keeps them whole.

    There is one table for each different width, base and scaling: positions x width x the dtype's bytes. Tables of
    YaRN are kept in fp32. Source: vllm/model_executor/layers/rotary_embedding/__init__.py (get_rope), base.py,
    yarn_scaling_rope.py, deepseek_scaling_rope.py.
    """
    positions = facts.max_length
    if not positions:
        return 0
    tables = set()
    for layer in kinds(facts.layers):
        attention = layer.attention
        if attention is not None:
            table = _table(facts, attention)
            if table[0]:
                tables.add(table)
    if facts.layers is None:
        settings = mapping(facts.config, "rope_parameters", "rope_scaling")
        tables.add((_width(facts, settings, facts.head_dim or 0), "", word(settings, "rope_type", "type")))
    total = 0
    for width, _, scaling in tables:
        size = 4 if scaling in ("yarn", "deepseek_yarn") else facts.element_bytes
        total += positions * width * size
    return total


def _table(facts: ModelFacts, attention: Attention) -> tuple[int, str, str]:
    """The table that a layer uses: its width, its base, and its scaling; a width of 0 for none."""
    config = facts.config
    settings = _settings(config, attention)
    scaling = word(settings, "rope_type", "type")
    base = str(settings.get("rope_theta", config.get("rope_theta")))
    if attention.compress is not None:
        # DeepSeek-V4's compressed layers have a base of their own (vllm/models/deepseek_v4/common/rope.py).
        base = "compressed" if attention.compress else "plain"
        return attention.rope, base, scaling
    if attention.kind is AttentionKind.MLA:
        width = 0 if flag(config, "mla_use_nope") else attention.rope
        return width, base, scaling
    if attention.kind is AttentionKind.WINDOW and config.get("rope_local_base_freq") is not None:
        base, scaling = str(config["rope_local_base_freq"]), "default"
    return _width(facts, settings, attention.head_k), base, scaling


def _settings(config: Config, attention: Attention) -> Config:
    """The rope settings of a layer: those of its kind where the file has several."""
    found = mapping(config, "rope_parameters") or mapping(config, "rope_scaling")
    key = "full_attention"
    if attention.kind is AttentionKind.WINDOW:
        key = "sliding_attention"
    own = found.get(key)
    return own if isinstance(own, Mapping) else found


def _width(facts: ModelFacts, settings: Config, head: int) -> int:
    """How many elements of a head of `head` elements are rotated.

    Gemma 4's proportional rope turns a part of them, its table has the whole width.
    """
    config = facts.config
    if facts.model_type.startswith(_WITHOUT) or word(config, "position_embedding_type") == "nope":
        return 0
    direct = positive(config, "rotary_dim", "qk_rope_head_dim")
    if direct is not None:
        return direct
    if word(settings, "rope_type", "type") == "proportional":
        return head
    factor = fraction(config, "partial_rotary_factor")
    if factor is None:
        factor = fraction(settings, "partial_rotary_factor")
    return int(head * (1.0 if factor is None else factor))
