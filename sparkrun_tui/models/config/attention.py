"""Reads the attention cache of each decoder layer from a `config.json`."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.models.config.families import BLOCK_SPARSE, DORY, INDEXED, LOOPED
from sparkrun_tui.models.config.kinds import Mix, is_inkling, layer_mix, window_of
from sparkrun_tui.models.config.states import ngram_state, state_of
from sparkrun_tui.models.config.values import (
    MOST_MODULES,
    Config,
    flag,
    layer_config,
    mapping,
    numbers,
    positive,
    sequence,
    whole,
    word,
)
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer

_LATENT_ONLY_BY_NAME = frozenset({"minicpm3"})
"""Families with a latent rank whose engines still cache every head (vllm/model_executor/models/minicpm3.py)."""

_MOST_LOOPS = 64
"""More repetitions of a layer than any model has."""


def layers_of(config: Config, count: int) -> tuple[Layer, ...] | None:
    """What each of `count` decoder layers caches, None when sizes are missing.

    Equal layers are one object, so that results for one can be reused for all.
    """
    if numbers(config, "compress_ratios") is not None and positive(config, "head_dim"):
        return _compressed(config, count)
    state = state_of(config)
    shared = whole(config, "num_kv_shared_layers") or 0
    layers: list[Layer] = []
    same: dict[Layer, Layer] = {}
    for index, mix in enumerate(layer_mix(config, count)):
        attention = None
        if mix not in (Mix.STATE, Mix.NOTHING):
            attention = attention_of(config, mix, index)
            if attention is None:
                return None
        own_state = None
        if mix in (Mix.STATE, Mix.FULL_AND_STATE):
            if state is None:
                return None
            own_state = state
        shares = attention is not None and index >= count - shared
        layer = Layer(attention, own_state, shares, convolved_inputs(config, attention), ngram_state(config, index))
        layers.append(same.setdefault(layer, layer))
    if word(config, "model_type") in LOOPED:
        return _looped(config, layers)
    return tuple(layers)


def _looped(config: Config, layers: list[Layer]) -> tuple[Layer, ...] | None:
    """The layers of a model that runs some of them several times, each time with a cache of its own.

    The list of Dory's kinds must be in its file; with `last_loop` each time overwrites the last one's cache. The
    repetitions of LoopCoder look through a short window. Source: vllm/model_executor/models/dory.py,
    iquest_loopcoder.py, vllm/transformers_utils/configs/dory.py.
    """
    if word(config, "model_type") == DORY:
        if sequence(config, "layer_types") is None:
            return None
        first = whole(config, "n_input_layers") or 0
        last = len(layers) - (whole(config, "n_output_layers") or 0)
        loops = min(positive(config, "n_recurrent_loops") or 1, _MOST_LOOPS)
        if word(config, "recurrent_kv_cache_mode") == "last_loop":
            loops = 1
        return (*layers[:first], *(layers[first:last] * loops), *layers[last:])
    window = positive(config, "loop_window_size") or 64
    near: list[Layer] = []
    for layer in layers:
        if layer.attention is None:
            return None
        near.append(Layer(replace(layer.attention, kind=AttentionKind.WINDOW, window=window)))
    if near:
        near = [near[0]] * len(near) if len(set(near)) == 1 else near
    loops = min(positive(config, "loop_num") or 2, _MOST_LOOPS)
    return (*layers, *(near * (loops - 1)))


def attention_of(config: Config, mix: Mix, index: int) -> Attention | None:
    """The attention cache of layer `index`, None when a size is missing."""
    config = layer_config(config, index)
    if is_latent(config):
        return latent_of(config, owns_indexer(config, index))
    heads = kv_heads(config, mix, index)
    key, value = head_sizes(config, mix)
    if heads is None or key is None or value is None:
        return None
    if mix is Mix.WINDOW:
        return Attention(AttentionKind.WINDOW, heads, key, value, window=_window(config))
    if mix is Mix.CHUNKED:
        chunk = positive(config, "attention_chunk_size")
        return Attention(AttentionKind.CHUNKED, heads, key, value, window=chunk)
    indexer, ratio = _compressed_index(config)
    if word(config, "model_type") in BLOCK_SPARSE:
        indexer = _block_index(config, index)
    return Attention(AttentionKind.FULL, heads, key, value, indexer=indexer, index_pool=ratio)


def _compressed_index(config: Config) -> tuple[int, int]:
    """The width of the index key of Qwen4-Exp's full layers, and how many tokens share one; else 0 and 1.

    Without `indexer_n_heads` their attention is dense. Source: vllm/models/qwen4_exp/nvidia/qsa.py,
    indexer_qsa.py, sglang/srt/layers/attention/qsa/config.py.
    """
    if word(config, "model_type") not in INDEXED or not positive(config, "indexer_n_heads"):
        return 0, 1
    width = (positive(config, "indexer_kv_heads") or 1) * (positive(config, "indexer_head_dim") or 0)
    return width, positive(config, "indexer_compress_ratio") or 1


def _block_index(config: Config, index: int) -> int:
    """The width of the index key that MiniMax-M3's sparse layers cache for each token, 0 for its dense layers.

    A drafter's layer, which comes after those of the list, is sparse. Source:
    vllm/models/minimax_m3/nvidia/model.py (_sparse_attention_layer_ids), mtp.py, common/indexer.py.
    """
    sparse = mapping(config, "sparse_attention_config")
    listed = numbers(sparse, "sparse_attention_freq") or []
    is_sparse = any(listed)
    if index < len(listed):
        is_sparse = listed[index] != 0
    if not is_sparse:
        return 0
    return positive(sparse, "sparse_index_dim") or 0


def convolved_inputs(config: Config, attention: Attention | None) -> Attention | None:
    """The window of Inkling's convolutions, None for other families.

    Keys, values, and the outputs of attention and MLP, packed by KV head into a width that is a power of two.
    Source: vllm/models/inkling/nvidia/sconv_swa_attn.py.
    """
    hidden = positive(config, "hidden_size")
    if attention is None or hidden is None or not is_inkling(config):
        return None
    kernel = positive(config, "sconv_kernel_size", "conv_kernel_size") or 4
    width = 2 * attention.head_k + 2 * (hidden // attention.kv_heads)
    packed = 1 << (width - 1).bit_length()
    return Attention(AttentionKind.WINDOW, attention.kv_heads, packed, 0, window=kernel)


def _window(config: Config) -> int | None:
    """The window as the engine counts it; Cohere's own code counts one token more."""
    window = window_of(config)
    if window is not None and word(config, "model_type") == "cohere2":
        return window + 1
    return window


