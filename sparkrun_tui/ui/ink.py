"""Lines as values: text with names of styles, so that what is painted can be computed and tested without a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sparkrun_tui.base.text import cell_width, shorten

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
"""Every style name that a line may use; the style sheet gives each its look (`.ink--NAME`)."""

_WORDS = re.compile(r"\s*\S+(?:[ ]\\(?=\s*$))?\s?|\s+")

MARKS = {"good": "✓", "tight": "!", "bad": "✗", "unknown": "?"}
"""A glyph beside each verdict's colour, so that it reads without one."""


def text_of(line: Line) -> str:
    """The plain text of a line."""
    return "".join(text for text, _ in line)


def width_of(line: Line) -> int:
    """The cells that a line takes."""
    return sum(cell_width(text) for text, _ in line)


def fit(text: str, width: int, align: str = "left") -> str:
    """`text` in exactly `width` cells: cut with `…`, or filled with blanks on the other side of `align`."""
    text = shorten(text, width)
    fill = " " * (width - cell_width(text))
    return fill + text if align == "right" else text + fill


def clip(line: Line, width: int) -> list[Span]:
    """A line in at most `width` cells, cut with `…`."""
    if width_of(line) <= width:
        return list(line)
    kept: list[Span] = []
    left = width - 1
    for text, style in line:
        size = cell_width(text)
        if size > left:
            kept.append((shorten(text, left + 1) if left > 0 else "…"[: max(width, 0)], style))
            break
        kept.append((text, style))
        left -= size
    return kept


def spread(left: Line, right: Line, width: int) -> list[Span]:
    """Two lines on one: `left` is cut so that `right` keeps its place at the right edge."""
    room = max(width - width_of(right), 0)
    kept = clip(left, room)
    return [*kept, (" " * (room - width_of(kept)), ""), *right]


def wrap(text: str, width: int) -> list[str]:
    """A paragraph broken at blanks into lines of at most `width` cells; longer words are broken."""
    width = max(width, 1)
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            candidate = f"{line} {word}" if line else word
            if cell_width(candidate) <= width:
                line = candidate
                continue
            if line:
                lines.append(line)
            while cell_width(word) > width:
                head = _head(word, width)
                lines.append(head)
                word = word[len(head) :]
            line = word
        lines.append(line)
    return lines


def wrap_line(line: Line, width: int, indent: int = 0) -> list[list[Span]]:
    """A styled line broken at blanks into lines of at most `width` cells; those after the first are indented."""
    width = max(width, 8)
    indent = min(indent, width // 2)
    rows: list[list[Span]] = [[]]
    left = width
    for text, style in line:
        for word in _WORDS.findall(text):
            size = cell_width(word.rstrip())
            if size > left and left < width - indent:
                rows.append([(" " * indent, "")] if indent else [])
                left = width - indent
                word = word.lstrip()
            while cell_width(word.rstrip()) > left:
                head = _head(word, left)
                _append(rows[-1], head, style)
                rows.append([(" " * indent, "")] if indent else [])
                left = width - indent
                word = word[len(head) :]
            _append(rows[-1], word, style)
            left -= cell_width(word)
    return rows


def _append(row: list[Span], text: str, style: str) -> None:
    if row and row[-1][1] == style:
        row[-1] = (row[-1][0] + text, style)
    else:
        row.append((text, style))


def _head(text: str, width: int) -> str:
    """The longest beginning of `text` that fits, at least one character when `width` is positive."""
    if text.isascii():
        return text[:width]
    used = 0
    for index, char in enumerate(text):
        used += cell_width(char)
        if used > width:
            return text[: max(index, 1)]
    return text


def join(parts: Iterable[Line], gap: str = "  ") -> list[Span]:
    """Lines one after another on one line, with a gap between them."""
    joined: list[Span] = []
    for part in parts:
        if joined and part:
            joined.append((gap, ""))
        joined.extend(part)
    return joined
