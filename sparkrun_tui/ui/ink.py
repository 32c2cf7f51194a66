"""Styled lines as values: text with style names, computed and tested without a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, chop_cells

from sparkrun_tui.base.regexes import late_regex

Span = tuple[str, str]
"""Text, and the names of its styles separated by blanks (`"good bold"`; empty: plain)."""

Line = Sequence[Span]

STYLES = (
    "dim",
    "bold",
    "good",
    "tight",
    "bad",
    "unknown",
    "accent",
    "title",
    "weights",
    "kv",
    "engine",
    "others",
    "free",
    "budget",
    "floor",
    "match",
    "found",
    "cursor",
    "cursor-blur",
    "picked",
    "changed",
    "invalid",
    "thumb",
    "key",
    "flag",
    "string",
    "comment",
    "number",
    "demo",
    "host1",
    "host2",
    "host3",
    "host4",
)
"""Every style name that a line may use; the style sheet defines each as `.ink--NAME`."""

_WORDS = late_regex(r"\s*\S+(?:[ ]\\(?=\s*$))?\s?|\s+")

MARKS = {"good": "✓", "tight": "!", "bad": "✗", "unknown": "?", "supposed": "○"}
"""The glyph of each verdict level, to be read without colour; `supposed` is for hosts that were not asked."""

MARK_STYLES = {"good": "good", "tight": "tight", "bad": "bad", "unknown": "unknown", "supposed": "dim"}
"""The style of each of these glyphs."""


def text_of(line: Line) -> str:
    """The plain text of a line."""
    return "".join(text for text, _ in line)


def width_of(line: Line) -> int:
    """The cells that a line takes."""
    return sum(cell_len(text) for text, _ in line)


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` cells, with `…` where it was cut."""
    if cell_len(text) <= width:
        return text
    if width <= 1:
        return "…"[: max(width, 0)]
    return chop_cells(text, width - 1)[0] + "…"


def cells_of(share: float, width: int) -> int:
    """How many of `width` cells a share of them fills: none below 0 or for NaN, all above 1."""
    if not share > 0:
        return 0
    return round(min(share, 1.0) * width)


def fit(text: str, width: int, align: str = "left") -> str:
    """`text` in exactly `width` cells: cut with `…`, or filled with blanks on the other side of `align`."""
    text = shorten(text, width)
    fill = " " * (width - cell_len(text))
    return fill + text if align == "right" else text + fill


def clip(line: Line, width: int) -> list[Span]:
    """A line in at most `width` cells, cut with `…`."""
    if width_of(line) <= width:
        return list(line)
    kept: list[Span] = []
    left = width - 1
    for text, style in line:
        size = cell_len(text)
        if size > left:
            kept.append((shorten(text, left + 1) if left > 0 else "…"[: max(width, 0)], style))
            break
        kept.append((text, style))
        left -= size
    return kept


def spread(left: Line, right: Line, width: int) -> list[Span]:
    """Two lines on one row of `width` cells: `right` at the right edge, `left` cut to make room for it."""
    room = max(width - width_of(right), 0)
    kept = clip(left, room)
    return [*kept, (" " * (room - width_of(kept)), ""), *right]


def wrap(text: str, width: int) -> list[str]:
    """A paragraph broken at blanks into lines of at most `width` cells; longer words are broken."""
    width = max(width, 1)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        words: list[str] = []
        used = 0
        for word in paragraph.split(" "):
            if not word and not words:
                continue
            # Each word is measured once: texts may be long and are wrapped again on every paint.
            size = cell_len(word)
            if words and used + 1 + size > width:
                lines.append(" ".join(words))
                words, used = [], 0
            start = 0
            while size > width:
                end = reach(word, start, width)
                lines.append(word[start:end])
                size -= cell_len(word[start:end])
                start = end
            used += size + (1 if words else 0)
            words.append(word[start:])
        lines.append(" ".join(words))
    return lines


def wrap_line(line: Line, width: int, indent: int = 0) -> list[list[Span]]:
    """A styled line broken at blanks into lines of at most `width` cells; those after the first are indented."""
    width = max(width, 8)
    indent = min(indent, width // 2)
    rows: list[list[Span]] = [[]]
    left = width
    for text, style in line:
        for word in _WORDS.findall(text):
            size = cell_len(word.rstrip())
            if size > left and left < width - indent:
                rows.append([(" " * indent, "")] if indent else [])
                left = width - indent
                word = word.lstrip()
                size = cell_len(word.rstrip())
            start = 0
            while size > left:
                end = reach(word, start, left)
                _append(rows[-1], word[start:end], style)
                size -= cell_len(word[start:end])
                start = end
                rows.append([(" " * indent, "")] if indent else [])
                left = width - indent
            _append(rows[-1], word[start:], style)
            left -= cell_len(word[start:])
    return rows


def _append(row: list[Span], text: str, style: str) -> None:
    if row and row[-1][1] == style:
        row[-1] = (row[-1][0] + text, style)
    else:
        row.append((text, style))


def reach(text: str, start: int, width: int) -> int:
    """The end of the longest piece of `text` from `start` that fits in `width` cells; at least one character.

    Characters that make one sign together stay together.
    """
    width = max(width, 1)
    if text.isascii():
        return min(start + width, len(text))
    # A part is enough: a text may have a million characters, and this is asked for each of its rows.
    piece = chop_cells(text[start : start + 4 * width + 64], width)[0]
    return start + max(len(piece), 1)


def join(parts: Iterable[Line], gap: str = "  ") -> list[Span]:
    """Lines one after another on one line, with a gap between them."""
    joined: list[Span] = []
    for part in parts:
        if joined and part:
            joined.append((gap, ""))
        joined.extend(part)
    return joined
