"""A model's facts in about two kilobytes: the part of its configuration that matters for memory, weights by class."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.config.values import mapping
from sparkrun_tui.models.facts import ModelFacts, WeightFacts

FORMAT = 1
"""Raised when older digests must no longer be read."""

_NOISE = re.compile(
    r"^_|_token_(id|ids|index)$|_placeholder$|dropout|_eps(ilon)?$|(^|_)act(ivation)?(_fn|_func)?$|initializer|^init_"
    r"|_coef$|_loss$|^(auto_map|id2label|label2id|task_specific_params|transformers_version|use_cache|output_\w+"
    r"|return_dict|problem_type|tokenizer_class|chat_template|pretraining_tp|quantized_layers|time_step_\w+|producer|input_activations"
    r"|residual_in_fp32|rescale_prenorm_residual)$"
)
"""Keys of a configuration that say nothing about memory."""

_LISTS = ("ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers")
_MOST_PATTERNS = 24
_MOST_ITEMS = 512
_DEPTH = 6
_LONG = 8
_PERIOD, _LENGTH = "*period", "*length"


@dataclass(frozen=True, slots=True)
class Digest:
    """What is kept of one model: a trimmed `config.json` or a GGUF header's keys, weights, parameters.

    `commit` is the revision it was read from (empty when not known), `quant` the GGUF quantisation,
    `params` a count, and `source` says in words where they come from.
    """

    model: str
    source: str
    commit: str = ""
    config: Mapping[str, object] = field(default_factory=dict)
    gguf: Mapping[str, object] = field(default_factory=dict)
    quant: str = ""
    weights: WeightFacts | None = None
    params: int | None = None


def digest_config(config: Mapping[str, object], companion: Mapping[str, object] | None = None) -> dict[str, object]:
    """A `config.json` without the keys that do not matter for memory.

    `companion` is an `hf_quant_config.json`, used when the configuration has no quantisation block of its
    own. The result gives the same facts as the whole file.
    """
    kept = _trimmed(config, 0)
    kept.pop("quantization_config", None)
    block = mapping(config, "quantization_config", "compression_config")
    beside = mapping(companion or {}, "quantization")
    if block:
        kept.pop("compression_config", None)
        kept["quantization_config"] = _quantisation({**_only(beside, "kv_cache_quant_algo"), **block})
    elif beside:
        kept["quantization_config"] = _quantisation({"quant_method": "modelopt", **beside})
    return kept


def facts_of(digest: Digest) -> ModelFacts:
    """The facts of a digest, read by the same functions that read a whole file."""
    if digest.gguf:
        from sparkrun_tui.models.gguf.reader import facts_from_gguf

        facts = facts_from_gguf(digest.gguf, quant=digest.quant, source=digest.source)
        return replace(facts, weights=digest.weights or facts.weights, params=digest.params or facts.params)
    facts = facts_from_config(digest.config, digest.weights, digest.source)
    return replace(facts, params=digest.params or facts.params)


def to_data(digest: Digest) -> dict[str, object]:
    """The digest as plain values for JSON; empty fields are left out."""
    data: dict[str, object] = {"format": FORMAT, "model": digest.model, "source": digest.source}
    for key in ("commit", "quant", "params"):
        if value := getattr(digest, key):
            data[key] = value
    for key in ("config", "gguf"):
        if value := getattr(digest, key):
            data[key] = packed(value)
    if digest.weights is not None:
        sizes = {}
        for key, value in asdict(digest.weights).items():
            if value not in (None, 0):
                sizes[key] = value
        data["weights"] = sizes
    return data


def from_data(data: object) -> Digest | None:
    """The digest that plain values describe, None when they are damaged or of another format."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        return None
    config = data.get("config", {})
    gguf = data.get("gguf", {})
    if not isinstance(config, dict) or not isinstance(gguf, dict):
        return None
    if not config and not gguf:
        return None
    texts = {}
    for key in ("model", "source", "commit", "quant"):
        text = data.get(key, "")
        if not isinstance(text, str):
            return None
        texts[key] = text
    if not texts["model"]:
        return None
    weights = data.get("weights")
    return Digest(
        config=unpacked(config),
        gguf=unpacked(gguf),
        weights=_weights(weights) if isinstance(weights, dict) else None,
        params=whole_of(data.get("params"), least=1),
        **texts,
    )


