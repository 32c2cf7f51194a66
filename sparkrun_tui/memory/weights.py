"""How many bytes a model's weights take on one rank: from headers, or from counts and formats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil

from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.config.values import fraction, mapping, positive, word
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts, QuantFacts, WeightFacts
from sparkrun_tui.models.layers import AttentionKind, kinds
from sparkrun_tui.models.parameters import Parameters, count_parameters, without_drafter
from sparkrun_tui.models.weight_formats import WeightFormat, weight_format, whole_bytes

_ON_LOAD = frozenset({"fp8", "bitsandbytes", "int8", "mxfp8", "nvfp4_online", "fp8_per_tensor", "fp8_per_block"})
"""Values of `--quantization` that convert a plain checkpoint while it is loaded."""

_REPLICATED = 0.001
"""Share of a checkpoint that every tensor-parallel rank keeps (norms, routers) when there are no headers."""


@dataclass(frozen=True, slots=True)
class Weights:
    """Weight bytes: the whole model as loaded, one rank's share, its band, and where the figure comes from.

    `checkpoint` is the part that was read or declared, without what the engine adds on loading.
    """

    whole: int
    rank: int
    low: int
    high: int
    source: str
    checkpoint: int

    @property
    def band(self) -> Band:
        """One rank's share as a band."""
        return Band(self.rank, self.low, self.high, self.source)


def weights_of(facts: ModelFacts, settings: EngineSettings) -> Weights | None:
    """The weights on the rank that holds most, None when their size is unknown.

    Order: the recipe's `model_vram`, headers, declared or known parameters, the architecture's own
    count. The engine adds rope tables and the padding of some kernels. Sources:
    vllm/model_executor/layers/rotary_embedding, fused_moe/oracle/mxfp4.py.
    """
    declared = facts.declared
    facts = _quantised_on_load(facts, settings)
    if declared is not None and declared.model_vram:
        return _spread(facts, settings, WeightFacts(declared.model_vram, "recipe"), 0.0, 0.0, "recipe", extra=0)
    extra = rope_bytes(facts)
    if facts.weights is not None:
        padding = _padding(facts, facts.weights.experts)
        margin = 0.02 if facts.weights.sharded is not None else 0.03
        return _spread(facts, settings, facts.weights, margin, margin, facts.weights.source, extra + padding)
    return _without_headers(facts, settings, extra)


