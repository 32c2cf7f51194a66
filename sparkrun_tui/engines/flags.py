"""The flags of an engine: what one row of its table says, and how the table is looked things up in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from sparkrun_tui.engines.fields.types import Field

NOTHING = "nothing"
"""What a flag sets in the estimator that does not look at it."""

Read = Callable[[str], object]
"""Turns the text of a value into what the estimator takes; raises ValueError for a text that no engine would take."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag of an engine. Everything that knows about it reads this row.

    `spellings`: as the engine's parser takes them, the one to show first; abbreviations are worked out by the parser's
    own rule. `built` is the spelling in a command that is built from values, where it is not the first.
    `key`: the key of recipes, of the form and of overrides; `aliases` are other keys that mean the same.
    `switch`: it takes no value, and `off` are the spellings that mean the opposite; a built command gives them for
    false only where the engine has it on by itself (`on_by_default`).
    `words` replaces values by the engine's own words; `only`, when given, are all values that it takes then.
    `sets`: the field of `memory.settings.EngineSettings` that it sets, read by `read`; a switch sets `value`. For a
    field in a record of options it is `RECORD.FIELD`, for a piece of the speculative configuration `spec.PIECE`, and
    `NOTHING` says that the estimator does not look at it.
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
    """The flags of one engine, in the order in which a built command gives them."""

    def __init__(self, rows: Sequence[Flag]) -> None:
        self.rows = tuple(rows)

    def __iter__(self) -> Iterator[Flag]:
        return iter(self.rows)

    @cached_property
    def by_spelling(self) -> Mapping[str, Flag]:
        """Every spelling, those that switch off too, and its row."""
        return {word: row for row in self.rows for word in (*row.spellings, *row.off)}

    @cached_property
    def by_key(self) -> Mapping[str, Flag]:
        """Every declared key and alias, and the row it stands for."""
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
        """The flag that a key goes to, as a built command writes it; empty when there is none."""
        row = self.by_key.get(key)
        return row.in_command if row is not None else ""

    def key_for(self, spelling: str) -> str:
        """The key of a flag, however it is spelt; empty when it has none."""
        row = self.by_spelling.get(spelling)
        return row.key if row is not None else ""
