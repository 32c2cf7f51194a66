"""Reads how a checkpoint's weights are quantised, in the spellings of its different makers."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.models.config.values import Config, fraction, mapping, positive, sequence, word
from sparkrun_tui.models.facts import QuantFacts

_METHOD_BITS = {
    "nvfp4": 4.5,
    "w4a16_nvfp4": 4.5,
    "modelopt_fp4": 4.5,
    "mxfp4": 4.25,
    "mxfp8": 8.25,
    "fp8": 8.0,
    "modelopt": 8.0,
    "fbgemm_fp8": 8.0,
    "w4a8_awq": 4.156,
    "bitsandbytes": 4.127,
}
"""Bits per quantised weight with its scales, where the method alone determines it."""


def quant_of(config: Config, companion: Config | None = None) -> QuantFacts | None:
    """How the weights are stored, None for a plain checkpoint.

    `config` is the text configuration, `companion` an `hf_quant_config.json` beside it. A KV cache
    scheme in either makes the engine's `auto` cache dtype fp8 (vllm/config/cache.py,
    vllm/utils/torch_utils.py resolve_kv_cache_dtype_string).
    """
    block = dict(mapping(config, "quantization_config", "compression_config"))
    beside = mapping(companion or {}, "quantization")
    if not block and not beside:
        return None
    method = word(block, "quant_method").lower() or "modelopt"
    algorithm = (word(block, "quant_algo") or word(beside, "quant_algo")).lower()
    kept = _names(block, "ignore", "modules_to_not_convert", "exclude_modules", "ignored_layers")
    kept += _names(beside, "exclude_modules")
    whole = {**beside, **block, "quant_method": method}
    return QuantFacts(method, _bits(block, beside, method, algorithm), kept, _kv_dtype(block, beside), whole)


def _names(block: Config, *keys: str) -> tuple[str, ...]:
    """The module names of the first list among `keys`."""
    return tuple(str(item) for item in sequence(block, *keys) or ())


def _kv_dtype(block: Config, beside: Config) -> str:
    """The KV cache dtype that the checkpoint asks for, empty when it does not."""
    named = word(block, "kv_cache_quant_algo") or word(beside, "kv_cache_quant_algo")
    if named:
        return named.lower()
    scheme = mapping(block, "kv_cache_scheme")
    if word(scheme, "type") == "float" and positive(scheme, "num_bits") == 8:
        return "fp8"
    return ""


def _bits(block: Config, beside: Config, method: str, algorithm: str) -> float | None:
    """Bits per quantised weight, scales included, None when the block does not say."""
    for name in (algorithm, method):
        if name == "modelopt" and algorithm:
            # ModelOpt's algorithm decides, also one that is not in the table.
            continue
        if name in _METHOD_BITS:
            return _METHOD_BITS[name]
    if method in ("awq", "gptq", "auto-round", "auto_round", "exl3"):
        bits = fraction(block, "bits", most=64)
        if bits is not None:
            return _grouped(bits, positive(block, "group_size"), method)
    found = [*_group_bits(block), *_mixed_bits(block), *_mixed_bits(beside)]
    return min(found, default=None)


def _group_bits(block: Config) -> Iterator[float]:
    """The bits of each group of layers: where there are several, the smallest holds the most weights."""
    for group in mapping(block, "config_groups").values():
        if not isinstance(group, dict):
            continue
        weights = mapping(group, "weights")
        number = positive(weights, "num_bits")
        if number is not None:
            yield _compressed(number, word(weights, "type"), positive(weights, "group_size"))


def _mixed_bits(block: Config) -> Iterator[float]:
    """The bits of the formats that single layers have (ModelOpt's mixed precision, or a digest of it)."""
    names = {str(name).lower() for name in mapping(block, "layer_formats")}
    for layer in mapping(block, "quantized_layers").values():
        if isinstance(layer, dict):
            names.add(word(layer, "quant_algo").lower())
    for name in sorted(names):
        if name in _METHOD_BITS:
            yield _METHOD_BITS[name]


def _grouped(bits: float, group: int | None, method: str) -> float:
    """Add the fp16 scale and the packed zero of each group to the plain bits."""
    if method == "exl3" or group is None:
        return bits
    return bits + (16 + bits) / group


def _compressed(bits: int, kind: str, group: int | None) -> float:
    """The bits of a compressed-tensors group: fp4 keeps one fp8 scale per group, integers one bf16."""
    if bits == 4 and kind == "float":
        return 4 + 8 / (group or 16)
    if group is None:
        return 1.0 * bits
    return bits + 16 / group
