"""The one reader of JSON from outside: every kind of bad text raises the same error."""

from __future__ import annotations

import json
from typing import Any

_MOST_DIGITS = 40
"""Digits of a whole number that is kept: tokenizer files hold 10**30 for "no limit"."""


_MOST_DEPTH = 100
"""Levels of nested lists and mappings: readers of the data recurse once per level. Published files have ten."""

_MOST_LISTS = 1_000_000
"""The most lists and mappings of one text. The largest published headers have a third of it."""

_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class JsonError(ValueError):
    """A text is not JSON, is nested too deeply, or holds a number that no program can use."""


def parse_json(text: str | bytes) -> Any:
    """What a JSON text holds.

    Raises `JsonError` for bad syntax, encoding or nesting and for numbers of absurd length. `NaN` and `Infinity` are
    read, since published model configurations contain them; `base.numbers` refuses them where a number is wanted.
    """
    if isinstance(text, bytes):
        try:
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        except ValueError as error:
            raise JsonError(str(error)) from None
    count = text.count("[") + text.count("{")
    if count > _MOST_DEPTH:
        brackets = _brackets(text)
        if brackets.count(b"[") > _MOST_LISTS:
            raise JsonError(f"it has more than {_MOST_LISTS:,} lists and mappings")
        if _too_deep(brackets):
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


def _brackets(text: str) -> bytes:
    """The brackets of a text that stand in no string, those of mappings as those of lists.

    A text may be millions of brackets or quotes: a step of this program for each one would take seconds.
    """
    plain = text.encode("utf-8", "surrogatepass").replace(rb"\\", b"").replace(rb"\"", b"")
    # Every second piece between quotes is a string; the last one may have no end.
    return b"".join(plain.split(b'"')[::2]).translate(_ONE_KIND, _NO_BRACKETS)


def _too_deep(brackets: bytes) -> bool:
    """Whether brackets are nested in more levels than the limit, or do not match, which is no JSON either."""
    for _ in range(_MOST_DEPTH):
        # The innermost level goes.
        left = brackets.replace(b"[]", b"")
        if len(left) == len(brackets):
            break
        brackets = left
    return bool(brackets)


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise JsonError(f"a number of {len(digits)} digits")
    return int(digits)
