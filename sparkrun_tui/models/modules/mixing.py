"""The modules of a layer's attention or recurrence."""

from __future__ import annotations

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.models.config.families import BLOCK_SPARSE
from sparkrun_tui.models.config.values import flag, mapping, numbers, positive
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, State, StateKind
from sparkrun_tui.models.modules.compressed import compressed_attention
from sparkrun_tui.models.modules.module import Kind, Module, Split, small

_GATED_ATTENTION = ("qwen3_next", "qwen3_5", "qwen4_exp", "qwen3next", "qwen35")
"""Families whose query projection holds an output gate too; the last two are llama.cpp's names."""

_BIASED_BY_CODE = ("qwen2", "qwen1")
"""Families whose query, key and value projections have a bias whatever the file says."""

_HEAD_NORMS = ("qwen3", "qwen4_exp", "laguna", "gemma3", "gemma4", "olmo2", "olmo3")
"""Families with a norm of their own for each head's query and key."""


def mixing_modules(facts: ModelFacts, layer: Layer, at: str) -> list[Module]:
    """The modules of a layer's attention and recurrence; `at` is the layer's name (`layers.3`)."""
    found: list[Module] = []
    hidden = facts.hidden or 0
    if layer.attention is not None:
        if layer.attention.compress is not None:
            found += compressed_attention(facts, layer.attention, f"{at}.attn")
        elif layer.attention.kind is AttentionKind.MLA:
            found += _latent(facts, layer.attention, f"{at}.self_attn")
        else:
            shares = layer.shares and facts.model_type.startswith("gemma4")
            heads = _query_heads(facts, at)
            found += _attention(facts, layer.attention, f"{at}.{_attention_name(facts)}", shares, heads)
    if layer.state is not None:
        found += _recurrence(facts, layer.state, hidden, at)
    return found


def _attention_name(facts: ModelFacts) -> str:
    """What a family calls its attention."""
    return "mixer" if facts.model_type.startswith("nemotron_h") else "self_attn"


def _query_heads(facts: ModelFacts, at: str) -> int:
    """The query heads of the layer with this name, of which Laguna has a list."""
    listed = numbers(facts.config, "num_attention_heads_per_layer")
    index = whole(at.rpartition(".")[2])
    if listed is not None and index is not None and index < len(listed):
        return listed[index]
    return facts.heads or 0


def _attention(facts: ModelFacts, attention: Attention, at: str, shares: bool, heads: int) -> list[Module]:
    """Query, key, value and output projections, and their biases and norms.

    A layer of Gemma 4 that `shares` another's cache has no keys and values. Its full layers with `attention_k_eq_v`
    have no value projection in the checkpoint; vLLM keeps the keys' matrix a second time as the values'
    (vllm/model_executor/models/gemma4.py).
    """
    config, hidden = facts.config, facts.hidden or 0
    gated = facts.model_type.startswith(_GATED_ATTENTION)
    gate = 2 if flag(config, "attn_output_gate", gated) else 1
    query = gate * heads * attention.head_k
    key, value = attention.kv_heads * attention.head_k, attention.kv_heads * attention.head_v
    output = heads * attention.head_v
    found = [
        Module(f"{at}.q_proj", Kind.ATTENTION, query, hidden),
        Module(f"{at}.o_proj", Kind.ATTENTION, hidden, output, Split.COLUMNS),
    ]
    if not shares:
        found.append(Module(f"{at}.k_proj", Kind.ATTENTION, key, hidden, heads=attention.kv_heads))
        found.append(Module(f"{at}.v_proj", Kind.ATTENTION, value, hidden, heads=attention.kv_heads))
    if flag(config, "attention_bias") or facts.model_type.startswith(_BIASED_BY_CODE):
        found.append(small(query + key + value, Split.ROWS))
    if facts.model_type.startswith(_HEAD_NORMS):
        found.append(small(2 * attention.head_k))
    if facts.model_type == "gpt_oss":
        found.append(small(hidden))
    if facts.model_type == "laguna" and config.get("gating"):
        # A gate for each head, or for each element of its output (vllm/model_executor/models/laguna.py).
        each = config["gating"] in (True, "per-head")
        found.append(Module(f"{at}.g_proj", Kind.ATTENTION, heads if each else output, hidden))
    if attention.indexer and facts.model_type in BLOCK_SPARSE:
        # Queries by head, and one key on each rank (vllm/models/minimax_m3/nvidia/model.py).
        rows = (positive(mapping(config, "sparse_attention_config"), "sparse_num_index_heads") or 0) * attention.indexer
        found.append(Module(f"{at}.index_q_proj", Kind.ATTENTION, rows, hidden))
        found.append(Module(f"{at}.index_k_proj", Kind.ATTENTION, attention.indexer, hidden, Split.WHOLE))
        found.append(small(2 * attention.indexer))
    elif attention.indexer:
        # Queries and keys of the index, on each rank (vllm/models/qwen4_exp/nvidia/indexer_qsa.py).
        width = positive(config, "indexer_head_dim") or 0
        rows = (positive(config, "indexer_n_heads") or 0) * width + attention.indexer
        found.append(Module(f"{at}.index_qk_proj", Kind.ATTENTION, rows, hidden, Split.WHOLE))
        found.append(small(2 * width))
    return found


