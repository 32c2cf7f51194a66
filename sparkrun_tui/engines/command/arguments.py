"""An engine's command line read as its own parser would: which flags it gives, and with which values."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from sparkrun_tui.engines.dumps import EngineFlag, EngineFlags, load_flags
from sparkrun_tui.engines.family import Dialect, Family
from sparkrun_tui.engines.flags import Flag

NUMBER = re.compile(r"[+-]?([0-9][0-9_]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?|[+-]?\.[0-9]+")
_NESTED = re.compile(r"^(--?[A-Za-z][\w-]*)\.[\w.+-]+$")
_OPTIMISATION = re.compile(r"^-O(=?[0-9]|\.|$)")
_OPTIMISATION_FLAG = "--optimization-level"


@dataclass(frozen=True, slots=True)
class Given:
    """A flag as a command gives it.

    `word` is as written, `flag` what the engine's own parser knows of it (None when unknown), `row` what our table
    says of it (None when it has no row).
    """

    word: str
    flag: EngineFlag | None
    row: Flag | None
    values: tuple[str, ...] = ()
    attached: bool = False
    """Whether the value stands behind an equals sign."""
    nested: bool = False
    """Whether it sets one key of a JSON flag (`--flag.key value`)."""
    candidates: tuple[EngineFlag, ...] = ()
    """More than one when an abbreviation is ambiguous."""
    negative: bool = False
    """Whether the spelling switches off what the row switches on."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The flags of a command line in order, and the words that belong to none of them."""

    given: tuple[Given, ...]
    loose: tuple[str, ...]

    def last(self, key: str) -> Given | None:
        """The last flag that a key goes to, however it is spelt or shortened; None when it is not given."""
        found = [entry for entry in self.given if entry.row is not None and entry.row.key == key]
        return found[-1] if found else None


def read_arguments(argv: Sequence[str], family: Family) -> Arguments:
    """The flags of an engine's command line; without the words that start the engine, everything is read."""
    return _read(tuple(argv), family)


@lru_cache(maxsize=64)
def _read(argv: tuple[str, ...], family: Family) -> Arguments:
    """Kept, since judging a recipe asks several times for the same command."""
    flags = load_flags(family)
    at = family.dialect.first_argument(argv) or 0
    given: list[Given] = []
    loose: list[str] = []
    while at < len(argv):
        word = argv[at]
        at += 1
        if not is_flag(word):
            loose.append(word)
            continue
        entry = _lookup(word, family, flags)
        if not entry.attached:
            count = _value_count(entry, argv, at)
            entry = replace(entry, values=tuple(argv[at : at + count]))
            at += count
        given.append(entry)
    return Arguments(tuple(given), tuple(loose))


def is_flag(word: str) -> bool:
    """Whether a word of a command line is a flag and not a value: `-1` and `- text` are values."""
    if len(word) < 2 or word[0] != "-":
        return False
    if NUMBER.fullmatch(word):
        return False
    return not any(char.isspace() for char in word.partition("=")[0])


def plain_spelling(word: str, dialect: Dialect) -> str:
    """A flag as the engine's tables spell it."""
    if not dialect.underscores or not word.startswith("--"):
        return word
    head, dot, tail = word.partition(".")
    return "--" + head[2:].replace("_", "-") + dot + tail


def _lookup(word: str, family: Family, flags: EngineFlags) -> Given:
    dialect = family.dialect
    name, equals, value = word.partition("=") if dialect.equals else (word, "", "")
    values = (value,) if equals else ()
    attached = bool(equals)
    if dialect.nested and _OPTIMISATION.match(word):
        attached = word != "-O" and ("=" in word or not word.startswith("-O."))
        flag = flags.by_spelling.get(_OPTIMISATION_FLAG)
        return Given(word, flag, None, attached=attached, nested=word != "-O")
    spelling = plain_spelling(name, dialect)
    nested = _NESTED.match(spelling) if dialect.nested else None
    flag = flags.by_spelling.get(nested[1] if nested else spelling)
    near: tuple[EngineFlag, ...] = ()
    row = family.flags.by_spelling.get(spelling)
    if flag is None and dialect.abbreviations and (row is None or not nested):
        near = flags.starting_with(nested[1] if nested else spelling)
        flag = near[0] if len(near) == 1 else None
    if row is None and flag is not None and not nested:
        row = _row_of(flag, family)
    negative = row is not None and (spelling in row.off or _abbreviates(spelling, row.off, near))
    return Given(name, flag, row, values, attached, nested is not None, near, negative)


def _row_of(flag: EngineFlag, family: Family) -> Flag | None:
    rows = (family.flags.by_spelling.get(word) for word in flag.spellings)
    return next((row for row in rows if row is not None), None)


def _abbreviates(spelling: str, words: Sequence[str], near: Sequence[EngineFlag]) -> bool:
    return bool(near) and any(word.startswith(spelling) for word in words)


def _value_count(entry: Given, argv: Sequence[str], at: int) -> int:
    """How many of the words from `at` on are values of the flag."""
    free = 0
    while at + free < len(argv) and not is_flag(argv[at + free]):
        free += 1
    if entry.nested:
        return min(free, 1)
    flag, row = entry.flag, entry.row
    if flag is None and row is not None:
        return 0 if row.switch else min(free, 1)
    if flag is None:
        # Nobody knows what it takes: all that follows and is no flag.
        return free
    if flag.kind == "open":
        return min(free, 1)
    if flag.kind != "value":
        return 0
    return free if flag.many else min(free, 1)
