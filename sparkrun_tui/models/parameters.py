"""Counts a model's parameters by class from its configuration, for estimates without tensor headers."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sparkrun_tui.models.config.values import Config, flag, positive, sequence, whole, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, State, StateKind

_NON_GATED = frozenset({"nemotron_h", "nemotron_h_moe", "nemotron", "gpt2", "falcon", "phi", "bloom", "opt"})
"""Families whose feed-forward has two matrices instead of three."""

_GATED_ATTENTION = ("qwen3_next", "qwen3_5", "qwen3next", "qwen35")
"""Families whose query projection holds an output gate too; the last two are llama.cpp's names."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by class (counts): embeddings and head, attention and states, dense and expert feed-forward.

    `drafter` is one multi-token-prediction layer of this model (whether or not the checkpoint has one),
    not part of `total`.
    """

    embedding: int
    head: int
    mixing: int
    dense: int
    experts: int
    drafter: int

    @property
    def total(self) -> int:
        """All parameters but the drafter's."""
        return self.embedding + self.head + self.mixing + self.dense + self.experts


def count_parameters(facts: ModelFacts) -> Parameters | None:
    """Count the parameters of a model from its layers and sizes, None when a size is missing.

    Norms, biases and routers are left out (well below one per cent).
    """
    if facts.layers is None or not facts.hidden or not facts.vocab:
        return None
    hidden = facts.hidden
    config = facts.config
    count = len(facts.layers)
    expert_layers = _expert_layers(facts)
    dense_layers = _feed_forward_layers(facts, count) - expert_layers
    if facts.experts and facts.expert_width is None:
        return None
    if dense_layers and not facts.intermediate:
        return None

    embedding = hidden * facts.vocab
    head = embedding
    gemma_file = bool(facts.gguf) and facts.model_type.startswith("gemma")
    if flag(config, "tie_word_embeddings", default=gemma_file):
        head = 0

    matrices = 2 if facts.model_type in _NON_GATED else 3
    dense_width = positive(config, "intermediate_size_mlp") or facts.intermediate or 0
    per_dense = matrices * hidden * dense_width
    double_layers = 0
    if flag(config, "use_double_wide_mlp"):
        double_layers = whole(config, "num_kv_shared_layers") or 0
    dense = (dense_layers + double_layers) * per_dense

    experts = 0
    per_layer = per_dense
    if expert_layers:
        latent = positive(config, "moe_latent_size")
        expert_input = latent or hidden
        per_expert = matrices * expert_input * (facts.expert_width or 0)
        shared = matrices * hidden * _shared_width(facts)
        if latent is not None:
            shared += 2 * hidden * latent
        experts = expert_layers * facts.experts * per_expert
        dense += expert_layers * shared
        per_layer = facts.experts * per_expert + shared

    draft_mixing = sum(_mixing(facts, layer, hidden) for layer in _draft_layers(facts))
    return Parameters(
        embedding=embedding + _per_layer_embedding(facts, count),
        head=head,
        mixing=sum(_mixing(facts, layer, hidden) for layer in facts.layers),
        dense=dense,
        experts=experts,
        drafter=draft_mixing + per_layer + 2 * hidden * hidden,
    )


def _draft_layers(facts: ModelFacts) -> tuple[Layer, ...]:
    """The checkpoint's drafting layers, else one like the last layer with attention; empty without any."""
    if facts.mtp:
        return facts.mtp
    for layer in reversed(facts.layers or ()):
        if layer.attention is not None:
            return (replace(layer, state=None),)
    return ()


def without_drafter(stated: int, counted: Parameters) -> int:
    """A stated number of parameters, without the drafter when it clearly includes one.

    It does when it exceeds the architecture's own count by just one drafter layer.
    """
    short = abs(stated - counted.total)
    if short > 0.005 * stated and abs(stated - counted.total - counted.drafter) < 0.003 * stated:
        return stated - counted.drafter
    return stated


def _per_layer_embedding(facts: ModelFacts, count: int) -> int:
    """The embeddings that each layer has of its own (Gemma 3n and small Gemma 4), 0 without any."""
    config = facts.config
    width = positive(config, "hidden_size_per_layer_input") or 0
    return width * count * (positive(config, "vocab_size_per_layer_input") or 0)


