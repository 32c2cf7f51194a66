"""Values of flags as their engines read them: numbers with suffixes, shares, lengths, JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from sparkrun_tui.base.reading import numbers
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

_MOST = 10**15
_PLAIN = late_regex(r"[+-]?[0-9]{1,24}(?:_[0-9]{1,24}){0,8}")
_VLLM = late_regex(r"([0-9]{1,24}(?:\.[0-9]{1,12})?)([kKmMgGtT])")
_VLLM_UNITS = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_SGLANG = late_regex(r"([0-9]{1,24}(?:\.[0-9]{1,12})?)(Ki|Mi|Gi|Ti|k|M|G|T)")
_SGLANG_UNITS = {
    "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_LEADING = late_regex(r"\s{0,20}([+-]?[0-9]{1,24})")


@dataclass(frozen=True, slots=True)
class Numbers:
    """How an engine's parser reads whole numbers.

    `read` raises `ValueError` for a text that it refuses. `written` says how a number may be written, behind "must be".
    """

    read: Callable[[str], int]
    written: str = "a whole number"
    ignores_rest: bool = False
    """Whether it reads the digits at the beginning and ignores what follows: `128k` is 128."""


def whole(text: str) -> int:
    """A whole number as Python's `int` reads it, which is what argparse calls: no suffixes, `_` between digits.

    Raises `ValueError` for another text, as every function here does.
    """
    plain = text.strip()
    if _PLAIN.fullmatch(plain) is None:
        raise ValueError(text)
    return _digits(plain.replace("_", ""), text)


def vllm_whole(text: str) -> int:
    """A whole number, also as `128k` (128,000) or `128K` (131,072).

    Source: human_readable_int in vllm/utils/argparse_utils.py; a fraction needs a decimal suffix, `25.6k`.
    """
    return _with_unit(text, _VLLM, _VLLM_UNITS, "KMGT")


def sglang_whole(text: str) -> int:
    """A whole number, also as `128k` (128,000) or `128Ki` (131,072).

    Source: human_readable_int in sglang/srt/utils/common.py; `128K` and `1m` are refused.
    """
    return _with_unit(text, _SGLANG, _SGLANG_UNITS, "i")


def leading_whole(text: str) -> int:
    """The whole number at the beginning of a text, as std::stoi reads it, which common/arg.cpp of llama.cpp calls."""
    match = _LEADING.match(text)
    if match is None:
        raise ValueError(text)
    found = _digits(match[1], text)
    if abs(found) >= 2**31:
        raise ValueError(text)
    return found


def _with_unit(text: str, pattern: re.Pattern[str], units: Mapping[str, int], binary: str) -> int:
    """A number with one of `units` behind it; those that end with a letter of `binary` follow a whole number only."""
    match = pattern.fullmatch(text.strip())
    if match is None:
        return whole(text)
    digits, suffix = match.groups()
    if "." not in digits:
        return _bounded(_digits(digits, text) * units[suffix], text)
    value = decimal(digits)
    if suffix[-1] in binary or value is None:
        raise ValueError(text)
    return _bounded(int(value * units[suffix]), text)


def _digits(digits: str, text: str) -> int:
    found = numbers.whole(digits.removeprefix("+"), least=-_MOST, most=_MOST)
    if found is None:
        raise ValueError(text)
    return found


def _bounded(value: int, text: str) -> int:
    if abs(value) > _MOST:
        raise ValueError(text)
    return value


PLAIN = Numbers(whole)
VLLM_LONG = Numbers(vllm_whole, "a whole number, also as 128k (128,000) or 128K (131,072)")
SGLANG_LONG = Numbers(sglang_whole, "a whole number, also as 128k (128,000) or 128Ki (131,072)")
LEADING = Numbers(leading_whole, "a whole number of digits alone", ignores_rest=True)


def at_least_one(kind: Numbers) -> Callable[[str], int]:
    """What reads a whole number from 1 on."""

    def read(text: str) -> int:
        found = kind.read(text)
        if found < 1:
            raise ValueError(text)
        return found

    return read


def length_in(kind: Numbers) -> Callable[[str], int]:
    """What reads a context length in tokens; `auto` and `-1` give -1, which lets the engine fit it."""
    positive = at_least_one(kind)

    def read(text: str) -> int:
        if text.strip().lower() in ("auto", "-1"):
            return -1
        return positive(text)

    return read


def count(text: str) -> int:
    """A whole number that is at least 1."""
    return at_least_one(PLAIN)(text)


def number(text: str) -> float:
    """A finite number."""
    value = decimal(text)
    if value is None:
        raise ValueError(text)
    return value


def fraction(text: str) -> float:
    """A share of memory in (0, 1]."""
    value = number(text)
    if not 0 < value <= 1:
        raise ValueError(text)
    return value


def word(text: str) -> str:
    """A word in lower case."""
    return text.strip().lower()


def truth(text: str) -> bool:
    """The value of a switch that takes a word: on, off or one of their synonyms."""
    found = text.strip().lower()
    if found in ("true", "1", "yes", "on", "enabled", ""):
        return True
    if found in ("false", "0", "no", "off", "disabled", "none"):
        return False
    raise ValueError(text)


def json_object(text: str) -> Mapping[str, object]:
    """A JSON object."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def no_items(text: str) -> bool:
    """Whether a limit of multimodal items is zero for every kind (`{"image": 0}` or `image=0`)."""
    try:
        limits: Mapping[str, object] = json_object(text)
    except ValueError:
        limits = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    return bool(limits) and all(str(limit) == "0" for limit in limits.values())
