"""Bits per weight of the formats of checkpoints, and which parts of a model each format leaves alone."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import floor

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts, QuantFacts
from sparkrun_tui.models.gguf.types import file_bits


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """One weight format: `bits` per quantised weight with scales.

    `mixing_bits` is what attention and recurrences keep in dense models, `mixing_bits_of_experts` in
    models with experts (None: the model's own dtype); `whole_bits` is the average over a model of which
    no class is known; `quantises_ends` says whether embedding and head are quantised too.
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
    "mxfp6": WeightFormat("mxfp6", 6.25, None, None, 6.5),
    "mxfp8": WeightFormat("mxfp8", 8.25, 8.25, 8.25, 8.3),
    "fp8": WeightFormat("fp8", 8.002, 8.002, 8.002, 8.05),
    "int8": WeightFormat("int8", 8.002, 8.002, 8.002, 8.05),
    "awq": WeightFormat("awq", 4.156, 4.156, None, 4.25),
    "gptq": WeightFormat("gptq", 4.2, 4.2, 4.2, 4.25),
    "int4": WeightFormat("int4", 4.156, 4.156, None, 4.25),
    "nf4": WeightFormat("nf4", 4.127, 4.127, 4.127, 4.13),
}
"""Formats by their name, from the public layout of each: bits per weight with its scales."""

_FIXED = (
    ("nvfp4", "nvfp4"),
    ("mxfp4", "mxfp4"),
    ("mxfp6", "mxfp6"),
    ("mxfp8", "mxfp8"),
    ("fp8", "fp8"),
    ("float8", "fp8"),
    ("e4m3", "fp8"),
    ("e5m2", "fp8"),
    ("fp6", "mxfp6"),
    ("fp4", "nvfp4"),
    ("nf4", "nf4"),
)
"""Words whose bits are part of the format, longer ones first. `fp4` alone counts as the larger of the two."""

_FAMILIES = (
    ("awq", "awq"),
    ("gptq", "gptq"),
    ("bitsandbytes", "nf4"),
    ("bnb", "nf4"),
    ("modelopt", "fp8"),
    ("exl", "exl"),
    ("bpw", "exl"),
)
"""Words of methods with several widths, and the format of each when no width is stated."""

_GENERATIONS = late_regex(r"exl[23]")
"""ExLlama's formats: the digit is the generation, not the bits."""

_NOT_WEIGHTS = late_regex(r"(?<=w[1-7])a8[ _-]fp8(?!\d)|(?<=\d)a(?:fp|int|bf)?\d{1,2}(?!\d)|fp8[ _-]?kv|kv[ _-]?fp8")
"""The parts of a word about activations (`w4afp8`, `w4a8_fp8`) and the cache."""

_DECIMAL_UNDERSCORE = late_regex(r"(?<=[a-z _-])(\d)_(\d{1,2})(?![\d.])")
"""A number as branches of ExLlama's repositories are named: `6_5` is 6.5 bits."""

_OF_FILE = late_regex(
    r"(?:^|gguf[:_-]|qat[_-]|i1[_-]|it[_-])((?:ud[_-])?(?:i?q\d|tq\d)(?:_(?!imat|g\d|gguf|kv)[a-z0-9]{1,4}){0,3}?)"
    r"(?:[_.-](?:imat(?:rix)?|g\d+|gguf|4_4|4_8|8_8|qat))?$"
)
"""The quantisation in a longer word for a GGUF: what stands before it, and what may follow it."""

_FP8 = late_regex(r"(?<![a-z])fp8(?!\d)")
_FP4 = late_regex(r"(?<![a-z])fp4(?!\d)")
_NARROW = late_regex(r"(?<![a-z])(?:u?int|w)([1-7])(?!\d)")
"""The words of a mixture of fp8 with a narrower format."""

_STATED = (
    late_regex(r"(?<![\d.])(\d{1,2}(?:\.\d{1,3})?)[ _-]?bpw"),
    late_regex(r"(?<![a-z])w(\d{1,2})(?!\d)"),
    late_regex(r"int(\d{1,2})(?!\d)"),
    late_regex(r"(?<![\d.])(\d{1,2}(?:\.\d{1,3})?)[ _-]?bit"),
    late_regex(
        r"(?:awq|gptq|bitsandbytes|bnb|hqq|aqlm|autoround|quark|mlx|exl)[ _:-]{0,2}(\d{1,2}(?:\.\d{1,3})?)(?![\d.])"
    ),
)
"""How a word states the bits of a weight."""

_MOST_BITS = 16.0
_LONGEST = 80
_ENDS = 0.008
"""Share of a large model's weights in embedding and head, which stay at 16 bits."""


