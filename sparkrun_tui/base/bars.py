"""Figures as a row of bars."""

from __future__ import annotations

from collections.abc import Sequence

_LEVELS = "▁▂▃▄▅▆▇█"


def level_of(share: float, levels: str = _LEVELS) -> str:
    """The character of `levels`, lowest first, for a share: the first below 0 or for NaN, the last above 1."""
    if not share > 0:
        return levels[0]
    return levels[min(int(min(share, 1.0) * len(levels)), len(levels) - 1)]


def bars(values: Sequence[float], top: float, width: int) -> str:
    """Values between 0 and `top` as at most `width` bars, in order.

    Where there are more values, a bar is the least of several neighbours.
    """
    if not values or top <= 0 or width <= 0:
        return ""
    count = min(width, len(values))
    shown = []
    for number in range(count):
        part = values[number * len(values) // count : (number + 1) * len(values) // count]
        shown.append(level_of(min(part) / top))
    return "".join(shown)
