"""The cache layers that speculative decoding adds to a model in vLLM."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer

_NO_LAYERS = ("ngram", "suffix", "medusa", "custom_class", "mlp_speculator", "extract_hidden_states")
"""Speculative methods that draft without attention layers of their own."""

NO_DRAFTER = "nothing is known of the draft model; its cache is counted like five of the model's own layers"


def drafter_layers(facts: ModelFacts, settings: EngineSettings) -> tuple[tuple[Layer, ...], str]:
    """The layers that speculation adds, and a note when they had to be assumed."""
    speculative = settings.speculative
    if speculative is None or speculative.method.startswith(_NO_LAYERS):
        return (), ""
    if facts.drafter is not None and facts.drafter.layers is not None:
        return facts.drafter.layers, ""
    if "mtp" in speculative.method or speculative.method in ("nextn", "deepseek_mtp"):
        if any(layer.inputs is not None for layer in facts.mtp):
            # Only as many of Inkling's modules are made as tokens are drafted.
            return facts.mtp[: speculative.tokens or None], ""
        if facts.mtp:
            return facts.mtp, ""
        return _assumed(facts, 1), "the drafter's layer is assumed to be like the model's"
    if facts.mtp and not speculative.model:
        return facts.mtp, ""
    if speculative.method in ("dflash", "dspark"):
        return _assumed(facts, 5), NO_DRAFTER
    return _assumed(facts, 1), "nothing is known of the draft model; its cache is assumed small"


def _assumed(facts: ModelFacts, count: int) -> tuple[Layer, ...]:
    """`count` full attention layers like the target's."""
    like = next((layer for layer in facts.layers or () if layer.attention and not layer.shares), None)
    return (replace(like, state=None),) * count if like else ()