def packed(value: Mapping[str, object]) -> dict[str, object]:
    """A mapping in which lists that repeat themselves (one entry per layer) are replaced by one period."""
    found: dict[str, object] = {}
    for key, item in value.items():
        if isinstance(item, Mapping):
            found[key] = packed(item)
        elif isinstance(item, list) and len(item) >= _LONG:
            period = _period(item)
            found[key] = item
            if period * 2 <= len(item):
                found[key] = {_PERIOD: item[:period], _LENGTH: len(item)}
        else:
            found[key] = item
    return found


def _period(items: Sequence[object]) -> int:
    """After how many entries a list repeats itself; its whole length when it does not."""
    # The length of the longest part that the list begins and ends with, for each of its beginnings.
    common = [0]
    for place in range(1, len(items)):
        length = common[-1]
        while length and items[place] != items[length]:
            length = common[length - 1]
        common.append(length + 1 if items[place] == items[length] else 0)
    return len(items) - common[-1]


def unpacked(value: Mapping[str, object]) -> dict[str, object]:
    """The mapping that `packed` was given; an invalid period is left as it is."""
    found: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(item, Mapping):
            found[key] = item
            continue
        period = item.get(_PERIOD)
        length = whole_of(item.get(_LENGTH), least=1, most=_MOST_ITEMS)
        if length is not None and isinstance(period, list) and period:
            found[key] = (period * length)[:length]
        else:
            found[key] = unpacked(item)
    return found


def _weights(data: Mapping[str, object]) -> WeightFacts | None:
    """Weight facts of plain values, None when any of them is not a size."""
    sizes = {}
    for key, value in data.items():
        if key == "source" or key not in WeightFacts.__slots__:
            continue
        size = whole_of(value)
        if size is None:
            return None
        sizes[key] = size
    if not sizes.get("total"):
        return None
    return WeightFacts(source=str(data.get("source", "")), **sizes)


def _only(block: Mapping[str, object], *keys: str) -> dict[str, object]:
    """The entries of a block under some keys."""
    return {key: block[key] for key in keys if key in block}


def _trimmed(value: Mapping[str, object], depth: int) -> dict[str, object]:
    """A mapping without noise, down to the depth that configurations have."""
    kept: dict[str, object] = {}
    for key, item in value.items():
        if not isinstance(key, str) or _NOISE.search(key):
            continue
        if isinstance(item, Mapping):
            if depth < _DEPTH:
                kept[key] = _trimmed(item, depth + 1)
        elif isinstance(item, Sequence) and not isinstance(item, str):
            kept[key] = [_item(entry, depth) for entry in item[:_MOST_ITEMS]]
        else:
            kept[key] = item
    return kept


def _item(entry: object, depth: int) -> object:
    """An entry of a list; mappings (one per layer) lose their empty values."""
    if isinstance(entry, Mapping):
        kept = {}
        for key, value in _trimmed(entry, depth + 1).items():
            if value not in (None, False, {}):
                kept[key] = value
        return kept
    return entry


def _quantisation(block: Mapping[str, object]) -> dict[str, object]:
    """A quantisation block with its lists of modules as patterns, `*` for every number."""
    kept = _trimmed(block, 1)
    for key in _LISTS:
        names = kept.get(key)
        if isinstance(names, list):
            kept[key] = _patterns(names)
    groups = kept.get("config_groups")
    if isinstance(groups, dict):
        for group in groups.values():
            if isinstance(group, dict):
                group.pop("targets", None)
    layers = mapping(block, "quantized_layers")
    if layers:
        kept["layer_formats"] = _layer_formats(layers)
    return kept


def _patterns(names: Sequence[object]) -> list[str]:
    """Names with their numbers replaced by `*`, each once, in their order."""
    found: dict[str, None] = {}
    for name in names:
        if isinstance(name, str):
            found[re.sub(r"\d+", "*", name)] = None
    return list(found)[:_MOST_PATTERNS]


def _layer_formats(layers: Mapping[str, object]) -> dict[str, list[str]]:
    """Which module patterns have which format, of a checkpoint that mixes several."""
    names: dict[str, list[object]] = {}
    for name, entry in layers.items():
        algorithm = mapping({"": entry}, "").get("quant_algo")
        if isinstance(algorithm, str):
            names.setdefault(algorithm, []).append(name)
    return {algorithm: _patterns(found) for algorithm, found in names.items()}