def _blocks(config: Config) -> str:
    """Nemotron-H's layers as letters (`E` experts, `-` dense feed-forward), empty for other models."""
    pattern = word(config, "hybrid_override_pattern")
    if pattern or not word(config, "model_type").startswith("nemotron_h"):
        return pattern
    letters = {"moe": "E", "mlp": "-", "attention": "*"}
    kinds = sequence(config, "layers_block_type") or []
    return "".join(letters.get(str(kind), "M") for kind in kinds)


def _listed_layers(facts: ModelFacts, key: str) -> int | None:
    """The number of layers for which a GGUF header's list is not zero, None when it has one number for all."""
    listed = sequence(facts.gguf, key)
    if listed is None:
        return None
    return sum(bool(item) for item in listed)


def _feed_forward_layers(facts: ModelFacts, count: int) -> int:
    """How many of the layers have a feed-forward; in Nemotron-H they are layers of their own."""
    pattern = _blocks(facts.config)
    if pattern:
        return sum(letter in "-E" for letter in pattern)
    listed = _listed_layers(facts, "feed_forward_length")
    return count if listed is None else listed


def _expert_layers(facts: ModelFacts) -> int:
    """How many layers have routed experts."""
    if not facts.experts or facts.layers is None:
        return 0
    config, count = facts.config, len(facts.layers)
    pattern = _blocks(config)
    if pattern:
        return pattern.count("E")
    listed = _listed_layers(facts, "expert_used_count")
    if listed is not None:
        return listed
    period = positive(config, "expert_layer_period")
    if period:
        offset = whole(config, "expert_layer_offset") or 0
        return sum(i % period == offset for i in range(count))
    step = positive(config, "decoder_sparse_step", "interleave_moe_layer_step", "moe_layer_interval") or 1
    dense_first = whole(config, "first_k_dense_replace", "num_dense_layers", "moe_layer_start_index")
    dense_first = dense_first or whole(facts.gguf, "leading_dense_block_count") or 0
    only_dense = len(sequence(config, "mlp_only_layers") or [])
    return max(0, (count - dense_first) // step - only_dense)


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


def _mixing(facts: ModelFacts, layer: Layer, hidden: int) -> int:
    """The parameters of a layer's attention and recurrence."""
    total = 0
    if layer.attention is not None:
        total += _attention(facts, layer.attention, hidden)
    if layer.state is not None:
        total += _recurrence(layer.state, hidden)
    return total


def _attention(facts: ModelFacts, attention: Attention, hidden: int) -> int:
    """The parameters of one attention block."""
    heads, config = facts.heads or 0, facts.config
    if attention.kind is AttentionKind.MLA:
        nope = positive(config, "qk_nope_head_dim") or 0
        value = positive(config, "v_head_dim") or nope
        rank = attention.head_k - attention.rope
        query = heads * (nope + attention.rope)
        q_rank = positive(config, "q_lora_rank")
        queries = hidden * query
        if q_rank is not None:
            queries = q_rank * (hidden + query)
        return queries + hidden * attention.head_k + rank * heads * (nope + value) + heads * value * hidden
    gated = facts.model_type.startswith(_GATED_ATTENTION)
    gate = 2 if flag(config, "attn_output_gate", gated) else 1
    query = gate * heads * attention.head_k
    keys = attention.kv_heads * (attention.head_k + attention.head_v)
    return hidden * (query + keys) + heads * attention.head_v * hidden


def _recurrence(state: State, hidden: int) -> int:
    """The parameters of one recurrent block: input and output projections."""
    width = state.heads * state.rows
    if state.kind is StateKind.SHORT_CONV:
        return 4 * hidden * state.inner
    if state.kind is StateKind.MAMBA1:
        return 3 * hidden * state.inner + state.inner * (2 * state.columns + hidden // 16)
    if state.kind is StateKind.MAMBA2:
        return hidden * (2 * state.inner + 2 * state.groups * state.group_width + state.heads) + width * hidden
    return hidden * (state.inner + width + 2 * state.heads) + width * hidden
