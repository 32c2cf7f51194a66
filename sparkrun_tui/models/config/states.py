"""Reads the recurrent state that a model's linear-attention, Mamba or convolution layers keep."""

from __future__ import annotations

from sparkrun_tui.models.config.values import Config, mapping, positive, sequence, whole, word
from sparkrun_tui.models.layers import State, StateKind

_PLE_KERNEL, _PLE_NGRAM, _HIDDEN_STREAMS = 4, 3, 4
"""Qwen4-Exp's own defaults (sglang/srt/configs/qwen4_exp.py)."""


def state_of(config: Config) -> State | None:
    """The state of the model's recurrent layers, None when the file does not describe one.

    Sizes follow vllm/model_executor/layers/mamba/mamba_utils.py (MambaStateShapeCalculator).
    """
    if positive(config, "linear_num_value_heads"):
        return _gated_delta_net(config)
    if mapping(config, "linear_attn_config") or positive(config, "linear_num_heads"):
        return _delta_attention(config)
    if positive(config, "conv_L_cache"):
        return _short_convolution(config)
    if positive(config, "mamba_num_heads", "mamba_n_heads", "n_mamba_heads"):
        return _mamba2(config)
    if word(config, "model_type") in ("mamba2", "codestral_mamba"):
        return _mamba2(config)
    if positive(config, "mamba_d_state", "state_size", "mamba_d_conv"):
        return _mamba1(config)
    if word(config, "model_type").startswith(("minimax_text", "minimax_m1", "bailing")):
        return _lightning(config)
    return None


def ngram_state(config: Config, index: int) -> State | None:
    """The inputs that layer `index` keeps for the convolution over its n-gram embeddings, None for other layers.

    The list counts layers from 1. Each tap reaches `ngram_size` tokens further back, in every stream of the hidden
    state. Source: vllm/models/qwen4_exp/nvidia/ple_layer.py, sglang/srt/configs/qwen4_exp.py (short_conv_state_shape).
    """
    hidden = positive(config, "hidden_size")
    if hidden is None or index + 1 not in (sequence(config, "ple_layer_ids") or []):
        return None
    taps = (positive(config, "ple_conv_kernel_size") or _PLE_KERNEL) - 1
    reach = taps * (positive(config, "ngram_size") or _PLE_NGRAM)
    return State(
        StateKind.NGRAM_CONV, inner=hidden * (positive(config, "hc_count") or _HIDDEN_STREAMS), kernel=reach + 1
    )


def _gated_delta_net(config: Config) -> State | None:
    """Gated DeltaNet: convolution over queries, keys and values, one key-by-value matrix per value head."""
    key_heads = positive(config, "linear_num_key_heads")
    value_heads = positive(config, "linear_num_value_heads")
    key_dim = positive(config, "linear_key_head_dim")
    value_dim = positive(config, "linear_value_head_dim")
    kernel = positive(config, "linear_conv_kernel_dim")
    if None in (key_heads, value_heads, key_dim, value_dim, kernel):
        return None
    assert key_heads and value_heads and key_dim and value_dim and kernel
    return State(
        StateKind.GDN,
        inner=2 * key_heads * key_dim + value_heads * value_dim,
        kernel=kernel,
        heads=value_heads,
        rows=value_dim,
        columns=key_dim,
        dtype=word(config, "mamba_ssm_dtype"),
    )


def _delta_attention(config: Config) -> State | None:
    """Kimi delta attention: three convolutions and one square matrix per head, kept in float32."""
    inner = mapping(config, "linear_attn_config")
    heads = positive(inner, "num_heads") or positive(config, "linear_num_heads")
    dim = positive(inner, "head_dim") or positive(config, "linear_head_dim")
    kernel = positive(inner, "short_conv_kernel_size") or positive(config, "linear_conv_kernel_dim")
    if heads is None or dim is None or kernel is None:
        return None
    return State(
        StateKind.KDA,
        inner=3 * heads * dim,
        kernel=kernel,
        heads=heads,
        rows=dim,
        columns=dim,
        dtype="float32",
    )


def _short_convolution(config: Config) -> State | None:
    """Short convolution (LFM2): the last columns of the hidden state, no recurrence."""
    width = positive(config, "conv_dim", "hidden_size")
    kernel = positive(config, "conv_L_cache")
    if width is None or kernel is None:
        return None
    return State(StateKind.SHORT_CONV, inner=width, kernel=kernel)


def _mamba2(config: Config) -> State | None:
    """Mamba 2: heads of their own width, one input and output matrix per group of them."""
    heads = positive(config, "mamba_num_heads", "mamba_n_heads", "n_mamba_heads", "num_heads")
    dim = positive(config, "mamba_head_dim", "mamba_d_head", "mamba_headdim", "head_dim")
    state = positive(config, "ssm_state_size", "mamba_d_state", "state_size")
    kernel = positive(config, "conv_kernel", "mamba_d_conv", "conv_kernel_size")
    if None in (heads, state, kernel):
        return None
    assert heads and state and kernel
    if dim is None:
        hidden = positive(config, "hidden_size") or 0
        expand = whole(config, "mamba_expand", "expand") or 2
        dim = expand * hidden // heads
    dtype = word(config, "mamba_ssm_cache_dtype")
    if not dtype and word(config, "model_type").startswith("nemotron_h"):
        dtype = "float32"
    return State(
        StateKind.MAMBA2,
        inner=heads * dim,
        kernel=kernel,
        heads=heads,
        rows=dim,
        columns=state,
        groups=positive(config, "n_groups", "mamba_n_groups", "mamba_ngroups") or 1,
        group_width=state,
        dtype=dtype,
    )


def _mamba1(config: Config) -> State | None:
    """Mamba 1: every channel of the expanded hidden state keeps its own small state."""
    hidden = positive(config, "hidden_size", "d_model")
    state = positive(config, "mamba_d_state", "state_size")
    kernel = positive(config, "mamba_d_conv", "conv_kernel")
    if hidden is None or state is None or kernel is None:
        return None
    inner = None
    if word(config, "model_type") == "mamba":
        inner = positive(config, "intermediate_size")
    if inner is None:
        expand = positive(config, "mamba_expand", "expand") or 2
        inner = expand * hidden
    return State(StateKind.MAMBA1, inner=inner, kernel=kernel, heads=inner, rows=1, columns=state)


def _lightning(config: Config) -> State | None:
    """Lightning attention (MiniMax-01, Ring and Ling linear): one square matrix per head, no convolution."""
    heads = positive(config, "num_attention_heads")
    hidden = positive(config, "hidden_size")
    if heads is None or hidden is None:
        return None
    dim = positive(config, "head_dim") or hidden // heads
    return State(StateKind.LIGHTNING, inner=0, kernel=1, heads=heads, rows=dim, columns=dim)
