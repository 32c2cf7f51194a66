"""C1: no pattern of the program takes more time than its text is long, whatever it is used for.

The patterns are judged by their form, without a clock. One that is ambiguous has two repeats that can share letters,
so that each way to share them is tried when the text does not match in the end.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from typing import Any

import pytest

import sparkrun_tui
from tests.security.log_patterns import READERS, _within
from tests.security.worst_letters import _flat, _takes

MANY = 600
"""Repeats up to this many are taken for bounded."""

ALL_LETTERS = [chr(code) for code in range(128)] + ["é", "•"]

SEPARATE = {
    "engines.checks.validation._ASSIGNED": "a sign stands between the words that `read` is followed by",
    "engines.command.secret_flags._PASSING": "a slash comes first, and one word behind it",
    "models.config.values._FLAT_LIST": "a comma stands between the items",
    "recipe.names.images._REFERENCE": "points, hyphens and slashes stand between the parts",
    "recipe.names.params._FORM": "texts are cut off at 100 characters",
    "recipe.format.pre_exec._MOD": "slashes stand between the parts",
    "recipe.format.quick_read": "the last repeat takes all there is",
    "recipe.format.yamltree._RESOLVERS": "PyYAML's own: signs stand between the digits",
    "recipe.registry.git._PROGRESS_LINE": "a blank stands between the words",
    "recipe.values.saved_overrides._SNAPSHOT": "a path of the program itself",
    "remote.hub.cache._ENTRY": "a quote ends each text, and a backslash comes before a quote within one",
    "remote.hub.cache._PART": "hyphens stand between, and the last one has five digits before it",
}
"""Patterns (or modules) that the check below takes for ambiguous, and why they are not, or meet short texts alone."""


def letters_of(token: Any) -> frozenset[str]:
    """What one token can begin with or hold."""
    kind, about = token
    if kind is ops.LITERAL:
        return frozenset(letter for letter in ALL_LETTERS if ord(letter) == about)
    if kind in (ops.IN, ops.ANY, ops.NOT_LITERAL):
        return frozenset(letter for letter in ALL_LETTERS if _takes(token, letter))
    if kind in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT):
        return frozenset().union(*(letters_of(inner) for way in _flat(about[2]) for inner in way))
    return frozenset()


def is_open(token: Any) -> bool:
    """Whether a token can take any number of letters, and give some of them back."""
    return token[0] in (ops.MAX_REPEAT, ops.MIN_REPEAT) and token[1][1] > MANY


def may_be_empty(token: Any) -> bool:
    return token[0] in (ops.MAX_REPEAT, ops.MIN_REPEAT, ops.POSSESSIVE_REPEAT) and token[1][0] == 0


def is_ambiguous(pattern: re.Pattern[str]) -> bool:
    """Whether two open repeats of a pattern can share letters, with nothing between that keeps them apart."""
    for way in _flat(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
        for first, token in enumerate(way):
            if not is_open(token):
                continue
            shared = letters_of(token)
            for later in way[first + 1 :]:
                both = letters_of(later) & shared
                if both and is_open(later):
                    return True
                if not both and not may_be_empty(later):
                    break
    return False


def patterns_of_all_modules() -> dict[str, list[tuple[str, re.Pattern[str]]]]:
    found: dict[str, list[tuple[str, re.Pattern[str]]]] = {}
    for module in pkgutil.walk_packages(sparkrun_tui.__path__, "sparkrun_tui."):
        if module.name.endswith("__main__"):
            continue
        for name, value in vars(importlib.import_module(module.name)).items():
            found.setdefault(module.name, []).extend((name, each) for each in _within(value, set()))
    return found


def ambiguous_patterns() -> set[str]:
    """The names of those that do not meet lines of logs; those are measured in `test_a12_log_lines`."""
    found = set()
    for module, patterns in patterns_of_all_modules().items():
        if not module.startswith(READERS):
            found |= {f"{module}.{name}" for name, pattern in patterns if is_ambiguous(pattern)}
    return {name.removeprefix("sparkrun_tui.") for name in found}


def test_no_pattern_is_ambiguous() -> None:
    assert sum(map(len, patterns_of_all_modules().values())) > 500
    assert {name for name in ambiguous_patterns() if not name.startswith(tuple(SEPARATE))} == set()


def test_no_exception_is_left_over() -> None:
    found = ambiguous_patterns()
    assert [name for name in SEPARATE if not any(each.startswith(name) for each in found)] == []


def possessive_groups(way: Any) -> int:
    """How many possessive repeats of a parsed pattern repeat more than one letter at a time."""
    found = 0
    for kind, about in way:
        if kind is ops.POSSESSIVE_REPEAT:
            repeated = list(about[2])
            found += len(repeated) != 1 or repeated[0][0] not in (ops.LITERAL, ops.NOT_LITERAL, ops.IN, ops.ANY)
        for part in _parts_of(about):
            found += possessive_groups(part)
    return found


def _parts_of(about: Any) -> Iterator[parser.SubPattern]:
    """The patterns inside of a token."""
    if isinstance(about, parser.SubPattern):
        yield about
    elif isinstance(about, tuple | list):
        for item in about:
            yield from _parts_of(item)


def test_no_group_is_repeated_possessively() -> None:
    """Python before 3.11.5, as Debian 12 has it, matches such a repeat wrongly (python/cpython#106052)."""
    found = set()
    for module, patterns in patterns_of_all_modules().items():
        for name, pattern in patterns:
            if possessive_groups(parser.parse(pattern.pattern, pattern.flags & ~re.UNICODE)):
                found.add(f"{module}.{name}")
    assert found == set()


@pytest.mark.parametrize("pattern", [r"(?:[^%\d]|\d++(?!%))*+%", r"a(?:(?:bc)++|d)", r"(?<=x)(?:ab)?+"])
def test_groups_that_are_repeated_possessively_are_found(pattern: str) -> None:
    assert possessive_groups(parser.parse(pattern))


@pytest.mark.parametrize("pattern", [r"\s*(\d*)\s*x", r"-[a-z]*c[a-z]*", r"(?:.*/)?a.*b", r"\s*(?:x?\s*)y"])
def test_ambiguous_patterns_are_found(pattern: str) -> None:
    assert is_ambiguous(re.compile(pattern))


@pytest.mark.parametrize("pattern", [r"\s*+(\d*)\s*+x", r"-[abd-z]*c[a-z]*", r"[\w.-]+/[\w.-]+", r"(\d+)\.(\d+)"])
def test_clear_patterns_are_not(pattern: str) -> None:
    assert not is_ambiguous(re.compile(pattern))
