"""A model's facts in about two kilobytes: the part of its configuration that matters for memory, weights by class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, field, replace

from sparkrun_tui.base.reading.numbers import whole, whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.config.kinds import layer_count
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.config.values import mapping, text_config
from sparkrun_tui.models.facts import ModelFacts, WeightFacts

FORMAT = 1
"""Raised when older digests must no longer be read."""

_NOISE = late_regex(
    r"^_|_token_(id|ids|index)$|_placeholder$|dropout|_eps(ilon)?$|(^|_)act(ivation)?(_fn|_func)?$|initializer|^init_"
    r"|_coef$|_loss$|^(auto_map|id2label|label2id|task_specific_params|transformers_version|use_cache|output_\w+"
    r"|return_dict|problem_type|tokenizer_class|chat_template|pretraining_tp|quantized_layers|time_step_\w+|producer"
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
        whole_block = {**_only(beside, "kv_cache_quant_algo"), **block}
        kept["quantization_config"] = _quantisation(whole_block, _layers(config))
    elif beside:
        kept["quantization_config"] = _quantisation({"quant_method": "modelopt", **beside}, _layers(config))
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


def _layers(config: Mapping[str, object]) -> int:
    """The number of decoder layers, 0 when the file does not say."""
    return layer_count(text_config(config)) or 0


def _quantisation(block: Mapping[str, object], layers: int) -> dict[str, object]:
    """A quantisation block with its lists of modules as patterns: `*` for all layers, else the layers' numbers."""
    kept = _trimmed(block, 1)
    for key in _LISTS:
        names = kept.get(key)
        if isinstance(names, list):
            kept[key] = _patterns(names, layers)
    groups = kept.get("config_groups")
    if isinstance(groups, dict):
        for group in groups.values():
            if isinstance(group, dict):
                _shorten(group, layers)
    own = kept.get("extra_config")
    if isinstance(own, dict):
        kept["extra_config"] = _by_pattern(own, layers)
    formats = mapping(block, "quantized_layers")
    if formats:
        kept["layer_formats"] = _layer_formats(formats, layers)
    return kept


def _shorten(group: dict[str, object], layers: int) -> None:
    """Keep of a group's activations only whether there are any, and of its targets the patterns."""
    activations = group.get("input_activations")
    if isinstance(activations, Mapping):
        group["input_activations"] = {"num_bits": activations.get("num_bits")}
    targets = group.get("targets")
    if isinstance(targets, list):
        group["targets"] = _patterns(targets, layers)


def _by_pattern(entries: Mapping[str, object], layers: int) -> dict[str, object]:
    """Settings of single modules, joined where those of all layers are the same."""
    names: dict[str, list[object]] = {}
    settings: dict[str, object] = {}
    for name, entry in entries.items():
        key = repr(entry)
        settings[key] = entry
        names.setdefault(key, []).append(name)
    found = {}
    for key, listed in names.items():
        for pattern in _patterns(listed, layers):
            found[pattern] = settings[key]
    return found


def _patterns(names: Sequence[object], layers: int) -> list[str]:
    """Names that differ in their layer's number joined to one, in their order.

    `*` stands for all layers, and for numbers behind the layer's; single layers are listed (`layers.{0,3-5}.mlp`).
    Regular expressions stay as they are.
    """
    numbers: dict[str, list[int]] = {}
    for name in names:
        if not isinstance(name, str):
            continue
        layer = None if name.startswith("re:") else _LAYER.search(name)
        if layer is None:
            plain = name if name.startswith("re:") else _NUMBER.sub("*", name)
            numbers.setdefault(plain, [])
            continue
        after = _NUMBER.sub("*", name[layer.end(1) :])
        key = name[: layer.start(1)] + "{}" + after
        number = whole(layer.group(1), most=_MOST_ITEMS)
        if number is not None:
            numbers.setdefault(key, []).append(number)
    return [_joined(key, found, layers) for key, found in numbers.items()][:_MOST_PATTERNS]


_LAYER = late_regex(r"layers\.(\d{1,5})(?=\.|\*|$)")
_NUMBER = late_regex(r"\d+")


def _joined(key: str, numbers: Sequence[int], layers: int) -> str:
    """A pattern for one name in some layers."""
    if not numbers:
        return key
    chosen = sorted(set(numbers))
    if layers and chosen == list(range(layers)):
        return key.replace("{}", "*")
    ranges: list[list[int]] = []
    for number in chosen:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in ranges]
    return key.replace("{}", "{" + ",".join(parts) + "}")


def _layer_formats(layers: Mapping[str, object], count: int) -> dict[str, list[str]]:
    """Which module patterns have which format, of a checkpoint that mixes several."""
    names: dict[str, list[object]] = {}
    for name, entry in layers.items():
        algorithm = mapping({"": entry}, "").get("quant_algo")
        if isinstance(algorithm, str):
            names.setdefault(algorithm, []).append(name)
    return {algorithm: _patterns(found, count) for algorithm, found in names.items()}
