"""The one way from foreign text or data to a number: bounded, ASCII only, and never an exception."""

from __future__ import annotations

import math
import re

from sparkrun_tui.base.regexes import late_regex

MOST = 10**18 - 1
"""The largest whole number that is read from outside: every size in bytes and every count is far below it."""

_WHOLE = late_regex(r"-?[0-9]{1,18}", re.ASCII)
_DECIMAL = late_regex(r"[+-]?(?:[0-9]{1,40}(?:\.[0-9]{0,40})?|\.[0-9]{1,40})(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)


def whole(text: str, *, least: int = 0, most: int = MOST) -> int | None:
    """`text` as a whole number between `least` and `most`, or None when it is not one.

    Blanks around it are allowed; signs other than one `-`, underscores, digits that are not ASCII and more than
    18 digits are not.
    """
    text = text.strip()
    if not _WHOLE.fullmatch(text):
        return None
    number = int(text)
    return number if least <= number <= most else None


def major_minor(version: str, *, most: int = MOST) -> tuple[int, int] | None:
    """The first two numbers of a version such as `13.0` or `2.52.1`, or None when it does not begin with two."""
    parts = version.split(".", 2)
    if len(parts) < 2:
        return None
    major, minor = whole(parts[0], most=most), whole(parts[1], most=most)
    if major is None or minor is None:
        return None
    return major, minor


def decimal(text: str, *, least: float = -1e18, most: float = 1e18) -> float | None:
    """`text` as a finite number between `least` and `most`, or None when it is not one."""
    text = text.strip()
    if not _DECIMAL.fullmatch(text):
        return None
    number = float(text)
    if not math.isfinite(number):
        return None
    return number if least <= number <= most else None


def whole_of(data: object, *, least: int = 0, most: int = MOST) -> int | None:
    """Decoded data (JSON, YAML) as a whole number within bounds, or None; true and false are not numbers."""
    if isinstance(data, bool) or not isinstance(data, int):
        return None
    return data if least <= data <= most else None


def decimal_of(data: object, *, least: float = -1e18, most: float = 1e18) -> float | None:
    """Decoded data as a finite number within bounds, or None; true, false, infinity and NaN are refused."""
    if isinstance(data, bool) or not isinstance(data, int | float):
        return None
    # Compared before it is converted: an int may be too large for a float.
    return float(data) if least <= data <= most else None
