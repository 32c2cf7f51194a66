"""A field of the override form: its type, limits and checks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from sparkrun_tui.base.numbers import decimal_of
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.values.overrides import parse_value


class FieldType(StrEnum):
    """How a field is edited and checked."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    TEXT = "text"
    CHOICE = "choice"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Field:
    """One override key: its meaning, type and limits.

    `minimum` and `maximum` are inclusive; `above` is an exclusive lower limit. `values` are known values (all
    allowed ones for a `CHOICE`). `option` is the option of this program's command line for it, such as `--port`.
    `words` are values that are allowed besides numbers, such as `auto`. The flag of a key is in the table of each
    engine (`engines.flags`).
    """

    key: str
    title: str
    type: FieldType
    help: str = ""
    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    step: float = 1
    values: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    option: str = ""
    known: bool = True

    def check(self, text: str) -> str:
        """What is wrong with a typed value, in words; empty when nothing is."""
        word = text.strip()
        if word in self.words or "{" in word:
            return ""
        if self.type in (FieldType.INT, FieldType.FLOAT):
            return self._check_number(word)
        if self.type is FieldType.BOOL and not isinstance(parse_value(word).data, bool):
            return "must be true or false"
        if self.type is FieldType.CHOICE and word not in self.values:
            return f"must be one of {', '.join(self.values)}"
        return ""

    def _check_number(self, word: str) -> str:
        data = _read(word)
        also = ""
        if self.words:
            also = f" or {' or '.join(self.words)}"
        if isinstance(data, bool) or not isinstance(data, (int, float)):
            return f"must be a number{also}"
        if math.isnan(data):
            return f"must be a number{also}"
        if self.type is FieldType.INT and not isinstance(data, int):
            return f"must be a whole number{also}"
        if self.above is not None and data <= self.above:
            return f"must be above {self.above:g}"
        if self.minimum is not None and data < self.minimum:
            return f"must be at least {self.minimum:g}"
        if self.maximum is not None and data > self.maximum:
            return f"must be at most {self.maximum:g}"
        return ""

    def stepped(self, text: str, steps: int) -> str:
        """The value `steps` steps away, kept within the limits; the text itself when it is not a number."""
        if self.type is FieldType.BOOL:
            is_on = parse_value(text).data is True
            return str(not is_on).lower()
        if self.type is FieldType.CHOICE and self.values:
            if text not in self.values:
                return self.values[0]
            index = self.values.index(text) + steps
            return self.values[index % len(self.values)]
        data = decimal_of(parse_value(text.strip()).data)
        if data is None:
            return text
        value = data + self.step * steps
        if self.minimum is not None:
            value = max(value, self.minimum)
        if self.above is not None and value <= self.above:
            value = self.step
        if self.maximum is not None:
            value = min(value, self.maximum)
        if self.type is FieldType.INT:
            return str(round(value))
        return f"{value:.4f}".rstrip("0").rstrip(".")


_CACHED = 40
"""The most characters of a value whose reading is cached: a form checks all values at each keystroke."""


def _read(word: str) -> Any:
    """A value that may be a number, as YAML reads it."""
    return _cached(word) if len(word) <= _CACHED else parse_value(word).data


@lru_cache(maxsize=512)
def _cached(word: str) -> Any:
    return parse_value(word).data


def type_of(value: Value | None) -> FieldType:
    """The type of a field whose default is `value`; text without one."""
    if value is None:
        return FieldType.TEXT
    data = value.data
    if isinstance(data, bool):
        return FieldType.BOOL
    if isinstance(data, int):
        return FieldType.INT
    if isinstance(data, float):
        return FieldType.FLOAT
    if isinstance(data, (list, dict)):
        return FieldType.JSON
    return FieldType.TEXT
