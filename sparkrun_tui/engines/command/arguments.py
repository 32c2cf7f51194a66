"""An engine's command line, read as its own parser would: its flags and their values."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.dumps import EngineFlag, EngineFlags, load_flags
from sparkrun_tui.engines.family import Dialect, Family
from sparkrun_tui.engines.flags import Flag

NUMBER = late_regex(r"[+-]?([0-9][0-9_]*)(\.[0-9]*)?([eE][+-]?[0-9]+)?|[+-]?\.[0-9]+")
_NESTED = late_regex(r"^(--?[A-Za-z][\w-]*)\.[\w.+-]+$")
_OPTIMISATION = late_regex(r"^-O(=?[0-9]|\.|$)")
_OPTIMISATION_FLAG = "--optimization-level"
_CACHED = 80
"""The most letters of a flag whose reading is cached; those of engines have up to fifty."""


@dataclass(frozen=True, slots=True)
class Given:
    """A flag as it appears in a command.

    `word` is as written, `flag` is the flag of the engine's own parser (None when unknown), `row` is its row in our
    table (None when it has none).
    """

    word: str
    flag: EngineFlag | None
    row: Flag | None
    values: tuple[str, ...] = ()
    attached: bool = False
    """Whether the value follows an equals sign."""
    nested: bool = False
    """Whether it sets one key of a JSON flag (`--flag.key value`)."""
    candidates: tuple[EngineFlag, ...] = ()
    """More than one when an abbreviation is ambiguous."""
    negative: bool = False
    """Whether the spelling switches off what the row switches on."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The flags of a command line in order, and the positional words."""

    given: tuple[Given, ...]
    loose: tuple[str, ...]

    def last(self, key: str) -> Given | None:
        """The last flag of a key, in any spelling or abbreviation; None when it is not given."""
        for entry in reversed(self.given):
            if entry.row is not None and entry.row.key == key:
                return entry
        return None


def given_model(arguments: Arguments, family: Family) -> Given | None:
    """The flag that names the model, if it is given."""
    for entry in arguments.given:
        if entry.flag is not None and family.dialect.model_flag in entry.flag.spellings:
            return entry
    return None


def served_model(arguments: Arguments, family: Family) -> str:
    """The model that a command names, by its flag or as its first word; empty where it names none."""
    flagged = given_model(arguments, family)
    if flagged is not None and flagged.values:
        return flagged.values[0]
    if family.dialect.loose is not None and arguments.loose:
        return arguments.loose[0]
    return ""


def read_arguments(argv: Sequence[str], family: Family) -> Arguments:
    """The arguments of an engine's command line. Where no words start the engine, all words are read."""
    return _read(tuple(argv), family)


@lru_cache(maxsize=64)
def _read(argv: tuple[str, ...], family: Family) -> Arguments:
    """The arguments of `argv`, cached: checking a recipe asks several times for the same command."""
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
            if count:
                entry = _with_values(entry, argv[at : at + count])
                at += count
        given.append(entry)
    return Arguments(tuple(given), tuple(loose))


def is_flag(word: str) -> bool:
    """Whether a word of a command line is a flag; `-1` and `- text` are values."""
    if len(word) < 2 or word[0] != "-":
        return False
    if word[1] in "0123456789." and NUMBER.fullmatch(word):
        return False
    name = word.partition("=")[0]
    return name.split() == [name]


def plain_spelling(word: str, dialect: Dialect) -> str:
    """A flag as the engine's tables spell it."""
    if not dialect.underscores or not word.startswith("--"):
        return word
    head, dot, tail = word.partition(".")
    return "--" + head[2:].replace("_", "-") + dot + tail


def meant_spellings(name: str, family: Family) -> tuple[str, ...]:
    """All spellings of the flag that an engine takes `name` for, abbreviations included; only itself where unknown."""
    found = _lookup(name, family, load_flags(family)).flag
    if found is None:
        return (plain_spelling(name, family.dialect),)
    return found.spellings