@lru_cache(maxsize=512)
def format_named(name: str) -> WeightFormat | None:
    """The format that a free word such as `awq-int4`, `NVFP4` or `q4_k_m` means, None for an unknown one.

    Such words are read only here. Plain dtypes (`bf16`) are formats of their own. Bits that the word states
    (`awq8`, `int8_awq`, `w4a16`, `exl3-4.0`) win over the usual bits of its method; a method with any width
    (`exl3`) is unknown without them.
    """
    text = name.strip().lower()[:_LONGEST]
    size = element_bytes(text)
    if size is not None and size > 1:
        bits = 8.0 * size
        return WeightFormat(text, bits, bits, bits, bits, plain=True, quantises_ends=True)
    of_weights = _NOT_WEIGHTS.sub("", text)
    mixed = _mixture_with_fp8(of_weights)
    if mixed is not None:
        return mixed
    for word, key in _FIXED:
        if word in of_weights:
            return _FORMATS[key]
    of_file = _bits_of_file(text)
    if of_file is not None and size is None:
        return WeightFormat(text, of_file, of_file, of_file, of_file, quantises_ends=True)
    family = ""
    for word, key in _FAMILIES:
        if word in of_weights:
            family = key
            break
    usual = _FORMATS.get(family)
    if family == "exl":
        of_weights = _DECIMAL_UNDERSCORE.sub(r"\1.\2", _GENERATIONS.sub("exl", of_weights))
    widths = _stated_bits(of_weights)
    if not widths:
        return usual
    least, most = min(widths), max(widths)
    if least != most:
        # Mixtures keep attention at the larger width.
        return replace(_of_bits(family, least), mixing_bits=most, mixing_bits_of_experts=most)
    if usual is not None and floor(usual.bits) == least:
        return usual
    return _of_bits(family, least)


def _mixture_with_fp8(text: str) -> WeightFormat | None:
    """The format of a mixture of fp8 with a narrower one, which most weights have; None for other words."""
    if _FP8.search(text) is None:
        return None
    if _FP4.search(text) is not None:
        return replace(_FORMATS["nvfp4"], mixing_bits=8.002, mixing_bits_of_experts=8.002)
    narrow = [decimal(bits) or 0.0 for bits in _NARROW.findall(text)]
    if not narrow:
        return None
    return replace(_of_bits("", min(narrow)), mixing_bits=8.002, mixing_bits_of_experts=8.002)


def _bits_of_file(text: str) -> float | None:
    """Bits per weight of a GGUF by a word that names its quantisation, alone or among others: `qat-q4_0`."""
    found = file_bits(text)
    if found is not None:
        return found
    named = _OF_FILE.search(text)
    if named is None:
        return None
    return file_bits(named[1])


def _stated_bits(text: str) -> set[float]:
    """The widths in bits that a word states; several for a mixture (`int4_int8mix`)."""
    for pattern in _STATED:
        widths = set()
        for found in pattern.findall(text):
            number = decimal(found, least=1, most=_MOST_BITS)
            if number is not None:
                widths.add(number)
        if widths:
            return widths
    return set()


def _of_bits(family: str, bits: float) -> WeightFormat:
    """The format of weights with `bits` each: integers with a scale and a zero per 128 of them.

    ExLlama's bits are an average with scales. Eight bits without a method have one scale per row.
    """
    if family == "exl":
        return WeightFormat("exl", bits, bits, bits, bits)
    if bits == 8 and family in ("", "nf4"):
        return _FORMATS["int8"]
    if bits == 4 and not family:
        return _FORMATS["int4"]
    with_scales = bits + 16 / 128 + bits / 128
    whole = with_scales * (1 - _ENDS) + 16 * _ENDS
    of_experts = with_scales if family == "gptq" else None
    return WeightFormat(family or "int", with_scales, with_scales, of_experts, whole)


_BYTES_PER_PARAMETER = {"nvfp4": 0.7, "mxfp4": 0.7}
"""Bytes per parameter of mixed 4-bit checkpoints when nothing is known of the layers."""


def bytes_per_parameter(dtype: str) -> float | None:
    """Bytes per parameter of a whole checkpoint of `dtype`, None for an unknown one."""
    form = format_named(dtype)
    if form is None:
        return None
    return whole_bytes(form)


def whole_bytes(form: WeightFormat) -> float:
    """Bytes per parameter of a whole checkpoint in a format."""
    return _BYTES_PER_PARAMETER.get(form.name, form.whole_bits / 8)


def weight_format(facts: ModelFacts) -> WeightFormat | None:
    """The format of a model's weights: what the recipe says, else the checkpoint's, else its plain dtype.

    None when the recipe's word is unknown, or when nothing was read of the model itself.
    """
    declared = facts.declared.model_dtype if facts.declared else ""
    if declared == "auto":
        declared = ""
    if declared and not declared.startswith("{"):
        found = format_named(declared)
        if found is not None:
            return found
    if facts.quant is not None:
        return _of_checkpoint(facts.quant)
    if declared or not facts.config:
        return None
    return format_named(facts.dtype)


def _of_checkpoint(quant: QuantFacts) -> WeightFormat | None:
    """The format that a checkpoint's quantisation block describes, with its own bits where stated."""
    found = format_named(quant.method)
    if quant.bits is None:
        return found
    contradicts = found is not None and found.name == "fp8" and quant.bits < 6
    if found is None or contradicts:
        if quant.bits > 6:
            found = _FORMATS["int8"]
        elif quant.bits == 4.5:
            found = _FORMATS["nvfp4"]
        else:
            found = _FORMATS["awq"]
    found = replace(found, bits=quant.bits)
    if found.mixing_bits is None or found.name == "nvfp4":
        return found
    return replace(found, mixing_bits=quant.bits)
