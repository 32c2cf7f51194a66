"""The cache layers that speculative decoding adds to a model in vLLM, and what a draft model asks of the rest."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.assistants import reads_targets_cache
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.vllm.versions import VllmRules
from sparkrun_tui.models.config.drafters import is_block_drafter, keeps_every_token
from sparkrun_tui.models.config.values import flag, positive
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, Layer, kinds

_NO_LAYERS = ("ngram", "suffix", "medusa", "custom_class", "mlp_speculator", "extract_hidden_states")
"""Speculative methods that draft without attention layers of their own."""

_BLOCK_METHODS = ("dflash", "dspark")
"""Speculative methods whose draft model drafts a block at once, with several layers."""

NO_DRAFTER = "nothing is known of the draft model; its cache is counted like five of the model's own layers"

FEW_LAYERS = (
    "nothing is known of the draft model; its cache is counted like one of the model's layers, at most like four"
)

_DSPARK_STAGES = 3
"""The layers of a DSpark drafter that is part of the target's checkpoint (vllm/models/deepseek_v4/nvidia/dspark.py)."""


@dataclass(frozen=True, slots=True)
class Drafts:
    """The layers that speculation adds, a note when they had to be assumed, and whether they are a block drafter's.

    A block drafter chooses its own attention backend and may have its own data type for the cache.
    """

    layers: tuple[Layer, ...] = ()
    note: str = ""
    block: bool = False


def block_method(facts: ModelFacts, speculative: Speculative) -> str:
    """`dflash` or `dspark` where the draft model drafts a block at once, else empty.

    Without a method the draft model's name and file decide. Source: vllm/config/speculative.py (__post_init__).
    """
    if speculative.method:
        return speculative.method if speculative.method in _BLOCK_METHODS else ""
    name = speculative.model.lower()
    if "eagle" in name:
        return ""
    for method in _BLOCK_METHODS:
        if method in name:
            return method
    known = facts.drafter is not None and is_block_drafter(facts.drafter.config)
    return "dflash" if known else ""


def drafts_of(facts: ModelFacts, settings: EngineSettings, rules: VllmRules) -> Drafts:
    """The layers that speculation adds to a model."""
    speculative = settings.speculative
    if speculative is None or speculative.method.startswith(_NO_LAYERS):
        return Drafts()
    if reads_targets_cache(facts, speculative):
        return Drafts()
    block = block_method(facts, speculative)
    drafter = facts.drafter
    if drafter is not None and drafter.layers is not None:
        if block:
            return Drafts(_block_layers(drafter, rules), block=True)
        return Drafts(drafter.layers)
    if "mtp" in speculative.method or speculative.method in ("nextn", "deepseek_mtp"):
        if any(layer.inputs is not None for layer in facts.mtp):
            # Only as many of Inkling's modules are made as tokens are drafted.
            return Drafts(facts.mtp[: speculative.tokens or None])
        if facts.mtp:
            return Drafts(facts.mtp)
        return Drafts(_assumed(facts, 1), "the drafter's layer is assumed to be like the model's")
    if block == "dspark" and facts.mtp and _is_in_target(facts, speculative):
        return Drafts(facts.mtp[:1] * (positive(facts.config, "n_mtp_layers") or _DSPARK_STAGES))
    if facts.mtp and not speculative.model:
        return Drafts(facts.mtp)
    if block or _is_whole_model(speculative):
        return Drafts(_assumed(facts, 5), NO_DRAFTER)
    if any(layer.attention is not None and layer.attention.kind is AttentionKind.MLA for layer in kinds(facts.layers)):
        # EAGLE's drafters keep keys and values in full, many times what latent attention keeps.
        return Drafts(_assumed(facts, 5), NO_DRAFTER)
    return Drafts(_assumed(facts, speculative.assumed_layers), FEW_LAYERS)


def _is_whole_model(speculative: Speculative) -> bool:
    """Whether a model of its own drafts, with as many layers as it has.

    Without a method it does where nothing in the name says otherwise. Source: vllm/config/speculative.py
    (__post_init__).
    """
    if speculative.method:
        return speculative.method == "draft_model"
    return bool(speculative.model) and "eagle" not in speculative.model.lower()


def _is_in_target(facts: ModelFacts, speculative: Speculative) -> bool:
    """Whether the drafter's layers are those of DeepSeek-V4's own checkpoint."""
    compressed = any(layer.attention is not None and layer.attention.compress is not None for layer in facts.mtp)
    return compressed and not speculative.model


def _block_layers(drafter: ModelFacts, rules: VllmRules) -> tuple[Layer, ...]:
    """The layers of a block drafter as vLLM caches them.

    Laguna's windows limit what is computed and not what is kept, as did those of all drafters before 0.25. Source:
    vllm/model_executor/models/laguna_dflash.py, qwen3_dflash.py.
    """
    layers = drafter.layers or ()
    if rules.windowed_drafts and not keeps_every_token(drafter.config):
        return layers
    kept: dict[int, Layer] = {}
    for layer in layers:
        if id(layer) not in kept:
            kept[id(layer)] = _in_full(layer)
    return tuple(kept[id(layer)] for layer in layers)


def _in_full(layer: Layer) -> Layer:
    """A windowed layer that keeps every token."""
    attention = layer.attention
    if attention is None or attention.kind is not AttentionKind.WINDOW:
        return layer
    return replace(layer, attention=replace(attention, kind=AttentionKind.FULL, window=None))


def _assumed(facts: ModelFacts, count: int) -> tuple[Layer, ...]:
    """`count` full attention layers like the target's."""
    like = next((layer for layer in facts.layers or () if layer.attention and not layer.shares), None)
    return (replace(like, state=None),) * count if like else ()


def block_queries(facts: ModelFacts, settings: EngineSettings) -> int:
    """The tokens of one request in a block drafter's pass, 0 without one.

    The bonus token and each drafted one; DSpark drafts from the bonus token itself where its file does not deny it.
    Source: vllm/config/vllm.py (num_lookahead_tokens).
    """
    speculative = settings.speculative
    if speculative is None or not speculative.tokens:
        return 0
    method = block_method(facts, speculative)
    if method == "dflash":
        return speculative.tokens + 1
    if method == "dspark":
        config = facts.drafter.config if facts.drafter is not None else {}
        return speculative.tokens + (0 if flag(config, "sample_from_anchor", default=True) else 1)
    return 0
