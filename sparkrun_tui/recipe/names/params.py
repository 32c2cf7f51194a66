"""Parameter counts as authors write them: `30B`, `1.5e9`, `8x7B`, `35B-A3B`."""

from __future__ import annotations

from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.regexes import late_regex

_UNITS = {"": 1, "k": 10**3, "m": 10**6, "b": 10**9, "t": 10**12}
_LONGEST = 100
"""Characters of the longest text that is read: blanks may stand in many places, and each way to share them is tried."""
_NUMBER = r"(?P<{0}>[0-9][0-9_,]*(?:\.[0-9]+)?(?:[eE][+-]?[0-9]{{1,3}})?|\.[0-9]+)\s*(?P<{0}_unit>[kKmMbBtT]?)"
_FORM = late_regex(
    r"\s*(?:(?P<times>[0-9]{1,4})\s*[xX*]\s*)?"
    + _NUMBER.format("all")
    + r"(?:\s*[-_ /]\s*[aA]"
    + _NUMBER.format("active")
    + r")?\s*(?:params?|parameters?)?\s*"
)
_MAX = 10**16


def parse_params(text: str) -> tuple[int, int | None] | None:
    """Total and active parameters of a text, or None when it is not a parameter count.

    `35B-A3B` is (35e9, 3e9); `8x7B` counts as 56e9, the upper bound, since experts share their attention layers.
    """
    if len(text) > _LONGEST:
        return None
    match = _FORM.fullmatch(text)
    if match is None:
        return None
    total = _number(match["all"], match["all_unit"])
    if total is None:
        return None
    if match["times"]:
        total *= whole(match["times"]) or 0
    if not 0 < total <= _MAX:
        return None
    if not match["active"]:
        return total, None
    active = _number(match["active"], match["active_unit"])
    if active is None:
        return total, None
    if not 0 < active <= total:
        return None
    return total, active


def _number(text: str, unit: str) -> int | None:
    value = decimal(text.replace("_", "").replace(",", ""))
    if value is None:
        return None
    return round(value * _UNITS[unit.lower()])


def format_params(count: int) -> str:
    """A parameter count in the shorthand authors use: `1.7B`, `30B`, `350M`."""
    for unit, factor in (("T", 10**12), ("B", 10**9), ("M", 10**6), ("K", 10**3)):
        if count >= factor:
            return f"{count / factor:.4g}{unit}"
    return str(count)
