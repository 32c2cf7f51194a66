"""Reads from a `config.json` which kind of cache each decoder layer keeps."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sparkrun_tui.models.config.drafters import draft_window, is_block_drafter, windowed_drafts
from sparkrun_tui.models.config.families import WITHOUT_ATTENTION
from sparkrun_tui.models.config.values import Config, flag, mapping, positive, sequence, whole, word
from sparkrun_tui.models.layers import MOST_LAYERS


class Mix(StrEnum):
    """What one decoder layer holds: an attention cache (of some reach), a state, both, or nothing."""

    FULL = "full"
    WINDOW = "window"
    CHUNKED = "chunked"
    STATE = "state"
    FULL_AND_STATE = "full and state"
    NOTHING = "nothing"


_WORDS = {
    "full_attention": Mix.FULL,
    "attention": Mix.FULL,
    "full": Mix.FULL,
    "global": Mix.FULL,
    "global_attention": Mix.FULL,
    "sliding_attention": Mix.WINDOW,
    "sliding_window": Mix.WINDOW,
    "sliding": Mix.WINDOW,
    "local": Mix.WINDOW,
    "local_attention": Mix.WINDOW,
    "swa": Mix.WINDOW,
    "chunked_attention": Mix.CHUNKED,
    "linear_attention": Mix.STATE,
    "lightning_attention": Mix.STATE,
    "gated_deltanet": Mix.STATE,
    "gdn": Mix.STATE,
    "kda": Mix.STATE,
    "mamba": Mix.STATE,
    "mamba2": Mix.STATE,
    "conv": Mix.STATE,
    "recurrent": Mix.STATE,
    "hybrid": Mix.FULL_AND_STATE,
    "moe": Mix.NOTHING,
    "mlp": Mix.NOTHING,
    "ffn": Mix.NOTHING,
}
_LETTERS = {"M": Mix.STATE, "*": Mix.FULL, "-": Mix.NOTHING, "E": Mix.NOTHING}
_EVERY_NTH_FULL = {
    "gemma3": 6,
    "gemma3_text": 6,
    "gemma3n": 5,
    "gemma3n_text": 5,
    "gemma4": 6,
    "gemma4_text": 6,
    "cohere2": 4,
    "exaone4": 4,
    "olmo3": 4,
    "gemma2": 2,
    "gpt_oss": 2,
    "afmoe": 4,
}
"""Window models whose file may leave the pattern to the code: every n-th layer is full.

Source: transformers, configuration_<family>.py (`sliding_window_pattern`, `layer_types` defaults).
"""


_FIRST_WINDOW = 28
"""The first layer with a window in Qwen's files that do not say (transformers, configuration_qwen3.py)."""


def layer_count(config: Config) -> int | None:
    """The number of decoder layers, None when the file does not say.

    A layer of LongCat-Flash holds two attention blocks (vllm/model_executor/models/longcat_flash.py).
    """
    count = positive(config, "num_hidden_layers", "n_layer", "num_layers", "n_layers")
    if count is not None:
        if word(config, "model_type").startswith("longcat_flash") and "num_hidden_layers" not in config:
            count *= 2
    else:
        listed = sequence(config, "layers_block_type", "layer_types", "block_configs")
        count = len(listed or word(config, "hybrid_override_pattern"))
    return count if 0 < count <= MOST_LAYERS else None


def layer_mix(config: Config, layers: int) -> tuple[Mix, ...]:
    """The kind of each of `layers` decoder layers.

    Explicit lists win, then patterns, then the defaults of the family, then a window for all layers when
    the file has one that is used. Source: vllm/config/model.py (get_layers_start_end_indices,
    get_num_layers_by_block_type), vllm/model_executor/models/<family>.py.
    """
    for reader in (_local, _drafting, _listed, _patterned, _spaced):
        mix = reader(config, layers)
        if mix is not None:
            return mix
    if word(config, "model_type") in WITHOUT_ATTENTION:
        return (Mix.STATE,) * layers
    if window_of(config):
        return _windowed(config, layers)
    return (Mix.FULL,) * layers


def window_of(config: Config) -> int | None:
    """The sliding window in tokens when the model uses one, else None."""
    if is_block_drafter(config):
        return draft_window(config)
    window = positive(config, "sliding_window", "sliding_window_size")
    if window is None or config.get("use_sliding_window") is False:
        return None
    return window


def is_inkling(config: Config) -> bool:
    """Whether a file is of Inkling, in its own form or in that of transformers."""
    return word(config, "model_type").startswith("inkling")


