"""Texts that are hard for a pattern, worked out from the pattern itself: its prefixes and its repeats, pumped up."""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from itertools import product
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

_LETTERS = string.ascii_letters + string.digits + " .:-_,/()'\"[]{}=%@`#~\t" + "\x1b\x07\x9d\x90\x9b\u0301\u200b"
_VARIANTS = 24
"""Ways through the branches of one pattern that are tried."""

_TAILS = ("", "!", "\x00 ")
"""What stands at the end: nothing, and what no repeat takes."""

_REPEATS = (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT)


def worst_texts(pattern: re.Pattern[str], length: int) -> Iterator[str]:
    """Texts of about `length` characters that a pattern with a bad repeat takes long for."""
    pumps: dict[tuple[str, str], None] = {}
    for tokens in _flat(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
        _pumps_of(tokens, pattern.flags, pumps)
    for before, pump in pumps:
        for tail in _TAILS:
            yield (before + pump * (length // len(pump) + 1))[:length] + tail


def _pumps_of(tokens: list[Any], flags: int, pumps: dict[tuple[str, str], None]) -> None:
    """Adds (what stands first, what is repeated after it)."""
    before = ""
    for token in tokens:
        if token[0] in _REPEATS and token[1][1] > 8:
            for inner in _flat(token[1][2]):
                for letter in {_sample(inner), *_ends_of_class(inner, flags)} - {""}:
                    pumps[before, letter] = None
                    pumps["", letter] = None
                    if before:
                        # The beginning over and over, with what the repeat takes between.
                        pumps["", before + letter] = None
                        pumps["", before] = None
        before += _sample([token])
    if before:
        pumps["", before] = None
        pumps["", before[:-1] or before] = None
        pumps["", before[: len(before) // 2] or before] = None


def _ends_of_class(tokens: list[Any], flags: int) -> set[str]:
    """A few letters of different kinds that a single class takes."""
    if len(tokens) != 1 or tokens[0][0] not in (ops.IN, ops.ANY, ops.NOT_LITERAL):
        return set()
    taken = [letter for letter in _LETTERS if _takes(tokens[0], letter)]
    return {letter for letter in ("a", "1", " ", ".", "A", ":", "\x1b") if letter in taken} | set(taken[:1])


def _flat(tokens: Any) -> list[list[Any]]:
    """The ways through groups and branches, each as one row of tokens."""
    ways: list[list[list[Any]]] = []
    for token in tokens:
        kind, about = token
        if kind is ops.SUBPATTERN:
            ways.append(_flat(about[3]))
        elif kind is ops.ATOMIC_GROUP:
            ways.append(_flat(about))
        elif kind is ops.BRANCH:
            ways.append([way for branch in about[1] for way in _flat(branch)])
        elif kind in _REPEATS and about[1] <= 8:
            # A part that may be left out: with it and without it.
            inside = _flat(about[2])
            ways.append([*inside, *([[]] if about[0] == 0 else [])])
        elif kind in (ops.ASSERT, ops.ASSERT_NOT, ops.AT):
            continue
        else:
            ways.append([[token]])
    rows = []
    for number, chosen in enumerate(product(*ways)):
        if number >= _VARIANTS:
            break
        rows.append([token for part in chosen for token in part])
    # Of wide branches the product may never reach the later ones: each of them once.
    for place, options in enumerate(ways):
        if 1 < len(options) <= 80 and len(rows) >= _VARIANTS:
            for option in options:
                rows.append([token for at, other in enumerate(ways) for token in (option if at == place else other[0])])
    return rows


def _sample(tokens: list[Any]) -> str:
    """A short text that a row of tokens matches."""
    text = ""
    for kind, about in tokens:
        if kind is ops.LITERAL:
            text += chr(about)
        elif kind in (ops.IN, ops.ANY, ops.NOT_LITERAL):
            text += next((letter for letter in _LETTERS if _takes((kind, about), letter)), "")
        elif kind in _REPEATS:
            text += _sample(_flat(about[2])[0]) * min(max(about[0], 1), 40)
    return text


def _takes(token: Any, letter: str) -> bool:
    kind, about = token
    if kind is ops.ANY:
        return letter != "\n"
    if kind is ops.NOT_LITERAL:
        return ord(letter) != about
    negated = about[0][0] is ops.NEGATE
    return any(_holds(part, value, letter) for part, value in about) is not negated


def _holds(part: Any, value: Any, letter: str) -> bool:
    """Whether a part of a class has a letter."""
    if part is ops.LITERAL:
        return ord(letter) == value
    if part is ops.RANGE:
        return bool(value[0] <= ord(letter) <= value[1])
    return part is ops.CATEGORY and _CATEGORIES[value](letter)


_CATEGORIES = {
    ops.CATEGORY_DIGIT: str.isdigit,
    ops.CATEGORY_NOT_DIGIT: lambda letter: not letter.isdigit(),
    ops.CATEGORY_SPACE: str.isspace,
    ops.CATEGORY_NOT_SPACE: lambda letter: not letter.isspace(),
    ops.CATEGORY_WORD: lambda letter: letter.isalnum() or letter == "_",
    ops.CATEGORY_NOT_WORD: lambda letter: not (letter.isalnum() or letter == "_"),
}


def matching_texts(pattern: re.Pattern[str]) -> list[str]:
    """Short texts, one for each way through a pattern, that it should match (where it looks around, it may not)."""
    return [_sample(tokens) for tokens in _flat(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE))]
