"""The modules of a layer's feed-forward: dense, or routed experts with what stands beside them."""

from __future__ import annotations

from enum import StrEnum

from sparkrun_tui.base.reading.numbers import decimal_of
from sparkrun_tui.models.config.values import Config, flag, positive, sequence, whole, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.modules.module import Kind, Module, Split, small

_NON_GATED = frozenset({"nemotron_h", "nemotron_h_moe", "nemotron", "gpt2", "falcon", "phi", "bloom", "opt"})
"""Families whose feed-forward has two matrices instead of three."""

_EXACT_ROUTERS = ("glm4_moe", "minimax_m2", "nemotron_h")
"""Families whose router is kept in fp32 (vllm/model_executor/models/glm4_moe.py, minimax_m2.py, nemotron_h.py)."""

_QUANTISED_ROUTERS = ("qwen2_moe", "qwen3_moe", "qwen3_next", "qwen3_5", "qwen4_exp", "qwen3_vl_moe", "olmoe")
"""Families whose router is built like any linear layer (models/qwen3_moe.py); others keep it as it is."""


class Feed(StrEnum):
    """What follows the attention of a layer."""

    DENSE = "dense"
    EXPERTS = "experts"
    NOTHING = "nothing"


def is_gated(facts: ModelFacts) -> bool:
    """Whether a feed-forward has a gate beside its up projection."""
    return facts.model_type not in _NON_GATED


def feeds_of(facts: ModelFacts, count: int) -> list[Feed]:
    """What follows the attention of each of `count` layers."""
    letters = _blocks(facts.config)
    if letters:
        kinds = {"E": Feed.EXPERTS, "-": Feed.DENSE}
        return [kinds.get(letter, Feed.NOTHING) for letter in letters[:count]]
    listed = _listed(facts, "feed_forward_length")
    found = []
    for index in range(count):
        feed = Feed.EXPERTS if _has_experts(facts, index) else Feed.DENSE
        if listed is not None and index < len(listed) and not listed[index]:
            feed = Feed.NOTHING
        found.append(feed)
    return found


def _blocks(config: Config) -> str:
    """Nemotron-H's layers as letters (`E` experts, `-` dense feed-forward), empty for other models."""
    pattern = word(config, "hybrid_override_pattern")
    if pattern or not word(config, "model_type").startswith("nemotron_h"):
        return pattern
    letters = {"moe": "E", "mlp": "-", "attention": "*"}
    kinds = sequence(config, "layers_block_type") or []
    return "".join(letters.get(str(kind), "M") for kind in kinds)


def _listed(facts: ModelFacts, key: str) -> list[object] | None:
    """The entries of a GGUF header's list, None when it has one number for all layers."""
    return sequence(facts.gguf, key)


