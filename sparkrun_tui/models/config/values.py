"""Reads single values from a model's `config.json`, under any of the names that families give them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sparkrun_tui.base.reading.numbers import decimal_of, whole_of
from sparkrun_tui.base.reading.numbers import whole as whole_number
from sparkrun_tui.base.regexes import late_regex

Config = Mapping[str, object]

_MOST = 10**12
"""The largest count or size in elements that is accepted from a file."""
_MOST_ITEMS = 100_000
"""The most entries of a list; the longest published lists name modules that are not quantised."""
MOST_MODULES = 16
"""More drafting modules than any model has: a file that states more is damaged."""
_MOST_DIGITS = 6
"""One more than the digits of a layer's number."""
_FLAT_LIST = late_regex(r"""\[\s*(?:(?:'[^',\\]*'|"[^",\\]*"|-?[0-9]{1,18})\s*(?:,\s*|(?=\])))*\]""", re.ASCII)

_TEXT_KEYS = ("text_config", "llm_config", "language_config", "transformer_layer_config")
"""Where files keep the text model's configuration; the last is that of drafters made with `speculators`."""
_TOP_WINS = ("quantization_config", "compression_config")


def text_config(config: Config) -> dict[str, object]:
    """The text model's configuration: the nested one over the top level.

    The quantisation of the top level wins, because converters write it there.
    """
    nested = _nested(config)
    if nested is None:
        return _completed(dict(config))
    merged: dict[str, object] = {**config, **nested}
    for key in _TOP_WINS:
        if config.get(key) is not None:
            merged[key] = config[key]
    if config.get("architectures"):
        merged["architectures"] = config["architectures"]
    return _completed(merged)


_DEFAULTS: Mapping[str, Config] = {
    "gemma": {"head_dim": 256},
    "gemma2": {"head_dim": 256, "sliding_window": 4096},
    "gemma3_text": {
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "vocab_size": 262208,
        "max_position_embeddings": 131072,
        "sliding_window": 4096,
    },
    "gemma3n_text": {"num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256, "sliding_window": 512},
    "llama4_text": {"num_attention_heads": 40, "num_key_value_heads": 8, "attention_chunk_size": 8192},
    "qwen3": {"head_dim": 128},
}
"""Sizes that files of these families leave to the code (transformers, configuration_<family>.py)."""

_MISTRAL_NAMES = {"dim": "hidden_size", "hidden_dim": "intermediate_size", "n_layers": "num_hidden_layers"}
"""Names of Mistral's own `params.json`."""


def _completed(config: dict[str, object]) -> dict[str, object]:
    """Fill in what a family's file leaves to its code, and the names of other spellings."""
    for theirs, ours in _MISTRAL_NAMES.items():
        if theirs in config and ours not in config:
            config[ours] = config[theirs]
    for key, value in _DEFAULTS.get(word(config, "model_type"), {}).items():
        if config.get(key) is None and key not in config:
            config[key] = value
    if config.get("compress_ratios") is None:
        ratios = _compress_ratios(config)
        if ratios:
            config["compress_ratios"] = ratios
    return config


def _compress_ratios(config: Config) -> list[int]:
    """DeepSeek-V4's ratio of each layer, from the kinds of layers and the rate of each kind.

    transformers 5.15 and later write the kinds in place of the ratios; a kind without a rate is not compressed, nor are
    the layers of the drafter (models/deepseek_v4/configuration_deepseek_v4.py).
    """
    rates = mapping(config, "compress_rates")
    kinds = sequence(config, "layer_types")
    if not rates or kinds is None:
        return []
    ratios = [whole(rates, str(kind)) or 0 for kind in kinds]
    modules = whole(config, "num_nextn_predict_layers") or 0
    return ratios + [0] * min(max(modules, 0), MOST_MODULES)


def _nested(config: Config) -> Config | None:
    """The first nested text configuration, None when the file has none."""
    for key in _TEXT_KEYS:
        inner = config.get(key)
        if isinstance(inner, Mapping):
            return inner
    thinker = config.get("thinker_config")
    if isinstance(thinker, Mapping):
        return _nested(thinker) or thinker
    return None


def layer_config(config: Config, index: int) -> Config:
    """The configuration of layer `index`: the model's, with the entries of `per_layer_config` for this layer.

    transformers 5.24 writes sizes that differ between layers there, with the numbers of the layers as keys, padded
    with zeros to one width (integrations/heterogeneity/configuration_utils.py). Earlier files use keys of their family.
    """
    layers = mapping(config, "per_layer_config")
    if not layers:
        return config
    for width in range(_MOST_DIGITS):
        own = layers.get(str(index).zfill(width))
        if isinstance(own, Mapping):
            return {**config, **own}
    return config


def whole(config: Config, *keys: str) -> int | None:
    """The first of `keys` that holds a whole number (not a boolean), None when none does.

    A value larger than any size or count of a model means damage and is ignored.
    """
    for key in keys:
        value = config.get(key)
        found = whole_of(value, least=-_MOST, most=_MOST)
        if found is None and isinstance(value, float) and abs(value) <= _MOST and value.is_integer():
            found = round(value)
        if found is not None:
            return found
    return None


def positive(config: Config, *keys: str) -> int | None:
    """The first of `keys` that holds a whole number above zero."""
    for key in keys:
        value = whole(config, key)
        if value is not None and value > 0:
            return value
    return None


def word(config: Config, *keys: str) -> str:
    """The first of `keys` that holds a non-empty string, else an empty one."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, str) and value:
            return value
    return ""


def flag(config: Config, key: str, default: bool = False) -> bool:
    """A boolean; anything that is not one is the default."""
    value = config.get(key)
    return value if isinstance(value, bool) else default


def sequence(config: Config, *keys: str) -> list[object] | None:
    """The first of `keys` that holds a list, also one written as a string."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, str) and value.lstrip().startswith("["):
            value = _written_list(value)
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) <= _MOST_ITEMS:
            return list(value)
    return None


def _written_list(text: str) -> list[object] | None:
    """The entries of a flat list of words and numbers that is written as Python would, else None."""
    if len(text) > _MOST_ITEMS or not _FLAT_LIST.fullmatch(text.strip()):
        return None
    items: list[object] = []
    for part in text.strip()[1:-1].split(","):
        item = part.strip()
        if not item:
            continue
        if item[0] in "'\"":
            items.append(item[1:-1])
        else:
            items.append(whole_number(item, least=-_MOST))
    return items


def numbers(config: Config, key: str) -> list[int] | None:
    """A list of whole numbers; None when the key holds none, or anything else among them."""
    items = sequence(config, key)
    if items is None:
        return None
    found = []
    for item in items:
        number = whole_of(item, most=_MOST)
        if number is None:
            return None
        found.append(number)
    return found


def mapping(config: Config, *keys: str) -> Config:
    """The first of `keys` that holds a mapping, else an empty one."""
    for key in keys:
        value = config.get(key)
        if isinstance(value, Mapping):
            return value
    return {}


def largest(config: Config, key: str) -> int | None:
    """A whole number, or the largest entry of a list of them (per-layer sizes)."""
    items = sequence(config, key)
    if items is None:
        return whole(config, key)
    most = None
    for item in items:
        number = whole_of(item, most=_MOST)
        if number is not None and (most is None or number > most):
            most = number
    return most


def fraction(config: Config, key: str, most: float = 1e6) -> float | None:
    """A finite number from 0 to `most`, None when the key holds none."""
    return decimal_of(config.get(key), least=0, most=most)
