"""The table of an engine's flags: its rows, and lookups by spelling and by key."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.fields.types import Field

NOTHING = "nothing"
"""The value of `Flag.sets` for a flag that the estimator does not use."""

Read = Callable[[str], object]
"""Turns the text of a value into what the estimator takes; raises `ValueError` for a text that no engine accepts."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of an engine. All code that handles the flag reads this row.

    `spellings`: as the engine's parser accepts them, the one to show first; abbreviations follow the parser's rule and
    are not listed. `built` is the spelling in a command that is built from values, where it is not the first.
    `key`: the key of recipes, of the form and of overrides; `aliases` are other keys that mean the same.
    `switch`: it takes no value, and `off` are the spellings that mean the opposite; a built command uses them for
    false only where the engine switches it on by default (`on_by_default`).
    `words` replaces values by the engine's own words; `only`, when given, lists all values accepted after that.
    `sets`: the field of `memory.settings.EngineSettings` that it sets, read by `read`; a switch sets `value`. A field
    in a record of options is written `RECORD.FIELD`, a part of the speculative configuration `spec.PART`, and
    `NOTHING` says that the estimator does not use it.
    `later` are the words that take the place of the flag, or of a switch that is on, in versions that have it no more.
    `field` describes the key in the form where the shared declarations do not.
    """

    spellings: tuple[str, ...]
    key: str = ""
    aliases: tuple[str, ...] = ()
    built: str = ""
    switch: bool = False
    off: tuple[str, ...] = ()
    words: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    sets: str = ""
    read: Read | None = None
    value: bool = True
    on_by_default: bool = False
    later: tuple[str, ...] = ()
    field: Field | None = None

    @property
    def name(self) -> str:
        """The spelling to show to a person."""
        return self.spellings[0]

    @property
    def in_command(self) -> str:
        """The spelling in a command that is built from values."""
        return self.built or self.name


class FlagTable:
    """The flags of one engine, in the order of a built command."""

    def __init__(self, rows: Sequence[Flag]) -> None:
        self.rows = tuple(rows)

    def __iter__(self) -> Iterator[Flag]:
        return iter(self.rows)

    @cached_property
    def by_spelling(self) -> Mapping[str, Flag]:
        """The row of every spelling, including those that switch off."""
        found: dict[str, Flag] = {}
        for row in self.rows:
            for word in (*row.spellings, *row.off):
                found[word] = row
        return found

    @cached_property
    def by_key(self) -> Mapping[str, Flag]:
        """The row of every declared key and alias."""
        found: dict[str, Flag] = {}
        for row in self.rows:
            for key in (row.key, *row.aliases):
                if key:
                    found.setdefault(key, row)
        return found

    @property
    def declared(self) -> tuple[Flag, ...]:
        """The rows that have a key of their own."""
        return tuple(row for row in self.rows if row.key)

    def spelling_for(self, key: str) -> str:
        """The flag that a key is passed by, as a built command writes it; empty when there is none."""
        row = self.by_key.get(key)
        if row is None:
            return ""
        return row.in_command

    def key_for(self, spelling: str) -> str:
        """The key of a flag, by any of its spellings; empty when it has none."""
        row = self.by_spelling.get(spelling)
        if row is None:
            return ""
        return row.key
