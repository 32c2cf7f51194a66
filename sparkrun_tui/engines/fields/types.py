"""A field of the override form: its type, limits and checks."""

from __future__ import annotations

from enum import StrEnum

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import MOST, decimal, whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.values import PLAIN, Numbers
from sparkrun_tui.recipe.model import Value
from sparkrun_tui.recipe.values.overrides import parse_value

_PLACEHOLDER = late_regex(r"\{[A-Za-z_]\w{0,99}\}")


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
    engine (`engines.flags`), and `numbers` is how the parser of that engine reads its whole numbers.
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
    numbers: Numbers = PLAIN

    def check(self, text: str) -> str:
        """What is wrong with a typed value, in words; empty when nothing is."""
        return self.refusal(text) or self._beyond(text.strip())

    def refusal(self, text: str) -> str:
        """Why the engine's parser cannot read a typed value, in words; empty when it can."""
        word = text.strip()
        if word in self.words:
            return ""
        if self.type is FieldType.JSON:
            return _not_json(word)
        if "{" in word:
            return ""
        if self.type is FieldType.INT:
            return self._not_whole(word)
        if self.type is FieldType.FLOAT and decimal(word) is None:
            return f"must be a number{self._also}"
        if self.type is FieldType.BOOL and not isinstance(parse_value(word).data, bool):
            return "must be true or false"
        if self.type is FieldType.CHOICE and word not in self.values:
            return f"must be one of {', '.join(self.values)}"
        return ""

    def number(self, text: str) -> float | None:
        """The number that a typed value means to the engine; None where it means none."""
        word = text.strip()
        if self.type is not FieldType.INT:
            return decimal(word)
        try:
            return self.numbers.read(word)
        except ValueError:
            return None

    @property
    def _also(self) -> str:
        """The words that are allowed besides numbers, for a message."""
        if not self.words:
            return ""
        return f" or {' or '.join(self.words)}"

    def _not_whole(self, word: str) -> str:
        try:
            found = self.numbers.read(word)
        except ValueError:
            return f"must be {self.numbers.written}{self._also}"
        if self.numbers.ignores_rest and whole(word, least=-MOST) is None:
            return f"must be {self.numbers.written}{self._also}: the engine reads it as {found}"
        return ""

    def _beyond(self, word: str) -> str:
        """Which limit a number exceeds, in words; empty when none."""
        if self.type not in (FieldType.INT, FieldType.FLOAT) or word in self.words:
            return ""
        data = self.number(word)
        if data is None:
            return ""
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
        data = self.number(text)
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


def _not_json(word: str) -> str:
    """Why a text is no JSON, in words; what a shell or a placeholder fills in is not judged."""
    if not word or word == "None" or "$" in word or _PLACEHOLDER.search(word):
        return ""
    try:
        parse_json(word)
    except JsonError as error:
        return f"must be JSON: {error}"
    return ""


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
