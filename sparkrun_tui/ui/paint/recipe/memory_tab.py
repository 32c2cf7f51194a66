"""The memory of a recipe in figures: suggestions, a table of every part with its band and source, and the plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sparkrun_tui.base.text import clean_line
from sparkrun_tui.memory.result import Estimate, HostPicture, Part
from sparkrun_tui.memory.speed.words import sentence
from sparkrun_tui.ui.ink import Line, clip, wrap, wrap_line
from sparkrun_tui.ui.paint.recipe.context_plot import plot_lines
from sparkrun_tui.ui.paint.recipe.memory_bar import gib

if TYPE_CHECKING:
    from sparkrun_tui.launch.sizing.suggestions import Suggestion
    from sparkrun_tui.ui.model.context_curve import ContextPlot

_WIDE = 64
"""From this width on, a part, its band and its source stand on one line."""
_TIGHT = 44
"""Below this width only the host's line has the unit."""
_KINDS = {"kv": "KV cache", "others": "others", "activation": "activations"}


def suggestion_line(number: int, suggestion: Suggestion) -> Line:
    """One suggestion with the key that applies it."""
    words = []
    for change in suggestion.changes:
        if change.flag:
            words.append(f"append {clean_line(change.flag)}")
        else:
            words.append(f"{change.key} {clean_line(change.old) or 'unset'} → {clean_line(change.new)}")
    return [
        (f"{number} ", "key"),
        (", ".join(words), "bold"),
        (f"  {clean_line(suggestion.why)}", "dim"),
    ]


def suggestion_lines(offered: Sequence[Suggestion], width: int) -> list[Line]:
    """All suggestions in full; up to nine, which have a key."""
    numbered = enumerate(offered[:9], 1)
    return [row for number, one in numbered for row in wrap_line(suggestion_line(number, one), width, 2)]


def memory_lines(estimate: Estimate, offered: Sequence[Suggestion], plot: ContextPlot | None, width: int) -> list[Line]:
    """Suggestions, the tightest host's table, the plot of memory by context, the other hosts, and notes."""
    lines: list[Line] = []
    if offered:
        lines += [[("press a number to apply one", "title")], *suggestion_lines(offered, width), []]
    tightest = min(estimate.hosts, key=lambda picture: -1 if picture.free is None else picture.free, default=None)
    if tightest is not None:
        lines += [*table(tightest, width), []]
    lines += [*_plot(plot, width), []]
    for picture in estimate.hosts:
        if picture is not tightest:
            lines += [*table(picture, width), []]
    if estimate.weights_bytes is not None:
        lines.append([("weights of the whole model ", "dim"), (f"{gib(estimate.weights_bytes)} GiB", "")])
    if estimate.speed is not None:
        lines += [[(row, "")] for row in wrap(sentence(estimate.speed), width)]
    lines += [[(row, "dim")] for row in wrap(f"facts: {clean_line(estimate.facts_source)}", width)]
    notes = [[(row, "dim")] for note in estimate.notes for row in wrap(f"· {clean_line(note)}", width)]
    return [clip(line, width) for line in [*lines, *([[]] if notes else []), *notes]]


def _plot(plot: ContextPlot | None, width: int) -> list[Line]:
    head: Line = [("memory by context", "title")]
    if plot is None:
        return [head, [("? ", "unknown"), ("the cache size of a request is not known", "dim")]]
    return [head, *plot_lines(plot.curve, plot.context, width)]


def table(picture: HostPicture, width: int) -> list[Line]:
    """One host's parts, budget and rest, each with its band and where the figure comes from."""
    host = picture.host
    head: Line = [(clean_line(host.name), "title"), (f"  {gib(host.total)} GiB, {clean_line(host.source)}", "dim")]
    lines: list[Line] = [clip(head, width)]
    for part in picture.parts:
        lines += _part(part, width)
    if picture.budget is not None:
        lines += _row("budget", gib(picture.budget), "", "the most that the engine may use", width)
    left = "?" if picture.free is None else gib(picture.free)
    floor = f"in danger below {gib(picture.floor_red)}, comfortable from {gib(picture.floor_green)}"
    return [*lines, *_row("left", left, "", floor, width, "bold")]


def _part(part: Part, width: int) -> list[Line]:
    band = f"{gib(part.low)} to {gib(part.high)}" if part.low != part.high else ""
    return _row(_KINDS.get(part.kind, part.kind), gib(part.bytes), band, clean_line(part.source), width)


def _row(name: str, figure: str, band: str, about: str, width: int, style: str = "") -> list[Line]:
    if width < _TIGHT:
        narrow: Line = [(f"{name:<12}", ""), (f"{figure:>5}", style), (f"  {band.replace(' to ', '–')}", "dim")]
        return [narrow, *([("  " + row, "dim")] for row in wrap(about, width - 2) if row)]
    first: Line = [(f"  {name:<12}", ""), (f"{figure:>6} GiB", style), (f"  {band:<15}", "dim")]
    if width < _WIDE:
        return [first, *([("    " + row, "dim")] for row in wrap(about, width - 4) if row)]
    rows: Sequence[str] = wrap(about, width - 43)
    rest: list[Line] = [[(" " * 43 + row, "dim")] for row in rows[1:]]
    return [[*first, ("  " + rows[0], "dim")], *rest]