def _local(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read Inkling's list of window layers; vLLM ignores the kinds that transformers writes beside it.

    Source: vllm/models/inkling/configs.py (local_layer_ids).
    """
    if not is_inkling(config):
        return None
    return _indexed(layers, sequence(config, "local_layer_ids") or [], Mix.WINDOW, Mix.FULL)


def _drafting(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read draft models that draft a block at once."""
    if not is_block_drafter(config):
        return None
    return _chosen(windowed_drafts(config, layers), Mix.WINDOW, Mix.FULL)


def _listed(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read the families that name every layer's kind in a list or a string of letters."""
    letters = word(config, "hybrid_override_pattern")
    if letters:
        known = [_LETTERS[letter] for letter in letters if letter in _LETTERS]
        return tuple(known[:layers])
    blocks = sequence(config, "layers_block_type", "layer_types")
    if blocks is None or len(blocks) < layers:
        return None
    window = window_of(config)
    mix = []
    for block in blocks[:layers]:
        kind = _WORDS.get(str(block).lower(), Mix.FULL)
        if kind is Mix.WINDOW and window is None:
            kind = Mix.FULL
        mix.append(kind)
    return tuple(mix)


def _patterned(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read the families that list the indices or a code of the layers of one kind."""
    linear = mapping(config, "linear_attn_config")
    full = sequence(linear, "full_attn_layers")
    if full is not None:
        return _chosen([i + 1 in full for i in range(layers)], Mix.FULL, Mix.STATE)
    codes = sequence(config, "attn_type_list")
    if codes is not None and len(codes) >= layers:
        return _chosen([code == 1 for code in codes[:layers]], Mix.FULL, Mix.STATE)
    codes = sequence(config, "hybrid_layer_pattern")
    if codes is not None and len(codes) >= layers:
        return _chosen([code == 1 for code in codes[:layers]], Mix.WINDOW, Mix.FULL)
    indices = sequence(config, "attn_layer_indices")
    if indices is not None and positive(config, "mamba_n_heads", "mamba_num_heads"):
        return _indexed(layers, indices, Mix.FULL, Mix.STATE)
    indices = sequence(config, "full_attn_idxs")
    if indices is not None and positive(config, "conv_L_cache"):
        return _indexed(layers, indices, Mix.FULL, Mix.STATE)
    indices = sequence(config, "hybrid_layer_ids")
    if indices is not None:
        return _indexed(layers, indices, Mix.FULL_AND_STATE, Mix.STATE)
    return _blocks(config, layers)


def _chosen(marks: Iterable[object], one: Mix, other: Mix) -> tuple[Mix, ...]:
    """`one` for each true mark, `other` for the rest."""
    mix = []
    for mark in marks:
        mix.append(one if mark else other)
    return tuple(mix)


def _indexed(layers: int, indices: list[object], one: Mix, other: Mix) -> tuple[Mix, ...]:
    """`one` for the layers with these indices, `other` for the rest."""
    return _chosen([i in indices for i in range(layers)], one, other)


def _every_last(layers: int, period: int, one: Mix, other: Mix) -> tuple[Mix, ...]:
    """`one` for the last layer of each period, `other` for the rest."""
    return _chosen([(i + 1) % period == 0 for i in range(layers)], one, other)


def _blocks(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read per-layer block configurations in which some layers have no attention (Nemotron-NAS)."""
    blocks = sequence(config, "block_configs")
    if blocks is None or len(blocks) < layers:
        return None
    mix = []
    for block in blocks[:layers]:
        kind = Mix.FULL
        if isinstance(block, dict):
            attention = mapping(block, "attention")
            if flag(attention, "no_op") or flag(attention, "replace_with_linear"):
                kind = Mix.NOTHING
        mix.append(kind)
    return tuple(mix)


def _spaced(config: Config, layers: int) -> tuple[Mix, ...] | None:
    """Read the families in which every n-th layer differs from the rest."""
    family = word(config, "model_type")
    if family == "falcon_h1":
        return (Mix.FULL_AND_STATE,) * layers
    period = positive(config, "attn_layer_period")
    if period is not None:
        offset = whole(config, "attn_layer_offset") or 0
        return _chosen([i % period == offset for i in range(layers)], Mix.FULL, Mix.STATE)
    if positive(config, "linear_num_value_heads", "linear_num_heads"):
        interval = positive(config, "full_attention_interval") or 4
        return _every_last(layers, interval, Mix.FULL, Mix.STATE)
    grouped = positive(config, "layer_group_size")
    if grouped is not None and "linear" in family:
        return _every_last(layers, grouped, Mix.FULL, Mix.STATE)
    if positive(config, "attention_chunk_size") and "llama4" in family:
        ropes = sequence(config, "no_rope_layers")
        if not ropes:
            return _every_last(layers, 4, Mix.FULL, Mix.CHUNKED)
        return _chosen(ropes[:layers], Mix.CHUNKED, Mix.FULL)
    return None


def _windowed(config: Config, layers: int) -> tuple[Mix, ...]:
    """Spread a window over the layers as the family's own code does, over all when it has no pattern."""
    family = word(config, "model_type")
    every = positive(config, "sliding_window_pattern", "global_attn_every_n_layers")
    every = every or _EVERY_NTH_FULL.get(family)
    if every is not None:
        mix = _every_last(layers, every, Mix.FULL, Mix.WINDOW)
        if family in ("exaone4", "gemma4", "gemma4_text"):
            return (*mix[:-1], Mix.FULL)
        return mix
    if family.startswith(("qwen2", "qwen3")):
        first = whole(config, "max_window_layers")
        if first is None:
            first = _FIRST_WINDOW
        return _chosen([i >= first for i in range(layers)], Mix.WINDOW, Mix.FULL)
    return (Mix.WINDOW,) * layers
