"""Matches names against patterns of strangers in a time that no pattern can drive up.

Lists of modules come with wildcards or with regular expressions. The latter are never compiled: the few forms in use
are rewritten as wildcards, and others are unknown.
"""

from __future__ import annotations

from functools import lru_cache

LONGEST_PATTERN = 400
"""Letters of the longest pattern that is read; a longer one matches nothing."""

_MOST_GROUPS = 32
_MOST_GLOBS = 128
"""Wildcards that one expression may stand for; each alternative and each letter of a class makes one."""

_ANY_LETTERS = frozenset("dDwWsS")
_REPEATS = ("*", "+")


class _Unknown(Exception):
    """An expression has a form that is not rewritten."""


def like_glob(pattern: str, name: str) -> bool:
    """Whether a name as a whole matches a pattern in which `*` stands for any letters, also none.

    Each part between two stars is looked for once, from left to right.
    """
    if "*" not in pattern:
        return name == pattern
    if len(pattern) > LONGEST_PATTERN:
        return False
    first, *middle, last = pattern.split("*")
    if not name.startswith(first):
        return False
    at = len(first)
    for part in middle:
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return len(name) - len(last) >= at and name.endswith(last)


@lru_cache(maxsize=512)
def globs_of(expression: str) -> tuple[str, ...] | None:
    """The wildcards that match the names which begin with a match of a regular expression, None for unknown forms.

    Rewritten are letters, alternatives in groups, short classes, and repeats of any letter or digit, which become `*`.
    A point stands for itself: it separates the parts of a module's name.
    """
    if len(expression) > LONGEST_PATTERN or expression.count("(") > _MOST_GROUPS:
        return None
    text = expression.removeprefix("^")
    try:
        found, at = _alternatives(text, 0)
    except _Unknown:
        return None
    if at != len(text):
        return None
    globs = []
    for glob in found:
        globs.append(glob.removesuffix("$") if glob.endswith("$") else f"{glob}*")
    return tuple(dict.fromkeys(globs))


def _alternatives(text: str, at: int) -> tuple[list[str], int]:
    """The wildcards of all alternatives from `at` to the end of their group, and where that is."""
    found: list[str] = []
    while True:
        sequence, at = _sequence(text, at)
        found += sequence
        if len(found) > _MOST_GLOBS:
            raise _Unknown
        if at >= len(text) or text[at] != "|":
            return found, at
        at += 1


def _sequence(text: str, at: int) -> tuple[list[str], int]:
    """The wildcards of one alternative."""
    found = [""]
    while at < len(text) and text[at] not in "|)":
        choices, at = _item(text, at)
        found = [before + choice for before in found for choice in choices]
        if len(found) > _MOST_GLOBS or len(found[0]) > LONGEST_PATTERN:
            raise _Unknown
    return found, at


def _item(text: str, at: int) -> tuple[list[str], int]:
    """The wildcards of one letter, class or group with its repeat."""
    choices, end = _single(text, at)
    repeat = text[end : end + 1]
    if repeat in _REPEATS and repeat:
        if text[at] == "(":
            raise _Unknown
        return ["*"], end + 1
    if repeat == "?":
        return ["", *choices], end + 1
    if repeat == "{":
        raise _Unknown
    return choices, end


def _single(text: str, at: int) -> tuple[list[str], int]:
    """The wildcards of one letter, class or group, without its repeat."""
    letter = text[at]
    if letter == "(":
        start = at + 1
        if text.startswith("?:", start):
            start += 2
        elif text.startswith("?", start):
            raise _Unknown
        found, end = _alternatives(text, start)
        if end >= len(text):
            raise _Unknown
        return found, end + 1
    if letter == "[":
        return _class(text, at)
    if letter == "\\":
        escaped = text[at + 1 : at + 2]
        if escaped in _ANY_LETTERS and escaped:
            return ["*"], at + 2
        if not escaped or escaped.isalnum():
            raise _Unknown
        return [escaped], at + 2
    if letter in "*+?{}]^" or (letter == "$" and at + 1 < len(text) and text[at + 1] not in "|)"):
        raise _Unknown
    return [letter], at + 1


def _class(text: str, at: int) -> tuple[list[str], int]:
    """The letters of a class, one wildcard each."""
    end = text.find("]", at + 2)
    inside = text[at + 1 : end]
    if end < 0 or inside.startswith("^") or "\\" in inside:
        raise _Unknown
    letters = []
    place = 0
    while place < len(inside):
        if inside[place + 1 : place + 2] == "-" and place + 2 < len(inside):
            first, last = ord(inside[place]), ord(inside[place + 2])
            if last - first >= _MOST_GLOBS:
                raise _Unknown
            letters += [chr(code) for code in range(first, last + 1)]
            place += 3
        else:
            letters.append(inside[place])
            place += 1
    return letters, end + 1
