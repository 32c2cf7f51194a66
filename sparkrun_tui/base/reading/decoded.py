"""Decoded JSON read by the shape it should have: any other shape raises one kind of error."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from itertools import islice

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import MOST, decimal_of, whole_of
from sparkrun_tui.base.records import dataclass

MOST_ITEMS = 200_000
"""The most items that a list may have: the longest, those of a model's files, have some ten thousand."""


class ShapeError(JsonError):
    """A value has another shape than the one it is read by; the message says where."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """A piece of decoded JSON, and its path in the document (`State.ExitCode`).

    A value that is missing or null reads as an empty one. Texts, lists and objects of another shape raise
    `ShapeError`. Numbers and flags never raise: anything that is not a number is unknown.
    """

    data: object
    where: str = ""

    @property
    def missing(self) -> bool:
        """Whether it is null, or was not there."""
        return self.data is None

    def at(self, *keys: str) -> Decoded:
        """The value below `keys`, one level each. Raises `ShapeError` when a level is not an object."""
        found = self
        for key in keys:
            fields = found._object()
            where = key
            if found.where:
                where = f"{found.where}.{key}"
            found = Decoded(fields.get(key), where)
        return found

    def present(self) -> Decoded:
        """This value. Raises `ShapeError` when it is missing."""
        if self.data is None:
            raise ShapeError(f"{self._name} is missing")
        return self

    def items(self, most: int | None = None) -> list[Decoded]:
        """The items of a list, at most the first `most`, all when None.

        Raises `ShapeError` when it is not a list, or longer than `MOST_ITEMS`.
        """
        if self.data is None:
            return []
        if not isinstance(self.data, list):
            raise ShapeError(f"{self._name} is not a list")
        if len(self.data) > MOST_ITEMS:
            raise ShapeError(f"{self._name} has more than {MOST_ITEMS:,} items")
        return [Decoded(item, f"{self.where}[{number}]") for number, item in enumerate(self.data[:most])]

    def fields(self, most: int | None = None) -> dict[str, Decoded]:
        """The fields of an object, at most `most`, all when None. Raises `ShapeError` when it is not an object."""
        return {key: self.at(key) for key in islice(self._object(), most)}

    def having(self, names: Collection[str]) -> frozenset[str]:
        """Those of `names` that are fields of an object. Raises `ShapeError` when it is not an object."""
        fields = self._object()
        return frozenset(name for name in names if name in fields)

    def text(self) -> str:
        """A text, empty when missing. Raises `ShapeError` when it is not a text."""
        if self.data is None:
            return ""
        if not isinstance(self.data, str):
            raise ShapeError(f"{self._name} is not text")
        return self.data

    def texts(self, most: int | None = None) -> tuple[str, ...]:
        """A list of texts, at most the first `most`. Raises `ShapeError` when it is anything else."""
        return tuple(item.text() for item in self.items(most))

    def whole(self, *, least: int = 0, most: int = MOST) -> int | None:
        """A whole number within bounds, None for anything else."""
        return whole_of(self.data, least=least, most=most)

    def decimal(self, *, least: float = -1e18, most: float = 1e18) -> float | None:
        """A finite number within bounds, None for anything else."""
        return decimal_of(self.data, least=least, most=most)

    def is_true(self) -> bool:
        """Whether it is the JSON value `true`."""
        return self.data is True

    @property
    def _name(self) -> str:
        return self.where or "the document"

    def _object(self) -> Mapping[str, object]:
        if self.data is None:
            return {}
        if not isinstance(self.data, dict):
            raise ShapeError(f"{self._name} is not an object")
        return self.data


def decode_json(text: str | bytes) -> Decoded:
    """What a JSON text holds, to be read by its shape. Raises `JsonError`."""
    return Decoded(parse_json(text))