def _latent(facts: ModelFacts, attention: Attention, at: str) -> list[Module]:
    """Latent attention: low ranks are kept whole by each rank, what unfolds them is split by heads.

    Source: vllm/model_executor/models/deepseek_v2.py (DeepseekV2MLAAttention, Indexer).
    """
    config, hidden, heads = facts.config, facts.hidden or 0, facts.heads or 0
    nope = positive(config, "qk_nope_head_dim") or 0
    value = positive(config, "v_head_dim") or nope
    rank = attention.head_k - attention.rope
    query = heads * (nope + attention.rope)
    q_rank = positive(config, "q_lora_rank")
    if q_rank is None:
        found = [Module(f"{at}.q_proj", Kind.ATTENTION, query, hidden)]
    else:
        found = [
            Module(f"{at}.q_a_proj", Kind.ATTENTION, q_rank, hidden, Split.WHOLE),
            Module(f"{at}.q_b_proj", Kind.ATTENTION, query, q_rank),
        ]
    found += [
        Module(f"{at}.kv_a_proj_with_mqa", Kind.ATTENTION, attention.head_k, hidden, Split.WHOLE),
        Module(f"{at}.kv_b_proj", Kind.ATTENTION, heads * (nope + value), rank),
        Module(f"{at}.o_proj", Kind.ATTENTION, hidden, heads * value, Split.COLUMNS),
        small(rank + (q_rank or 0)),
    ]
    if attention.indexer:
        index_heads = positive(config, "index_n_heads") or 0
        width = attention.indexer
        found += [
            Module(f"{at}.indexer.wq_b", Kind.ATTENTION, index_heads * width, q_rank or hidden, Split.WHOLE),
            Module(f"{at}.indexer.wk", Kind.ATTENTION, width, hidden, Split.WHOLE),
            Module(f"{at}.indexer.weights_proj", Kind.ATTENTION, index_heads, hidden, Split.WHOLE, linear=False),
        ]
    return found