def flag_of(word: str, family: Family) -> str:
    """The long spelling of the flag that a word of a command line gives, from any spelling or abbreviation of it.

    A word that no flag of the engine fits, or more than one, is only spelt as the engine's tables spell it.
    """
    name = word.partition("=")[0]
    found = _lookup(name, family, load_flags(family)).flag
    if found is None:
        return plain_spelling(name, family.dialect)
    return found.name


def _lookup(word: str, family: Family, flags: EngineFlags) -> Given:
    """The flag that `word` gives, with the value behind its equals sign; values in the next words are not read yet."""
    if family.dialect.nested and _OPTIMISATION.match(word):
        return _optimisation_level(word, flags)
    name, equals, value = word, "", ""
    if family.dialect.equals:
        name, equals, value = word.partition("=")
    entry = _cached(name, family) if len(name) <= _CACHED else _named(name, family)
    if equals:
        return _with_values(entry, (value,), attached=True)
    return entry


@lru_cache(maxsize=1024)
def _cached(name: str, family: Family) -> Given:
    """A flag by its name. A form reads the same flags at each keystroke."""
    return _named(name, family)


def _named(name: str, family: Family) -> Given:
    """A flag by its name, without values."""
    dialect, flags = family.dialect, load_flags(family)
    spelling = plain_spelling(name, dialect)
    row = family.flags.by_spelling.get(spelling)
    # For `--flag.key` the engine's parser looks up `--flag`.
    parent = spelling
    nested = False
    if dialect.nested:
        match = _NESTED.match(spelling)
        if match is not None:
            parent = match[1]
            nested = True
    flag = flags.by_spelling.get(parent)
    near: tuple[EngineFlag, ...] = ()
    declared_nested = nested and row is not None
    if flag is None and dialect.abbreviations and not declared_nested:
        near = flags.starting_with(parent)
        if len(near) == 1:
            flag = near[0]
    if row is None and flag is not None and not nested:
        row = _row_of(flag, family)
    negative = row is not None and _switches_off(spelling, row, abbreviated=bool(near))
    return Given(word=name, flag=flag, row=row, nested=nested, candidates=near, negative=negative)


def _with_values(entry: Given, values: tuple[str, ...], *, attached: bool = False) -> Given:
    """The flag with its values. Written out: `replace` takes several times as long."""
    return Given(
        word=entry.word,
        flag=entry.flag,
        row=entry.row,
        values=values,
        attached=attached,
        nested=entry.nested,
        candidates=entry.candidates,
        negative=entry.negative,
    )


def _optimisation_level(word: str, flags: EngineFlags) -> Given:
    """`-O 2`, `-O2`, `-O=2`, `-O.key 2` or `-O.key=2` of vLLM."""
    flag = flags.by_spelling.get(_OPTIMISATION_FLAG)
    if word == "-O":
        return Given(word, flag, None)
    sets_key = word.startswith("-O.")
    attached = "=" in word or not sets_key
    return Given(word, flag, None, attached=attached, nested=True)


def _row_of(flag: EngineFlag, family: Family) -> Flag | None:
    for word in flag.spellings:
        row = family.flags.by_spelling.get(word)
        if row is not None:
            return row
    return None


def _switches_off(spelling: str, row: Flag, *, abbreviated: bool) -> bool:
    """Whether a spelling is one that switches off, or the beginning of one."""
    if spelling in row.off:
        return True
    if not abbreviated:
        return False
    return any(word.startswith(spelling) for word in row.off)


def _value_count(entry: Given, argv: Sequence[str], at: int) -> int:
    """How many of the words from `at` on are values of the flag."""
    free = 0
    while at + free < len(argv) and not is_flag(argv[at + free]):
        free += 1
    if entry.nested:
        return min(free, 1)
    flag, row = entry.flag, entry.row
    if flag is None and row is not None:
        if row.switch:
            return 0
        return min(free, 1)
    if flag is None:
        # It is not known what it takes: all words up to the next flag.
        return free
    if flag.kind == "open":
        return min(free, 1)
    if flag.kind != "value":
        return 0
    if flag.many:
        return free
    return min(free, 1)
