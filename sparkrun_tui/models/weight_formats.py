"""Bits per weight of the formats that checkpoints come in, and which parts each format leaves alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts, QuantFacts


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """One weight format: ``bits`` per quantised weight with scales.

    ``mixing_bits`` is what attention and recurrences keep in dense models, ``mixing_bits_of_experts`` in
    models with experts (None: the model's own dtype); ``whole_bits`` is the average over a model of which
    no class is known; ``quantises_ends`` tells whether embedding and head are quantised too.
    """

    name: str
    bits: float
    mixing_bits: float | None
    mixing_bits_of_experts: float | None
    whole_bits: float
    plain: bool = False
    quantises_ends: bool = False


_FORMATS = {
    "nvfp4": WeightFormat("nvfp4", 4.5, 6.5, None, 5.2),
    "mxfp4": WeightFormat("mxfp4", 4.25, None, None, 4.6),
    "fp8": WeightFormat("fp8", 8.002, 8.002, 8.002, 8.05),
    "int8": WeightFormat("int8", 8.002, 8.002, 8.002, 8.05),
    "awq": WeightFormat("awq", 4.156, 4.156, None, 4.25),
    "gptq": WeightFormat("gptq", 4.2, 4.2, 4.2, 4.25),
    "int4": WeightFormat("int4", 4.156, 4.156, None, 4.25),
    "nf4": WeightFormat("nf4", 4.127, 4.127, 4.127, 4.13),
}
"""Formats by the word that names them, longest match first; from the public layout of each format."""

_WORDS = (
    ("nvfp4", "nvfp4"),
    ("modelopt_fp4", "nvfp4"),
    ("mxfp4", "mxfp4"),
    ("w4a16", "awq"),
    ("awq", "awq"),
    ("gptq", "gptq"),
    ("int4", "int4"),
    ("nf4", "nf4"),
    ("bitsandbytes", "nf4"),
    ("bnb", "nf4"),
    ("int8", "int8"),
    ("w8a8", "int8"),
    ("fp8", "fp8"),
    ("float8", "fp8"),
    ("mxfp8", "fp8"),
    ("modelopt", "fp8"),
    ("e4m3", "fp8"),
)


def format_named(name: str) -> WeightFormat | None:
    """Return the format that a free word such as ``awq-int4`` or ``NVFP4`` means, None for an unknown one.

    Plain dtypes (``bf16``) are formats of their own; ``exl3`` needs its bits, as in ``exl3-4.0``.
    """
    text = name.strip().lower()
    size = element_bytes(text)
    if size is not None:
        bits = 8.0 * size
        return WeightFormat(text, bits, bits, bits, bits, plain=True, quantises_ends=True)
    for word, key in _WORDS:
        if word in text:
            return _FORMATS[key]
    match = re.search(r"exl\d?[^\d]*(\d+(?:\.\d+)?)(?:bpw)?", text)
    stated = decimal(match.group(1), most=64) if match else None
    if stated is not None:
        return WeightFormat("exl", stated, stated, stated, stated)
    return None


_BYTES_PER_PARAMETER = {"nvfp4": 0.7, "mxfp4": 0.7}
"""Bytes per parameter of mixed 4-bit checkpoints when nothing is known of the layers."""


def bytes_per_parameter(dtype: str) -> float | None:
    """Return bytes per parameter of a whole checkpoint of ``dtype``, None for an unknown one."""
    name = dtype.strip().lower()
    form = format_named(name)
    if form is None:
        return None
    return _BYTES_PER_PARAMETER.get(form.name, form.whole_bits / 8)


def weight_format(facts: ModelFacts) -> WeightFormat | None:
    """Return the format of a model's weights: the recipe's word, the checkpoint's, else its plain dtype.

    None when the recipe's word is unknown, or when nothing at all was read of the model itself.
    """
    declared = facts.declared.model_dtype if facts.declared else ""
    if declared and declared not in ("auto",) and not declared.startswith("{"):
        found = format_named(declared)
        if found is not None:
            return found
    if facts.quant is not None:
        return _of_checkpoint(facts.quant)
    if (declared and declared != "auto") or not facts.config:
        return None
    return format_named(facts.dtype)


def _of_checkpoint(quant: QuantFacts) -> WeightFormat | None:
    """Return the format that a checkpoint's quantisation block describes, with its own bits where stated."""
    found = format_named(quant.method)
    if quant.bits is None:
        return found
    if found is None or (found.name == "fp8" and quant.bits < 6):
        found = _FORMATS["int8"] if quant.bits > 6 else _FORMATS["nvfp4" if quant.bits == 4.5 else "awq"]
    mixing = quant.bits if found.mixing_bits is not None and found.name != "nvfp4" else found.mixing_bits
    return replace(found, bits=quant.bits, mixing_bits=mixing)
