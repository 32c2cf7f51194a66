"""The one reader of JSON from outside: every kind of bad text raises the same error."""

from __future__ import annotations

import json
import re
from typing import Any

_MOST_DIGITS = 40
"""Digits of a whole number that is kept: tokenizer files hold 10**30 for "no limit"."""


_MOST_DEPTH = 100
"""Levels of nested lists and mappings: readers of the data recurse once per level. Published files have ten."""

_BRACKETS = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
"""Strings and brackets. A string that never ends takes the rest: none of its quotes is tried as a beginning."""


class JsonError(ValueError):
    """A text is not JSON, is nested too deeply, or holds a number that no program can use."""


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises `JsonError` for bad syntax, encoding or nesting and for numbers of absurd length. `NaN` and `Infinity` are
    read, since published model configurations contain them; `base.numbers` refuses them where a number is wanted.
    """
    readable = text
    if isinstance(readable, bytes):
        readable = readable.decode("utf-8", "replace")
    if _depth(readable) > _MOST_DEPTH:
        raise JsonError("nested too deeply")
    return parse_flat_json(text)


def parse_flat_json(text: str | bytes) -> Any:
    """The same without counting levels, for readers that do not recurse: the program's own data and large tables.

    Counting takes as long as parsing, and these are read at every start. Raises `JsonError`.
    """
    try:
        return json.loads(text, parse_int=_whole)
    except RecursionError:
        raise JsonError("nested too deeply") from None
    except ValueError as error:
        raise JsonError(str(error)) from None


def _depth(text: str) -> int:
    """How deeply lists and mappings are nested: 0 when the limit cannot be reached, else the exact depth."""
    if text.count("[") + text.count("{") <= _MOST_DEPTH:
        return 0
    deepest = depth = 0
    for found in _BRACKETS.finditer(text):
        mark = text[found.start()]
        if mark in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif mark in "]}":
            depth -= 1
    return deepest


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise JsonError(f"a number of {len(digits)} digits")
    return int(digits)
