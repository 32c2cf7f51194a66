"""The plot of memory by context: how the cache of one request grows, and where it exceeds the room for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.units import GIB
from sparkrun_tui.ui.ink import Line, Span, clip

if TYPE_CHECKING:
    from sparkrun_tui.memory.result import ContextCurve

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_TALLEST = 4
"""The most times higher than the curve that the line of the room is drawn; above that it is only given in words."""
_AXIS = 7
"""Cells of the axis at the left, with its line."""


def tokens_word(count: int) -> str:
    """A number of tokens in few characters: `512`, `33k`, `262k`, `1.0M`."""
    if count >= 1_000_000:
        return f"{count / 1_000_000:.1f}M"
    return f"{count / 1000:.0f}k" if count >= 1000 else str(count)


def plot_lines(curve: ContextCurve, context: int | None, width: int, height: int = 8) -> list[Line]:
    """The curve as columns of blocks, the room for the cache as a line across, the current context below the axis.

    Columns over the room are drawn in another shade and colour; `context` is in tokens.
    """
    room = max(min(width - _AXIS, 72), 8)
    longest, most = curve.points[-1][0], max(size for _, size in curve.points)
    top = max(most, 1)
    if curve.pool is not None and curve.pool <= most * _TALLEST:
        top = max(top, round(curve.pool * 1.1))
    sizes = [_at(curve.points, longest * (column + 1) / room) for column in range(room)]
    cut = _cut(curve.pool, top, height)
    lines: list[Line] = []
    for row in range(height):
        if row == cut:
            label = (_label(curve.pool), "budget")
        else:
            label = (_label(top if row == 0 else None), "dim")
        lines.append([label, *_row(sizes, row, height, top, row == cut, curve)])
    lines.append([(" " * (_AXIS - 1) + "└", "dim"), ("─" * room, "dim")])
    lines.append(_marks(context, longest, room))
    return [clip(line, width) for line in [*lines, *_legend(curve, context, width)]]


def _at(points: Sequence[tuple[int, int]], length: float) -> float:
    """The size at a length, in bytes, between the two points beside it."""
    before = points[0]
    for point in points:
        if point[0] >= length:
            span = point[0] - before[0]
            share = (length - before[0]) / span if span else 0.0
            return before[1] + (point[1] - before[1]) * share
        before = point
    return points[-1][1]


def _cut(pool: int | None, top: int, height: int) -> int | None:
    """The row of the line that marks the room of `pool` bytes; None when it is unknown or above the plot."""
    if pool is None or pool > top:
        return None
    above = min(int(pool / top * height), height - 1)
    return height - 1 - above


def _label(value: int | None) -> str:
    """The cells left of a row: a figure in GiB for `value` bytes, or only the axis."""
    if value is None:
        return " " * (_AXIS - 1) + "│"
    figure = value / GIB
    return f"{figure:>5.1f} │" if figure < 999 else f"{min(figure, 99_999):>5.0f} │"


def _row(sizes: Sequence[float], row: int, height: int, top: int, cut: bool, curve: ContextCurve) -> list[Span]:
    spans: list[Span] = []
    floor = (height - 1 - row) / height * top
    for size in sizes:
        over = curve.pool is not None and size > curve.pool
        part = min(max(round((size - floor) / top * height * 8), 0), 8)
        if over and part == 8:
            cell: Span = ("▒", "bad")
        elif cut and part < 8:
            cell = ("─", "budget")
        else:
            cell = (_EIGHTHS[part], "bad" if over else "kv")
        if spans and spans[-1][1] == cell[1]:
            spans[-1] = (spans[-1][0] + cell[0], cell[1])
        else:
            spans.append(cell)
    return spans


def _marks(context: int | None, longest: int, room: int) -> Line:
    """The labels below the axis of tokens: its ends, and the current context at its place."""
    end = tokens_word(longest)
    cells = list("0".ljust(room - len(end)) + end)
    if context is not None:
        column = min(max(round(context / longest * room) - 1, 0), room - 1)
        word = f"▲ {tokens_word(context)}"
        start = column if column + len(word) <= room else max(column - len(word) + 1, 0)
        text = word if start == column else word[2:] + " ▲"
        cells[start : start + len(text)] = list(text)
        # The ends of the axis are left out where the mark would touch them.
        if start == 1:
            cells[0] = " "
        if start + len(text) > room - len(end) - 1:
            cells[start + len(text) :] = " " * (room - start - len(text))
    return [(" " * _AXIS, ""), ("".join(cells[:room]), "accent" if context is not None else "dim")]


def _legend(curve: ContextCurve, context: int | None, width: int) -> list[Line]:
    lines: list[Line] = [[("cache of one request in GiB, by its tokens", "dim")]]
    if context is not None:
        size = _at(curve.points, min(context, curve.points[-1][0]))
        lines.append([("▲ ", "accent"), (f"now: {context:,} tokens, {size / GIB:.2f} GiB", "")])
    if curve.pool is not None:
        lines.append([("─ ", "budget"), (f"room for the cache: {curve.pool / GIB:.1f} GiB", "")])
    if curve.longest is not None:
        lines.append([("  ", ""), (f"longest that fits: {curve.longest:,} tokens", "")])
    return lines
