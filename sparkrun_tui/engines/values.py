"""Values of flags as their engines read them: numbers with suffixes, shares, lengths, JSON."""

from __future__ import annotations

import re
from collections.abc import Mapping

from sparkrun_tui.base.json_text import parse_json
from sparkrun_tui.base.numbers import decimal

_SUFFIX = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}
_WHOLE = re.compile(r"\s*+(-?[0-9][0-9_,]{0,24}(?:\.[0-9]{1,12})?)\s*+([kmgtKMGT]?)\s*+")
_MOST = 10**15


def whole(text: str) -> int:
    """A whole number, also with a suffix (`32k` is 32,000, `32K` 32,768) or digits grouped by `_` or `,`.

    Raises `ValueError` for another text, as every function here does.
    """
    match = _WHOLE.fullmatch(text)
    if match is None:
        raise ValueError(text)
    digits, suffix = match.groups()
    value = decimal(digits.replace("_", "").replace(",", ""))
    if value is None:
        raise ValueError(text)
    found = int(value * _SUFFIX.get(suffix, 1))
    if abs(found) > _MOST:
        raise ValueError(text)
    return found


def count(text: str) -> int:
    """A whole number that is at least 1."""
    number = whole(text)
    if number < 1:
        raise ValueError(text)
    return number


def length(text: str) -> int:
    """A context length in tokens; `auto` and `-1` give -1, which lets the engine fit it."""
    if text.strip().lower() in ("auto", "-1"):
        return -1
    return count(text)


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
