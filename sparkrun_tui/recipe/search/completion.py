"""Completion: what it offers, and completion of the query line."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.query import FITS_VALUES, KEYS


@dataclass(frozen=True, slots=True)
class Completion:
    """A text that replaces the characters from `start` to `end` of a line, and its meaning.

    `after` follows the text when nothing else can: a value of a query ends its word.
    """

    text: str
    start: int
    end: int
    help: str = ""
    after: str = ""


class Completer(Protocol):
    """Completes a line."""

    def complete(self, line: str, cursor: int) -> tuple[Completion, ...]:
        """The possible texts at the cursor."""
        ...


_FIXED = {
    "fits": FITS_VALUES,
    "source": ("bundled", "user", "registry"),
    "is": ("favourite", "solo", "cluster", "auto", "moe", "broken", "unlaunchable"),
    "params": (">30b", "<=8b", "10b..40b"),
    "ctx": (">=128k", ">=256k"),
    "has": ("env", "mods", "pre_exec", "executor_config", "model_revision", "speculative_config"),
}


class QueryCompleter:
    """Completes query lines from the values of entries; created once per list of entries."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        values: dict[str, dict[str, int]] = {}

        def count(key: str, value: str) -> None:
            if value:
                found = values.setdefault(key, {})
                found[value] = found.get(value, 0) + 1

        for entry in entries:
            count("runtime", entry.runtime)
            count("dtype", entry.dtype)
            count("registry", entry.source.registry)
            count("nodes", str(entry.nodes))
            count("tp", str(entry.tp))
            for tool in entry.tools:
                count("tool", tool)
        self.values: dict[str, tuple[str, ...]] = {}
        for key, counts in values.items():
            ranked = sorted((-number, value) for value, number in counts.items())
            self.values[key] = tuple(value for _, value in ranked)

    def complete(self, line: str, cursor: int) -> tuple[Completion, ...]:
        """The possible texts at the cursor: keys, all of them before a word begins, or the values of the key there."""
        start = line.rfind(" ", 0, cursor) + 1
        word = line[start:cursor]
        sign = "-" if word.startswith("-") else ""
        key, colon, part = word[len(sign) :].partition(":")
        found = []
        if not colon:
            for name, text in KEYS.items():
                if name.startswith(key.lower()):
                    found.append(Completion(f"{sign}{name}:", start, cursor, text))
            return tuple(found)
        choices = _FIXED.get(key.lower()) or self.values.get(key.lower(), ())
        meaning = KEYS.get(key.lower(), "")
        head, comma, last = part.rpartition(",")
        before = f"{sign}{key}:{head}{comma}"
        for choice in choices:
            if choice.startswith(last.lower()) and choice != last:
                found.append(Completion(f"{before}{choice}", start, cursor, meaning, " "))
        return tuple(found)
