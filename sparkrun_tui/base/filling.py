"""References in a text filled in, such as the variables of a shell; what comes out of it is bounded."""

from __future__ import annotations

import re
from collections.abc import Callable


class TooLongError(ValueError):
    """What a text becomes is longer than it may be."""


def filled_in(pattern: re.Pattern[str], text: str, value: Callable[[re.Match[str]], str], most: int) -> str:
    """`text` with each match of `pattern` replaced by what `value` says of it; at most `most` characters.

    A short text may name a long value any number of times, so that the length is looked at while it grows.
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
