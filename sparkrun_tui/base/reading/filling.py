"""Fills in the references of a text, such as shell variables; the result is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable


class TooLongError(ValueError):
    """The filled-in text is longer than allowed."""


def filled_in(pattern: re.Pattern[str], text: str, value: Callable[[re.Match[str]], str], most: int) -> str:
    """`text` with each match of `pattern` replaced by what `value` returns for it; at most `most` characters.

    A short text may refer to a long value any number of times, so the length is checked while the text grows.
    Raises `TooLongError`.
    """
    parts: list[str] = []
    length = 0
    at = 0
    for match in pattern.finditer(text):
        for part in (text[at : match.start()], value(match)):
            length += len(part)
            parts.append(part)
        if length > most:
            raise TooLongError(f"longer than {most:,} characters")
        at = match.end()
    parts.append(text[at:])
    if length + len(text) - at > most:
        raise TooLongError(f"longer than {most:,} characters")
    return "".join(parts)