def is_latent(config: Config) -> bool:
    """Whether the model caches a latent (MLA) instead of keys and values."""
    if not positive(config, "kv_lora_rank"):
        return False
    return word(config, "model_type") not in _LATENT_ONLY_BY_NAME


def latent_of(config: Config, indexed: bool) -> Attention:
    """A latent layer: the rank and the rope part, one head, with or without an index key."""
    rank = positive(config, "kv_lora_rank") or 0
    rope = whole(config, "qk_rope_head_dim") or 0
    indexer = 0
    if indexed:
        indexer = positive(config, "index_head_dim") or 0
    return Attention(
        AttentionKind.MLA,
        kv_heads=1,
        head_k=rank + rope,
        head_v=0,
        rope=rope,
        indexer=indexer,
        index_pool=positive(config, "index_kpool") or 1,
    )


def owns_indexer(config: Config, index: int) -> bool:
    """Whether layer `index` owns a sparse-attention indexer.

    A pattern string or list decides (`S` or `shared`: it does not), else every `index_topk_freq`-th
    layer after `index_skip_topk_offset` owns one. Source: vllm/model_executor/models/deepseek_v2.py.
    """
    if not positive(config, "index_head_dim") or not positive(config, "index_topk"):
        return False
    pattern = config.get("index_topk_pattern")
    if isinstance(pattern, str):
        listed: list[object] | None = list(pattern)
    else:
        listed = sequence(config, "indexer_types")
    if listed is not None and index < len(listed):
        return str(listed[index]).lower() not in ("s", "shared", "skip", "none", "0", "false")
    every = positive(config, "index_topk_freq") or 1
    offset = whole(config, "index_skip_topk_offset")
    if offset is None:
        offset = 2
    return max(index - offset + 1, 0) % every == 0


def kv_heads(config: Config, mix: Mix, index: int) -> int | None:
    """The number of KV heads of layer `index` before any tensor parallelism.

    Source: vllm/transformers_utils/model_arch_config_convertor.py (get_total_num_kv_heads).
    """
    family = word(config, "model_type")
    if mix is Mix.WINDOW:
        other = mapping(config, "attention_other_setting")
        special = positive(config, "swa_num_key_value_heads") or positive(other, "num_attention_groups")
        if special is not None:
            return special
    elif family.startswith("gemma4"):
        special = positive(config, "num_global_key_value_heads")
        if special is not None:
            return special
    grouped = _block_heads(config, index)
    if grouped is not None:
        return grouped
    listed = numbers(config, "num_key_value_heads")
    if listed is not None and index < len(listed):
        return listed[index]
    if flag(config, "multi_query") and not flag(config, "new_decoder_architecture"):
        return 1
    found = positive(
        config,
        "num_attention_groups",
        "num_key_value_heads",
        "num_kv_heads",
        "n_head_kv",
        "n_kv_heads",
        "multi_query_group_num",
    )
    if found is None:
        found = positive(mapping(config, "attn_config", "attention_config"), "kv_n_heads")
    return found or attention_heads(config)


def _block_heads(config: Config, index: int) -> int | None:
    """The KV heads of one block configuration (query heads per group), None without any."""
    blocks = sequence(config, "block_configs")
    heads = attention_heads(config)
    if blocks is None or index >= len(blocks) or heads is None:
        return None
    block = blocks[index]
    if not isinstance(block, dict):
        return None
    group = positive(mapping(block, "attention"), "n_heads_in_group")
    if group is None:
        return None
    return heads // group


