"""The one gate for foreign text: nothing that passes it can control a terminal or hide characters.

`visible` is for what will be executed, `clean_line` for all other foreign text; both show every character. Only
`log_line`, which is for the output of programs, drops characters.
"""

from __future__ import annotations

import json
import re

from sparkrun_tui.base.regexes import late_regex

MAX_LINE = 8192
"""Characters kept of one foreign line; the rest is cut and marked."""

_MOST_RAW = 4 * MAX_LINE
"""Characters of a log line that are read: escapes, such as colours, are a part of them."""

_MAX_COMBINING = 4

# Control strings (OSC, DCS, APC, PM, SOS) run to their terminator, or to the end of the text when it is missing.
_CONTROL_STRINGS = late_regex(r"(?:\x1b[\]P_^X]|[\x9d\x90\x9f\x9e\x98])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|\x1b|$)")
_REPEATED_ESCAPE = late_regex(r"\x1b+(?=\x1b)")
_CSI = late_regex(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?")
_ESCAPES = late_regex(r"\x1b[ -/]*[0-~]?")
_CONTROLS = late_regex(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200c\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff]"
)
_COMBINING_RUN = late_regex(r"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{5,}")

_C0_C1 = late_regex(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
# Controls, formatting characters and blanks that no font draws. Joiners and variation selectors are part of emoji
# behind another symbol, and hidden anywhere else, such as behind a character that is hidden itself. One class at the
# beginning makes a search nine times faster than two alternatives do.
_JOINERS = r"\u200d\ufe0e\ufe0f"
_HIDDEN = late_regex(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f"
    r"\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff"
    r"\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff" + _JOINERS + r"]"
    r"(?<![^\x00-\x7f][" + _JOINERS + r"])[" + _JOINERS + r"]*"
)
_CONTROL_PICTURES = 0x2400
"""The first of the symbols for control characters, which have the same order."""


def _strip(text: str) -> str:
    # Most lines with escapes have only colours. What is printable after these are gone held no other escape, nor any
    # of the characters that are dropped: none of them is printable.
    plain = _CSI.sub("", text)
    if not plain.isprintable():
        plain = _REPEATED_ESCAPE.sub("", text)
        plain = _CONTROL_STRINGS.sub("", plain)
        plain = _CSI.sub("", plain)
        plain = _ESCAPES.sub("", plain)
        plain = _CONTROLS.sub("", plain)
    if plain.isascii():
        return plain
    return _COMBINING_RUN.sub(lambda run: run.group()[:_MAX_COMBINING], plain)


def visible(text: str) -> str:
    """`text` with a symbol for every invisible character: `␛`, `␍`, `\\x9d`, `\\u202e`; nothing is dropped.

    Commands are shown by this rule. Line breaks and tabs stay, and no line is cut.
    """
    if text.isascii() and text.isprintable():
        return text
    return _COMBINING_RUN.sub(_visible_marks, _HIDDEN.sub(_signs, text))


def visible_text(text: str) -> str:
    """`visible`, with tabs as spaces: ready to be drawn, line by line."""
    return visible(text).expandtabs(8)


def visible_line(text: str) -> str:
    """`visible_text` on one line: line breaks are shown as `⏎`."""
    return visible_text(text).replace("\n", "⏎")


def _signs(found: re.Match[str]) -> str:
    return "".join(map(_sign, found.group()))


def _sign(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_CONTROL_PICTURES + code)
    if code == 0x7F:
        return "␡"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    return f"\\U{code:08x}"


def _visible_marks(run: re.Match[str]) -> str:
    marks = run.group()
    return marks[:_MAX_COMBINING] + "".join(f"\\u{ord(mark):04x}" for mark in marks[_MAX_COMBINING:])


def clean_line(text: str) -> str:
    """One foreign line made safe to draw, nothing hidden: symbols as in `visible`, at most `MAX_LINE` characters.

    Line breaks and tabs become spaces; the number of cut characters is stated.
    """
    # A symbol is never shorter than its character, so what is beyond the limit now stays beyond it.
    return _cut(visible_text(text[:MAX_LINE].replace("\n", " ")), len(text) - MAX_LINE)


def clean_text(text: str) -> str:
    """Foreign text of several lines made safe to draw; line breaks stay, each line passes `clean_line`."""
    return "\n".join(clean_line(line) for line in text.replace("\r\n", "\n").split("\n"))


def log_line(text: str) -> str:
    """One line that a program printed, as a terminal would show it: escapes and controls are dropped without a trace.

    A carriage return inside the line overwrites the text before it. Only for logs and the output of programs: text
    that will be executed must pass `visible`, everything else `clean_line`.
    """
    if text.isprintable() and len(text) <= MAX_LINE:
        return text if text.isascii() else _strip(text)
    if "\r" in text:
        text = _last_written(text)
    return _cut(_strip(text[:_MOST_RAW].replace("\n", " ")).expandtabs(8), len(text) - _MOST_RAW)


def _last_written(text: str) -> str:
    """The last piece between carriage returns that is not blank: what a terminal finally shows; empty without one."""
    text = text.rstrip("\r\n")
    end = len(text.rstrip())
    if not end:
        return ""
    start = text.rfind("\r", 0, end) + 1
    stop = text.find("\r", end)
    return text[start:] if stop < 0 else text[start:stop]


def log_text(text: str) -> str:
    """`log_line` for text of several lines, such as the answer of a model."""
    return "\n".join(log_line(line) for line in text.replace("\r\n", "\n").split("\n"))


def answer_text(text: str) -> str:
    """What a model or its user wrote: escapes and controls are dropped, line breaks and tabs stay, nothing is cut.

    For text that is copied and sent back as it was written; what draws it replaces the tabs.
    """
    return text if text.isascii() and text.isprintable() else _strip(text)


def _cut(line: str, left_out: int) -> str:
    """At most `MAX_LINE` characters of a line; those cut here, and `left_out` before if positive, are counted."""
    more = max(len(line) - MAX_LINE, 0) + max(left_out, 0)
    if not more:
        return line
    return f"{line[:MAX_LINE]} … ({more:,} more characters)"


def first_control(text: str) -> int | None:
    """The index of the first control character (C0, DEL, C1) other than a line break or tab; None without one."""
    if text.isprintable():
        return None
    found = _C0_C1.search(text)
    return found.start() if found is not None else None


def first_hidden(text: str) -> int | None:
    """The index of the first character that `visible` replaces by a symbol; None without one."""
    if text.isascii() and text.isprintable():
        return None
    found = _HIDDEN.search(text)
    return found.start() if found is not None else None


def escape_hidden(json_text: str) -> str:
    """A JSON document with every invisible character written as JSON's own escape."""
    return json_text if first_hidden(json_text) is None else _HIDDEN.sub(_json_escape, json_text)


def _json_escape(found: re.Match[str]) -> str:
    return json.dumps(found.group())[1:-1]


def decode(data: bytes) -> str:
    """Foreign bytes as text; never fails: bytes that are not UTF-8 become U+FFFD."""
    return data.decode("utf-8", errors="replace")


def beginning(data: bytes, most: int, *, whole: bool = True) -> str:
    """The beginning of foreign bytes as one line that is safe to draw, with `…` where anything of it was cut.

    The mark matters: before it, the beginning of a secret is hidden as well. `whole` says whether `data` is all.
    """
    taken = data[: 4 * most]
    text = clean_line(decode(taken))
    if not whole or len(taken) < len(data):
        # A character that was cut is not shown as a damaged one.
        text = text.rstrip("\ufffd") + "…"
    if len(text) <= most:
        return text
    return shorten(text, most)


def in_quotes(text: str, most: int) -> str:
    """A foreign line as a message repeats it: in quotes that it cannot end, cut to `most` characters between them.

    What follows is this program's own, and may be advice.
    """
    quoted = shorten(text, most).replace('"', "'")
    return f'"{quoted}"'


def shorten(text: str, most: int) -> str:
    """`text` in at most `most` characters, with `…` where it was cut: for messages.

    Text that is drawn is cut by terminal cells, in `ui.ink` and `cli.output`.
    """
    if len(text) <= most:
        return text
    return text[: max(most - 1, 0)] + "…"[: max(most, 0)]