def _quantised_on_load(facts: ModelFacts, settings: EngineSettings) -> ModelFacts:
    """The facts of a plain checkpoint that the engine quantises while it loads it."""
    if facts.quant is not None or settings.quantization not in _ON_LOAD:
        return facts
    if facts.declared is not None and facts.declared.model_dtype not in ("", "auto", "bfloat16", "bf16"):
        return facts
    size = element_bytes(facts.dtype) or 2
    counted = facts.params or (facts.weights.total // size if facts.weights else None)
    return replace(facts, quant=QuantFacts(settings.quantization), weights=None, params=counted, declared=None)


def _without_headers(facts: ModelFacts, settings: EngineSettings, extra: int) -> Weights | None:
    """Estimate from parameters and the weight format, by class where the architecture is known."""
    counted = count_parameters(facts)
    declared = facts.declared.params if facts.declared else None
    stated = declared or facts.params
    if stated is None and counted is None:
        return None
    form = weight_format(facts)
    if form is None:
        return None
    parts = _bytes_by_class(facts, counted, stated, form)
    padding = _padding(facts, parts.experts)
    source = "parameters"
    if declared:
        source = "recipe"
    elif stated is None:
        source = "config"
    spread = 0.02 if form.plain else 0.08
    return _spread(facts, settings, parts, spread / 2, spread, source, extra + padding)


def _bytes_by_class(
    facts: ModelFacts, counted: Parameters | None, stated: int | None, form: WeightFormat
) -> WeightFacts:
    """Weight bytes by class: what the format quantises at its bits, the rest in the model's dtype."""
    plain = element_bytes(facts.dtype) or 2
    if counted is None:
        total = stated or 0
        if not facts.vocab or not facts.hidden:
            return WeightFacts(int(total * whole_bytes(form)), "parameters")
        kept = min(total, 2 * facts.vocab * facts.hidden)
        return WeightFacts(int(kept * plain + (total - kept) * form.whole_bits / 8), "parameters")
    ends = counted.embedding + counted.head
    body = counted.mixing + counted.dense + counted.experts
    if stated is not None:
        body = max(0, without_drafter(stated, counted) - ends)
    mixing = min(counted.mixing, body)
    feed = body - mixing
    experts = min(counted.experts, feed)
    mixing_bits = form.mixing_bits_of_experts if counted.experts else form.mixing_bits
    if not mixing_bits:
        mixing_bits = 8 * plain
    end_bits = form.bits if form.quantises_ends else 8 * plain
    expert_bits = form.bits
    if word(facts.config, "expert_dtype") == "fp4":
        expert_bits = 4.25
    expert_bytes = int(experts * expert_bits / 8)
    drafter = counted.drafter * plain if facts.mtp else 0
    total_bytes = int(ends * end_bits / 8 + mixing * mixing_bits / 8 + (feed - experts) * form.bits / 8 + expert_bytes)
    return WeightFacts(
        total=total_bytes + drafter,
        source="parameters",
        experts=expert_bytes,
        embedding=counted.embedding * plain,
        head=counted.head * plain,
        drafter=drafter,
    )


def _spread(
    facts: ModelFacts,
    settings: EngineSettings,
    weights: WeightFacts,
    low: float,
    high: float,
    source: str,
    extra: int,
) -> Weights:
    """Take away what is not loaded, split the rest over the ranks and put a band around it.

    Rank = sharded/tp/stages + replicated/stages + rope; the first and last stage also hold embedding and
    head whole, and expert parallelism spreads experts over the replicas too. `low` and `high` are
    shares of the result.
    """
    loaded = weights.total
    if not uses_own_drafter(settings):
        loaded -= weights.drafter
    if settings.text_only:
        loaded -= weights.vision
    replicated = weights.replicated if weights.sharded is not None else int(loaded * _REPLICATED)
    vision = 0 if settings.text_only else weights.vision
    sharded = max(0, loaded - replicated - vision)
    ranks, stages = settings.tensor_parallel, settings.pipeline_parallel
    ends = min(sharded, weights.embedding + weights.head)
    experts = min(weights.experts or 0, sharded - ends)
    spread = settings.data_parallel if settings.expert_parallel else 1
    body = ceil((sharded - ends - experts + experts / spread) / stages)
    per_stage = body + (ends if stages == 1 else max(weights.embedding, weights.head))
    rank = ceil(per_stage / ranks) + ceil(replicated / stages) + vision + extra
    drafter = _draft_model_bytes(facts, settings)
    rank += drafter
    whole = loaded + extra + drafter
    return Weights(whole, rank, int(rank * (1 - low)), int(rank * (1 + high)), source, loaded)


def uses_own_drafter(settings: EngineSettings) -> bool:
    """Whether speculation loads the drafter that the checkpoint itself carries."""
    speculative = settings.speculative
    return (
        speculative is not None
        and not speculative.model
        and ("mtp" in speculative.method or speculative.method == "nextn")
    )


def _draft_model_bytes(facts: ModelFacts, settings: EngineSettings) -> int:
    """The bytes of a separate draft model on one rank, 0 when there is none or nothing is known."""
    if settings.speculative is None or facts.drafter is None:
        return 0
    drafter = facts.drafter
    if drafter.weights is not None:
        return ceil(drafter.weights.total / settings.tensor_parallel)
    counted = count_parameters(drafter)
    total = drafter.params or (counted.total if counted else 0)
    return ceil(total * (element_bytes(drafter.dtype) or 2) / settings.tensor_parallel)


def rope_bytes(facts: ModelFacts) -> int:
    """The rope table: positions x rotary width x dtype (cosines and sines), once per model.

    DeepSeek's YaRN keeps it in fp32. Source: vllm/model_executor/layers/rotary_embedding/base.py,
    deepseek_scaling_rope.py.
    """
    positions = facts.max_length
    width = _rotary_width(facts)
    if not positions or not width:
        return 0
    size = element_bytes(facts.dtype) or 2
    for layer in kinds(facts.layers):
        if layer.attention is not None and layer.attention.kind is AttentionKind.MLA:
            size = 4
    return positions * width * size


def _rotary_width(facts: ModelFacts) -> int:
    """How many elements of a head are rotated."""
    config = facts.config
    direct = positive(config, "rotary_dim", "qk_rope_head_dim")
    if direct is not None:
        return direct
    if word(config, "position_embedding_type") == "nope" or not facts.head_dim:
        return 0
    factor = fraction(config, "partial_rotary_factor")
    if factor is None:
        factor = fraction(mapping(config, "rope_parameters"), "partial_rotary_factor")
    return int(facts.head_dim * (1.0 if factor is None else factor))


def _padding(facts: ModelFacts, expert_bytes: int | None) -> int:
    """What the mxfp4 expert kernels add: widths padded to 128 and 256, biases in fp32.

    Source: vllm/model_executor/layers/fused_moe/oracle/mxfp4.py (Marlin and Triton layouts).
    """
    form = weight_format(facts)
    if form is None or form.name != "mxfp4" or not (facts.hidden and facts.expert_width and facts.layers):
        return 0
    width, hidden = facts.expert_width, facts.hidden
    matrices = len(facts.layers) * facts.experts
    if expert_bytes is None:
        expert_bytes = int(matrices * 3 * width * hidden * form.bits / 8)
    ratio = ceil(width / 128) * 128 * ceil(hidden / 256) * 256 / (width * hidden) - 1
    biases = matrices * (2 * width + hidden) * 2 if facts.model_type == "gpt_oss" else 0
    return int(expert_bytes * ratio) + biases