def _recurrence(facts: ModelFacts, state: State, hidden: int, at: str) -> list[Module]:
    """Input and output projections and the convolution of a recurrent block.

    Source: vllm/model_executor/models/qwen3_next.py, kimi_linear.py, layers/mamba/mamba_mixer2.py, short_conv.py.
    """
    width = state.heads * state.rows
    if state.kind is StateKind.GDN:
        return _delta_net(facts, state, hidden, f"{at}.linear_attn")
    if state.kind is StateKind.KDA:
        return _delta_attention(state, hidden, f"{at}.self_attn")
    if state.kind is StateKind.MAMBA2:
        place = f"{at}.mixer" if facts.model_type.startswith("nemotron_h") else f"{at}.mamba"
        channels = state.inner + 2 * state.groups * state.group_width
        return [
            Module(f"{place}.in_proj", Kind.RECURRENCE, state.inner + channels + state.heads, hidden),
            Module(f"{place}.out_proj", Kind.RECURRENCE, hidden, width, Split.COLUMNS),
            small(channels * (state.kernel + 1) + state.inner, Split.ROWS),
            small(3 * state.heads, Split.ROWS, element=4),
        ]
    if state.kind is StateKind.MAMBA1:
        ranks = positive(facts.config, "mamba_dt_rank", "time_step_rank") or -(-hidden // 16)
        columns = ranks + 2 * state.columns
        place = f"{at}.mamba"
        return [
            Module(f"{place}.in_proj", Kind.RECURRENCE, 2 * state.inner, hidden),
            Module(f"{place}.x_proj", Kind.RECURRENCE, columns, state.inner, Split.COLUMNS),
            Module(f"{place}.dt_proj", Kind.RECURRENCE, state.inner, ranks),
            Module(f"{place}.out_proj", Kind.RECURRENCE, hidden, state.inner, Split.COLUMNS),
            small(state.inner * (state.kernel + 2), Split.ROWS),
            small(state.inner * (state.columns + 1), Split.ROWS, element=4),
        ]
    if state.kind is StateKind.SHORT_CONV:
        return [
            Module(f"{at}.conv.in_proj", Kind.RECURRENCE, 3 * state.inner, hidden),
            Module(f"{at}.conv.out_proj", Kind.RECURRENCE, hidden, state.inner, Split.COLUMNS),
            small(state.inner * state.kernel, Split.ROWS),
        ]
    return [
        Module(f"{at}.self_attn.qkv_proj", Kind.RECURRENCE, 3 * width, hidden),
        Module(f"{at}.self_attn.output_gate", Kind.RECURRENCE, width, hidden),
        Module(f"{at}.self_attn.out_proj", Kind.RECURRENCE, hidden, width, Split.COLUMNS),
    ]


def _delta_net(facts: ModelFacts, state: State, hidden: int, at: str) -> list[Module]:
    """Gated DeltaNet: Qwen3-Next's checkpoints join the projections in two, later ones keep four."""
    value = state.heads * state.rows
    if facts.model_type.startswith("qwen3_next"):
        joined = [
            Module(f"{at}.in_proj_qkvz", Kind.RECURRENCE, state.inner + value, hidden),
            Module(f"{at}.in_proj_ba", Kind.RECURRENCE, 2 * state.heads, hidden),
        ]
    else:
        joined = [
            Module(f"{at}.in_proj_qkv", Kind.RECURRENCE, state.inner, hidden),
            Module(f"{at}.in_proj_z", Kind.RECURRENCE, value, hidden),
            Module(f"{at}.in_proj_b", Kind.RECURRENCE, state.heads, hidden),
            Module(f"{at}.in_proj_a", Kind.RECURRENCE, state.heads, hidden),
        ]
    return [
        *joined,
        Module(f"{at}.out_proj", Kind.RECURRENCE, hidden, value, Split.COLUMNS),
        small(state.inner * state.kernel + state.heads, Split.ROWS),
        small(state.heads, Split.ROWS, element=4),
        small(state.rows),
    ]


def _delta_attention(state: State, hidden: int, at: str) -> list[Module]:
    """Kimi delta attention: gates of low rank, whose first halves each rank keeps whole."""
    width = state.heads * state.rows
    found = [Module(f"{at}.{name}_proj", Kind.RECURRENCE, width, hidden) for name in "qkv"]
    for name in "fg":
        found.append(Module(f"{at}.{name}_a_proj", Kind.RECURRENCE, state.rows, hidden, Split.WHOLE))
        found.append(Module(f"{at}.{name}_b_proj", Kind.RECURRENCE, width, state.rows))
    return [
        *found,
        Module(f"{at}.b_proj", Kind.RECURRENCE, state.heads, hidden),
        Module(f"{at}.o_proj", Kind.RECURRENCE, hidden, width, Split.COLUMNS),
        small(3 * width * state.kernel, Split.ROWS),
        small(width + state.heads, Split.ROWS, element=4),
        small(state.rows),
    ]
