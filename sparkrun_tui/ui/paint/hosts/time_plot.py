"""A figure over the last minutes as a plot with its axis, or as one row of bars. A gap in time stays empty."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.fleet.samples import Series
from sparkrun_tui.ui.glyphs import Glyphs
from sparkrun_tui.ui.ink import Line, Span, fit, spread

AXIS = 6
"""Cells of the axis at the left of a plot, with its line."""

_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""The bits of a braille sign by column and row of its dots."""
_NICE = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Plot:
    """One figure to draw. `factor` turns its values into the unit of the axis; `now` is its present value in words."""

    title: str
    series: Series
    now: str
    unit: str
    style: str
    factor: float = 1.0
    bottom: float = 0.0
    top: float | None = None
    """The end of the axis in its unit; None to fit the values."""


def nice(value: float) -> float:
    """The least round figure that is not below `value`: 1, 2, 3, 4, 5, 6, 8 or 10 times a power of ten; at least 1."""
    power = 1.0
    while value > power * _NICE[-1]:
        power *= 10
    return next(power * step for step in _NICE if value <= power * step)


def axis_top(plot: Plot, start: float) -> float:
    """The end of a plot's axis in its unit, for the points since `start`."""
    if plot.top is not None:
        return max(plot.top, plot.bottom + 1)
    values = [point.value * plot.factor for point in plot.series.known if point.time >= start and point.value]
    return nice(max(values, default=0.0))


def plot_lines(plot: Plot, start: float, end: float, width: int, height: int, glyphs: Glyphs) -> list[Line]:
    """The title with the present value, then `height` rows, of `width` cells; `start` and `end` are Unix times."""
    top = axis_top(plot, start)
    inner = max(width - AXIS, 4)
    rows = _rows(_shares(plot, start, end, inner * (2 if glyphs.braille else 1), top), height, glyphs)
    title = spread([(plot.title, "bold")], [(plot.now, plot.style)], width)
    lines: list[Line] = [title]
    for number, row in enumerate(rows):
        label = ""
        if number == 0:
            label = _label(top)
        elif number == height - 1:
            label = _label(plot.bottom)
        elif number == 1:
            label = plot.unit
        lines.append([(fit(label, AXIS - 1, "right") + glyphs.side, "dim"), (fit(row, inner), plot.style)])
    return lines


def time_axis(words: str, width: int, glyphs: Glyphs) -> Line:
    """The axis below plots: how long ago its left end is, and now."""
    inner = max(width - AXIS, 4)
    line = f"{words} ago " if len(words) + 12 < inner else ""
    return [(" " * (AXIS - 1) + glyphs.corner, "dim"), (line + glyphs.line * (inner - len(line) - 4) + " now", "dim")]


def bar_row(plot: Plot, start: float, end: float, width: int, glyphs: Glyphs) -> str:
    """The figure as one row of `width` bars."""
    signs = []
    for share in _shares(plot, start, end, width, axis_top(plot, start)):
        sign = " "
        if share is not None:
            sign = glyphs.levels[min(int(share * len(glyphs.levels)), len(glyphs.levels) - 1)]
        signs.append(sign)
    return "".join(signs)


def _label(value: float) -> str:
    if value >= 10_000:
        return f"{value / 1000:.0f}k"
    return f"{value:.0f}" if value == int(value) else f"{value:.1f}"


def _shares(plot: Plot, start: float, end: float, count: int, top: float) -> list[float | None]:
    """The figure in each part of the time as its share of the axis, from 0 to 1; None where it is not known."""
    shares: list[float | None] = []
    for value in plot.series.columns(start, end, count):
        if value is None:
            shares.append(None)
        else:
            share = (value * plot.factor - plot.bottom) / (top - plot.bottom)
            shares.append(min(max(share, 0.0), 1.0))
    return shares


def _rows(shares: Sequence[float | None], height: int, glyphs: Glyphs) -> list[str]:
    """The rows of a plot from top to bottom."""
    if glyphs.braille:
        return _braille_rows(shares, height)
    return _plain_rows(shares, height)


def _spans(shares: Sequence[float | None], levels: int) -> list[tuple[int, int] | None]:
    """The lowest and the highest of `levels` that the line covers in each column, joined to the column before."""
    spans: list[tuple[int, int] | None] = []
    before: int | None = None
    for share in shares:
        if share is None:
            spans.append(None)
            before = None
            continue
        level = round(share * (levels - 1))
        low = high = level
        if before is not None and before < level:
            low = before + 1
        elif before is not None and before > level:
            high = before - 1
        spans.append((low, high))
        before = level
    return spans


def _braille_rows(shares: Sequence[float | None], height: int) -> list[str]:
    levels = height * 4
    cells = [[0] * (len(shares) // 2) for _ in range(height)]
    for column, span in enumerate(_spans(shares, levels)):
        if span is None:
            continue
        for level in range(span[0], span[1] + 1):
            row, dot = divmod(levels - 1 - level, 4)
            cells[row][column // 2] |= _DOTS[column % 2][dot]
    return ["".join(chr(_BRAILLE + bits) if bits else " " for bits in row) for row in cells]


_MARKS = "_-'"
"""Where in its row a line is: low, in the middle, high."""


def _plain_rows(shares: Sequence[float | None], height: int) -> list[str]:
    levels = height * len(_MARKS)
    rows = [[" "] * len(shares) for _ in range(height)]
    for column, span in enumerate(_spans(shares, levels)):
        if span is None:
            continue
        for level in range(span[0], span[1] + 1):
            row, mark = divmod(levels - 1 - level, len(_MARKS))
            sign = _MARKS[len(_MARKS) - 1 - mark]
            # Several marks in one cell are part of a steep line.
            rows[row][column] = sign if rows[row][column] == " " else "|"
    return ["".join(row) for row in rows]


_NOW = 22
"""Cells of the present value on one line."""
_END = 12
"""Cells of the end of the axis on one line."""


def row_of(plot: Plot, start: float, end: float, width: int, name: int, glyphs: Glyphs) -> Line:
    """The figure on one line: its title in `name` cells, its present value, its bars, and the end of their axis."""
    title: Span = (fit(plot.title, name), "dim")
    room = width - name - _NOW - _END
    if room < 8:
        return [title, (fit(plot.now, max(width - name, 0)), "")]
    bars: Span = (bar_row(plot, start, end, room, glyphs), plot.style)
    ends = f" {_label(axis_top(plot, start))} {plot.unit}"
    return [title, (fit(plot.now, _NOW - 2, "right") + "  ", ""), bars, (fit(ends, _END), "dim")]
