"""The words for number formats that a recipe's metadata may use."""

from __future__ import annotations

import re

from sparkrun_tui.base.regexes import late_regex

_WORD_LIST = (
    "auto bf16 bfloat16 fp16 float16 half f16 fp32 float32 float f32 fp64 float64 fp8 fp8_e4m3 fp8_e5m2 f8 "
    "float8 float8_e4m3fn float8_e5m2 fp8_inc fp8_ds_mla mxfp8 fp4 nvfp4 mxfp4 mxfp6 fp6 int8 int4 int3 int2 uint8 "
    "uint4 w8a8 w4a16 w8a16 w4a8 w4a4 awq awq4 awq8 awq_marlin gptq gptq4 gptq8 gptq_marlin aqlm autoround "
    "auto_round int4_autoround int4_awq int8_awq int4_gptq bnb bitsandbytes bnb4 bnb8 nf4 exl2 exl3 hqq quark modelopt "
    "compressed_tensors torchao gguf eetq ternary bitnet mixed q8 q6 q5 q4 q3 q2 turboquant"
)
_WORDS = frozenset(_WORD_LIST.split())
_GGUF = late_regex(
    r"(ud_)?(q[1-8]_(0|1|k)(_(xxs|xs|s|m|l|xl|xxl))?|iq[1-5]_(xxs|xs|s|m|nl|xl|k[a-z]*)|tq[12]_0|mxfp4_moe|q[1-8]_k_p)"
)
_FORMS = late_regex(
    r"(w\d{1,2}a\d{1,2}(_?(fp|int)?\d*)?|(nv|mx)?fp\d(_e\dm\d[a-z]*)?(_[a-z]+)?|u?int\d{1,2}(_(awq|gptq|autoround))?"
    r"|turboquant_\w+|int\d_per_token_head|exl\d(_[\d.]+bpw)?|\d(\.\d+)?bpw)"
)


_PART_LIST = (
    "asym sym wo weight only dynamic static block blockwise channel group per token tensor mixed mix mlx qat i1 ud "
    "k m s l xl xxl xs xxs nl imat imatrix it kv pb ptpc fbgemm smoothquant experts nc torchao gguf hqq vptq aqlm "
    "e4m3 e5m2"
)
_PARTS = frozenset(_PART_LIST.split())
_PART = late_regex(
    r"\d{1,3}|\d{0,2}bits?|\d{1,2}bpw|g\d{1,4}|h\d|w\d{1,2}(a\d{0,2}(fp|int|bf)?\d{0,2})?(g\d{1,4})?|a\d{1,2}|i?q\d|tq\d|kv\d{0,2}"
    r"|(int|fp|uint|hqq|awq|gptq|bnb|mxint|mxfp|nvfp)\d{0,2}(wo|kv|mix|a\d{1,2})?|fp8kv|\d{2,4}g|b\d"
)
"""The parts of longer words for number formats: widths, group sizes, schemes."""

_OF_MIXES = frozenset({"mix", "mixed", "block", "dynamic", "static", ""})


def normal_dtype(text: str) -> str:
    """A dtype word in lower case with underscores, without `torch.`."""
    return text.strip().lower().removeprefix("torch.").replace("-", "_")


def known_dtype(text: str) -> bool:
    """Whether a word names a number format; `{key}` and `auto` count, since they refer to another place."""
    word = normal_dtype(text)
    if word.startswith("{") and word.endswith("}"):
        return True
    if _is_format(word) or _is_compound(word):
        return True
    if not all(_is_part(part) for part in re.split(r"[_:.\s]+", word) if part):
        return False
    # What the estimate can size is known, too: there is one parser of such words. It is not needed at the start.
    from sparkrun_tui.models.weight_formats import format_named

    return format_named(text) is not None


def _is_part(part: str) -> bool:
    """Whether a part of a longer word says something of a format: `8bit` and `g128`, but no name."""
    return part in _PARTS or _is_format(part) or _PART.fullmatch(part) is not None


def _is_format(word: str) -> bool:
    return word in _WORDS or bool(_GGUF.fullmatch(word)) or bool(_FORMS.fullmatch(word))


def _is_compound(word: str) -> bool:
    """Whether a word names several formats, as mixed checkpoints are called: `nvfp4_w4a16`, `int4_int8mix`."""
    first, *rest = word.split("_")
    if not rest or not _is_format(first):
        return False
    others = [part for part in rest if part not in _OF_MIXES]
    return all(_is_format(part.removesuffix("mix")) for part in others)


def dtype_words() -> tuple[str, ...]:
    """The plain words, for suggestions."""
    return tuple(sorted(_WORDS | {"q4_k_m", "q8_0", "q6_k", "q5_k_m", "iq4_xs"}))