def _has_experts(facts: ModelFacts, index: int) -> bool:
    """Whether layer `index` has routed experts."""
    if not facts.experts:
        return False
    config = facts.config
    used = _listed(facts, "expert_used_count")
    if used is not None:
        return index < len(used) and bool(used[index])
    named = sequence(config, "mlp_layer_types")
    if named is not None and index < len(named):
        return named[index] == "sparse"
    frequency = sequence(config, "moe_layer_freq", "moe_layers")
    if frequency is not None:
        if len(frequency) > index and set(map(str, frequency)) <= {"0", "1"}:
            return bool(frequency[index])
        return index in frequency
    period = positive(config, "expert_layer_period")
    if period:
        return index % period == (whole(config, "expert_layer_offset") or 0)
    if index in (sequence(config, "mlp_only_layers") or ()):
        return False
    first = whole(config, "first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    first = first or whole(facts.gguf, "leading_dense_block_count") or 0
    step = positive(config, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
    return index >= first and (index + 1 - first) % step == 0


def _shared_width(facts: ModelFacts) -> int:
    """The width of the shared expert, 0 without one."""
    config = facts.config
    width = positive(
        config,
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    if width is not None:
        return width
    if facts.model_type.startswith("llama4"):
        return facts.expert_width or 0
    width = positive(facts.gguf, "expert_shared_feed_forward_length")
    if width is not None:
        return width
    number = positive(config, "n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
    number = number or positive(facts.gguf, "expert_shared_count") or 0
    return number * (facts.expert_width or 0)


def feed_modules(facts: ModelFacts, feed: Feed, at: str, wide: bool = False) -> list[Module]:
    """The modules of one layer's feed-forward; `wide` doubles the dense width (Gemma 3n)."""
    if feed is Feed.NOTHING:
        return []
    if feed is Feed.DENSE:
        return _dense(facts, at, 2 if wide else 1)
    found = _experts(facts, at)
    if flag(facts.config, "enable_moe_block"):
        # Gemma 4 has a dense feed-forward beside the experts.
        found += _dense(facts, at, 1)
        found.append(small((facts.hidden or 0) + 2 * facts.experts))
    return found


def _gated(at: str, kind: Kind, width: int, hidden: int, names: tuple[str, str, str], gated: bool) -> list[Module]:
    """Gate (where there is one), up and down projection."""
    gate, up, down = names
    found = [Module(f"{at}.{up}", kind, width, hidden), Module(f"{at}.{down}", kind, hidden, width, Split.COLUMNS)]
    if gated:
        found.insert(0, Module(f"{at}.{gate}", kind, width, hidden))
    return found


_USUAL = ("gate_proj", "up_proj", "down_proj")
_NUMBERED = ("w1", "w3", "w2")


def _dense(facts: ModelFacts, at: str, factor: int) -> list[Module]:
    """A dense feed-forward."""
    width = (positive(facts.config, "intermediate_size_mlp") or facts.intermediate or 0) * factor
    if flag(facts.config, "block_auto_adjust_ff_dim"):
        width = _adjusted(facts.config, positive(facts.config, "block_ff_dim") or width)
    names, place = _USUAL, f"{at}.mlp"
    if facts.model_type.startswith("nemotron_h"):
        place = f"{at}.mixer"
    elif facts.model_type.startswith("lfm2"):
        names, place = _NUMBERED, f"{at}.feed_forward"
    elif facts.model_type.startswith("llama4"):
        place = f"{at}.feed_forward"
    return _gated(place, Kind.DENSE, width, facts.hidden or 0, names, is_gated(facts))


def _adjusted(config: Config, width: int) -> int:
    """LFM2's width: two thirds of what the file states, in multiples (vllm/model_executor/models/lfm2.py)."""
    width = 2 * width // 3
    factor = decimal_of(config.get("block_ffn_dim_multiplier"), least=0.01, most=100)
    if factor is not None:
        width = int(factor * width)
    step = positive(config, "block_multiple_of") or 1
    return -(-width // step) * step


def _experts(facts: ModelFacts, at: str) -> list[Module]:
    """Router, routed experts and shared experts.

    Experts of Nemotron-H work on a smaller latent (`moe_latent_size`) that two projections lead to and from.
    """
    config, hidden, width = facts.config, facts.hidden or 0, facts.expert_width or 0
    place, router, names = _places(facts, at)
    latent = positive(config, "moe_latent_size")
    inner = latent or hidden
    gated = is_gated(facts)
    found = [
        Module(f"{place}.experts.0.{names[1]}", Kind.EXPERTS, width, inner, copies=facts.experts),
        Module(f"{place}.experts.0.{names[2]}", Kind.EXPERTS, inner, width, Split.COLUMNS, copies=facts.experts),
    ]
    if gated:
        found.append(Module(f"{place}.experts.0.{names[0]}", Kind.EXPERTS, width, inner, copies=facts.experts))
    exact = facts.model_type.startswith(_EXACT_ROUTERS)
    # GLM-4.7-Flash's type begins like GLM-4.5's, its code is DeepSeek's.
    exact = exact and not facts.model_type.startswith("glm4_moe_lite")
    linear = facts.model_type.startswith(_QUANTISED_ROUTERS)
    element = 4 if exact else 0
    found.append(Module(router, Kind.ROUTER, facts.experts, hidden, Split.WHOLE, element=element, linear=linear))
    shared = _shared_width(facts)
    if shared:
        name = "shared_expert" if "shared_expert_intermediate_size" in config else "shared_experts"
        found += _gated(f"{place}.{name}", Kind.SHARED, shared, hidden, names, gated)
        if facts.model_type.startswith("qwen"):
            gate = Module(f"{place}.shared_expert_gate", Kind.ROUTER, 1, hidden, Split.WHOLE, linear=linear)
            found.append(gate)
    if latent is not None:
        found.append(Module(f"{place}.fc1_latent_proj", Kind.SHARED, latent, hidden, Split.WHOLE))
        found.append(Module(f"{place}.fc2_latent_proj", Kind.SHARED, hidden, latent, Split.WHOLE))
    if facts.model_type == "gpt_oss":
        found.append(Module("", Kind.EXPERTS, 2 * width, 1, copies=facts.experts, linear=False))
        found.append(Module("", Kind.EXPERTS, hidden, 1, Split.WHOLE, copies=facts.experts, linear=False))
    return found


def _places(facts: ModelFacts, at: str) -> tuple[str, str, tuple[str, str, str]]:
    """Where a family keeps its experts, the name of its router, and the names of an expert's matrices."""
    family = facts.model_type
    if family.startswith("nemotron_h"):
        return f"{at}.mixer", f"{at}.mixer.gate", _USUAL
    if family.startswith(("mixtral", "minimax_m2", "kimi_linear", "phimoe")):
        place = f"{at}.block_sparse_moe"
        return place, f"{place}.gate", _NUMBERED
    if family.startswith("granitemoe"):
        place = f"{at}.block_sparse_moe"
        return place, f"{place}.router", _USUAL
    if family.startswith("gemma4"):
        return at, f"{at}.router.proj", _USUAL
    if family.startswith("llama4"):
        return f"{at}.feed_forward", f"{at}.feed_forward.router", _USUAL
    if family.startswith("lfm2"):
        return f"{at}.feed_forward", f"{at}.feed_forward.gate", _NUMBERED
    if family.startswith("deepseek_v4"):
        return f"{at}.ffn", f"{at}.ffn.gate", _NUMBERED
    if family == "gpt_oss":
        return f"{at}.mlp", f"{at}.mlp.router", _USUAL
    return f"{at}.mlp", f"{at}.mlp.gate", _USUAL
