"""The one gate for foreign text: nothing that passes it can steer a terminal or hide what it says."""

from __future__ import annotations

import re
import unicodedata

MAX_LINE = 8192
"""Characters kept of one foreign line; the rest is cut and marked."""

_MAX_COMBINING = 4

# Control strings (OSC, DCS, APC, PM, SOS) run to their terminator, or to the end of the text when it is missing.
_CONTROL_STRINGS = re.compile(r"(?:\x1b[\]P_^X]|[\x9d\x90\x9f\x9e\x98])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\x1b|$)")
_REPEATED_ESCAPE = re.compile(r"\x1b+(?=\x1b)")
_CSI = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?")
_ESCAPES = re.compile(r"\x1b[ -/]*[0-~]?")
_CONTROLS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_COMBINING_RUN = re.compile(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}")


def _strip(text: str) -> str:
    text = _REPEATED_ESCAPE.sub("", text)
    text = _CONTROL_STRINGS.sub("", text)
    text = _CSI.sub("", text)
    text = _ESCAPES.sub("", text)
    text = _CONTROLS.sub("", text)
    return _COMBINING_RUN.sub(lambda run: run.group()[:_MAX_COMBINING], text)


def clean_line(text: str) -> str:
    """One foreign line made safe to draw: no escapes, no controls, tabs as spaces, at most `MAX_LINE` characters.

    A carriage return inside the line overwrites what stood before it, as a terminal would show it.
    """
    if text.isprintable() and len(text) <= MAX_LINE:
        return text if text.isascii() else _strip(text)
    if "\r" in text:
        text = next((piece for piece in reversed(text.rstrip("\r\n").split("\r")) if piece.strip()), "")
    text = _strip(text.replace("\n", " ")).expandtabs(8)
    if len(text) > MAX_LINE:
        text = f"{text[:MAX_LINE]} … ({len(text) - MAX_LINE:,} more characters)"
    return text


def clean_text(text: str) -> str:
    """Foreign text of several lines made safe to draw; line breaks stay, each line passes `clean_line`."""
    return "\n".join(clean_line(line) for line in text.replace("\r\n", "\n").split("\n"))


def decode(data: bytes) -> str:
    """Foreign bytes as text, never failing: what is not UTF-8 becomes U+FFFD."""
    return data.decode("utf-8", errors="replace")


def shorten(text: str, width: int) -> str:
    """`text` in at most `width` terminal cells, with `…` where it was cut."""
    if cell_width(text) <= width:
        return text
    if width <= 1:
        return "…"[:width]
    kept, used = [], 0
    for char in text:
        used += cell_width(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def cell_width(text: str) -> int:
    """How many terminal cells `text` takes (wide East Asian characters take two, combining marks none)."""
    if text.isascii():
        return len(text)
    return sum(_char_width(char) for char in text)


def _char_width(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
