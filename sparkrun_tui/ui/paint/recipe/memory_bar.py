"""The picture of a host's memory, the same on every screen: what it is used for, as lines."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.result import Estimate, HostPicture, Level
from sparkrun_tui.memory.speed.words import brief
from sparkrun_tui.ui.ink import MARK_STYLES, MARKS, Line, Span, fit, join, width_of

GLYPHS = {"weights": "█", "kv": "▓", "engine": "▒", "others": "▞", "free": "░"}
"""What each part of the bar is drawn with; `engine` is activations, graphs and overhead together."""

_GROUP = {"others": "others", "weights": "weights", "kv": "kv"}
_NAMED = 4
"""The most other hosts that are named one by one."""
_BARS = 2
"""How many hosts get a bar; with more hosts, only the fullest is drawn."""


def mark(level: Level, supposed: bool = False) -> Span:
    """The glyph of a verdict with its colour; nothing that is only `supposed` gets the sign of what is known."""
    name = "supposed" if supposed and level in (Level.GOOD, Level.TIGHT) else level.value
    return MARKS[name], MARK_STYLES[name]


def is_supposed(estimate: Estimate) -> bool:
    """Whether a host of it was taken for an idle Spark."""
    return any(picture.host.assumed for picture in estimate.hosts)


def gib(size: float) -> str:
    """Bytes as a number of GiB without unit: `38.4`; a size too small to show is `<0.1`, never `0.0`."""
    return "<0.1" if 0 < size < GIB / 20 else f"{size / GIB:.1f}"


def grouped(picture: HostPicture) -> dict[str, int]:
    """Bytes of a host by what the bar shows, in the order of the bar."""
    sums = {"weights": 0, "kv": 0, "engine": 0, "others": 0}
    for part in picture.parts:
        sums[_GROUP.get(part.kind, "engine")] += part.bytes
    return sums


def bar(picture: HostPicture, width: int) -> list[Span]:
    """The bar of one host in `width` cells, with the budget's line and the floor's mark drawn over it."""
    total = max(picture.host.total, 1)
    cells: list[Span] = []
    used = 0
    for kind, size in grouped(picture).items():
        used += size
        end = min(round(used / total * width), width)
        if size > 0 and end == len(cells) and len(cells) < width:
            end += 1
        cells.extend((GLYPHS[kind], kind) for _ in range(end - len(cells)))
    cells.extend((GLYPHS["free"], "free") for _ in range(width - len(cells)))
    floor = round((total - picture.floor_green) / total * width)
    if 0 <= floor < width:
        cells[floor] = ("┊", "floor")
    if picture.budget is not None:
        line = round(min(picture.budget, total) / total * width)
        cells[min(line, width - 1)] = ("│", "budget")
    return _merged(cells)


def _merged(cells: Sequence[Span]) -> list[Span]:
    merged: list[Span] = []
    for text, style in cells:
        if merged and merged[-1][1] == style:
            merged[-1] = (merged[-1][0] + text, style)
        else:
            merged.append((text, style))
    return merged


def host_line(picture: HostPicture, name_width: int, width: int, short: bool = False) -> list[Span]:
    """One host's name, bar and total; with `short` also how much is left."""
    total = gib(picture.host.total)
    about = "~" if picture.host.assumed else " "
    if short:
        left = "?" if picture.free is None else f"{picture.free / GIB:.0f}"
        tail = f" {left} of{about}{total} GiB left"
    else:
        tail = f" {about}{total} GiB"
    name = fit(picture.host.name, name_width)
    room = max(width - name_width - 1 - len(tail), 4)
    return [(name + " ", ""), *bar(picture, room), (tail, "dim")]


def numbers(picture: HostPicture) -> list[Line]:
    """The figures below the bar, each with the glyph of its part."""
    sums = grouped(picture)
    known = {part.kind for part in picture.parts}
    words = [("weights", "weights"), ("kv", "KV"), ("engine", "engine"), ("others", "others")]
    shown: list[Line] = []
    for kind, word in words:
        size = sums[kind]
        if kind == "others" and not size:
            continue
        missing = kind not in {_GROUP.get(part, "engine") for part in known}
        figure = "?" if missing else gib(size)
        shown.append([(GLYPHS[kind], kind), (f" {word} ", "dim"), (figure, "")])
    left = "?" if picture.free is None else gib(picture.free)
    shown.append([(GLYPHS["free"], "free"), (" left ", "dim"), (left, ""), (" GiB", "dim")])
    return shown


def verdicts(estimate: Estimate, width: int) -> list[Line]:
    """The three verdicts, on one line where they fit, else each on its own; those on supposed hosts say so first."""
    shown: dict[str, Line] = {}
    supposed = is_supposed(estimate)
    for verdict in (estimate.starts, estimate.context, estimate.headroom):
        shown.setdefault(verdict.text, [mark(verdict.level, supposed), (f" {verdict.text}", "")])
    parts = list(shown.values())
    if supposed:
        parts.insert(0, [("on an idle Spark:", "dim")])
    joined = join(parts, "   ")
    return [joined] if width_of(joined) <= width else flow(parts, width, "   ")


def flow(parts: Sequence[Line], width: int, gap: str) -> list[Line]:
    """Parts put beside each other as far as they fit, then on the next line."""
    rows: list[list[Span]] = []
    for part in parts:
        if rows and width_of(rows[-1]) + len(gap) + width_of(part) <= width:
            rows[-1] += [(gap, ""), *part]
        else:
            rows.append(list(part))
    return list(rows)


def picture_lines(estimate: Estimate, width: int, compact: bool = False) -> list[Line]:
    """The whole picture: a bar a host, the figures, the verdicts. `compact` keeps to the fullest host."""
    if not estimate.hosts:
        return [[("? ", "unknown"), ("no host to estimate for", "dim")]]
    name_width = min(max(len(picture.host.name) for picture in estimate.hosts), 20)
    fullest = min(estimate.hosts, key=lambda picture: -1 if picture.free is None else picture.free)
    if compact:
        return [host_line(fullest, name_width, width, short=True), *verdicts(estimate, width)]
    shown = estimate.hosts if len(estimate.hosts) <= _BARS else (fullest,)
    lines: list[Line] = [host_line(picture, name_width, width) for picture in shown]
    if len(shown) < len(estimate.hosts):
        others = [picture.host.name for picture in estimate.hosts if picture is not fullest]
        named = f"{', '.join(others)} have" if len(others) <= _NAMED else f"{len(others)} more hosts have"
        lines.append([(" " * (name_width + 1), ""), (f"{named} at least as much left", "dim")])
    pad: Span = (" " * (name_width + 1), "")
    figures = numbers(fullest)
    if estimate.speed is not None and estimate.starts.level is not Level.BAD:
        figures.append([("speed ", "dim"), (brief(estimate.speed), "")])
    lines += [[pad, *row] for row in flow(figures, width - name_width - 1, "  ")]
    return [*lines, *verdicts(estimate, width)]