def attention_heads(config: Config) -> int | None:
    """The number of query heads."""
    return positive(config, "num_attention_heads", "n_head", "n_heads", "num_heads")


def head_sizes(config: Config, mix: Mix) -> tuple[int | None, int | None]:
    """The widths of one head's key and value.

    Source: vllm/transformers_utils/model_arch_config_convertor.py (get_head_size).
    """
    family = word(config, "model_type")
    if family in _LATENT_ONLY_BY_NAME:
        width = unfolded_width(config)
        return width, width
    if mix is Mix.WINDOW:
        other = mapping(config, "attention_other_setting")
        own = positive(config, "swa_head_dim") or positive(other, "head_dim")
        if own is not None:
            return own, positive(config, "swa_v_head_dim") or own
    elif family.startswith("gemma4"):
        own = positive(config, "global_head_dim")
        if own is not None:
            return own, own
    key = positive(config, "head_dim", "attention_head_dim", "kv_channels", "head_size")
    if key is None:
        hidden = positive(config, "hidden_size", "n_embd", "d_model")
        heads = attention_heads(config)
        if hidden is not None and heads is not None:
            key = hidden // heads
    return key, positive(config, "v_head_dim") or key


def unfolded_width(config: Config) -> int | None:
    """The width of one head's key that a latent is unfolded to, None when the file has none."""
    plain = positive(config, "qk_nope_head_dim") or 0
    rope = positive(config, "qk_rope_head_dim") or 0
    return plain + rope or None


def _compressed(config: Config, count: int) -> tuple[Layer, ...]:
    """DeepSeek-V4's layers: a window cache each, and a compressed cache of ratio 4 or 128.

    Source: vllm/model_executor/models/deepseek_v4.py.
    """
    ratios = numbers(config, "compress_ratios") or []
    width = positive(config, "head_dim") or 0
    base = Attention(
        AttentionKind.WINDOW,
        kv_heads=1,
        head_k=width,
        head_v=0,
        window=positive(config, "sliding_window"),
        rope=positive(config, "qk_rope_head_dim") or 0,
        indexer=positive(config, "index_head_dim") or 0,
    )
    padded = (ratios + [0] * count)[:count]
    return tuple(Layer(replace(base, compress=ratio)) for ratio in padded)


def draft_layers_of(config: Config, count: int) -> tuple[Layer, ...]:
    """The layers that the checkpoint's own drafter (multi-token prediction) adds.

    Each module is one layer like the target's attention: a latent one with its index key, a window layer
    where the layer list or the family (MiMo, Step) says so, else a full one; empty when the checkpoint has
    none. Source: vllm/model_executor/models/*_mtp.py (num_mtp_layers).
    """
    modules = positive(config, "num_nextn_predict_layers", "mtp_num_hidden_layers")
    if modules is None:
        modules = 0
        if positive(config, "num_mtp_modules", "mtp_num_layers", "n_predict"):
            modules = 1
    if modules > MOST_MODULES:
        modules = 1
    if numbers(config, "compress_ratios") is not None:
        return _compressed({**config, "compress_ratios": [0] * modules}, modules)
    if is_inkling(config):
        return _inkling_drafts(config)
    if is_latent(config):
        indexed = bool(positive(config, "index_head_dim") and positive(config, "index_topk"))
        return (Layer(latent_of(config, indexed)),) * modules
    layers = []
    for index in range(count, count + modules):
        attention = attention_of(config, _draft_mix(config, index), index)
        if attention is not None:
            layers.append(Layer(attention))
    return tuple(layers)


def _inkling_drafts(config: Config) -> tuple[Layer, ...]:
    """Inkling's drafting layers, full or windowed by a list of their own (vllm/models/inkling/nvidia/mtp.py)."""
    own = mapping(config, "mtp_config")
    modules = positive(own, "num_nextn_predict_layers") or positive(config, "num_mtp_layers") or 0
    listed = sequence(own, "local_layer_ids") or sequence(config, "mtp_local_layer_ids") or []
    layers = []
    for index in range(min(modules, MOST_MODULES)):
        attention = attention_of(config, Mix.WINDOW if index in listed else Mix.FULL, index)
        if attention is not None:
            layers.append(Layer(attention, inputs=convolved_inputs(config, attention)))
    return tuple(layers)


def _draft_mix(config: Config, index: int) -> Mix:
    """The kind of a drafter's layer: as the layer list says, else as the family's code has it."""
    listed = sequence(config, "layer_types") or []
    if index < len(listed):
        in_window = str(listed[index]).startswith("sliding")
    else:
        in_window = word(config, "model_type").startswith(("mimo", "step3p5", "step5"))
    return Mix.WINDOW if in_window and window_of(config) else Mix.FULL
