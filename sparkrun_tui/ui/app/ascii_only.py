"""Draws with ASCII signs alone, for terminals whose font has few others, such as the console of Linux."""

from __future__ import annotations

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

SIGNS = {
    "✓": "+",
    "✗": "x",
    "●": "*",
    "○": "o",
    "◌": "~",
    "▶": ">",
    "·": ".",
    "•": "*",
    "★": "*",
    "…": "~",
    "–": "-",
    "—": "-",
    "→": ">",
    "←": "<",
    "↑": "^",
    "↓": "v",
    "▸": ">",
    "›": ">",
    "└": "`",
    "▾": "v",
    "◂": "<",
    "▌": ">",
    "▐": "|",
    "▏": "|",
    "█": "#",
    "▓": "=",
    "▒": "%",
    "▞": "&",
    "░": ".",
    "┊": ":",
    "▲": "^",
    "▴": "^",
    "▼": "v",
    "≠": "#",
    "≤": "<",
    "≥": ">",
    "×": "x",
    "°": " ",
    "“": '"',
    "”": '"',
    "‘": "'",
    "’": "'",
}
"""One sign for one, each one cell wide, so that nothing moves."""

_LEVELS = dict(zip("▁▂▃▄▅▆▇", "__..-=*", strict=True))
_SHARES = dict(zip("▎▍▌▋▊▉", "......", strict=True))
_TABLE = str.maketrans(
    {chr(code): "?" for code in range(0x2400, 0x2440)}  # pictures of control characters
    | {chr(code): "-" for code in range(0x2500, 0x2580)}  # lines and corners
    | {chr(code): "#" for code in range(0x2580, 0x25A0)}  # blocks
    | {chr(code): "*" for code in range(0x2800, 0x2900)}  # dots
    | dict.fromkeys("│┃║╽╿", "|")
    | dict.fromkeys("┌┐└┘├┤┬┴┼╭╮╰╯╔╗╚╝┏┓┗┛", "+")
    | _SHARES
    | _LEVELS
    | SIGNS
)


class AsciiOnly(LineFilter):
    """Replaces what such a terminal cannot show; letters of other scripts stay, since a font may have them."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with other signs."""
        return [
            segment
            if segment.control or segment.text.isascii()
            else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]
