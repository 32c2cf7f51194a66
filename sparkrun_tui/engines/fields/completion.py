"""Completion of overrides: values of a key, and `key=value` lines that add a key."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.engines.fields.filled import engine_keys, field_of
from sparkrun_tui.engines.fields.types import FieldType
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.search.completion import Completion
from sparkrun_tui.recipe.values.overrides import value_text
from sparkrun_tui.recipe.values.template import scan

NOT_USED = "not used by the command"


@dataclass(frozen=True, slots=True)
class ValueCompleter:
    """Completes the value of one key.

    A line that is empty, or as it was when typing began (`before`), or one of the choices already, is offered all
    the others: it is not the beginning of a word but a value to be changed.
    """

    recipe: Recipe
    key: str
    before: str = ""

    def complete(self, line: str, cursor: int) -> tuple[Completion, ...]:
        """Known values that begin like the line, then those that have it somewhere."""
        choices = known_values(self.recipe, self.key)
        whole = line in choices or line == self.before or not line
        found = [choice for choice in choices if choice != line] if whole else _matching(choices, line)
        return tuple(Completion(choice, 0, len(line)) for choice in found)


@dataclass(frozen=True, slots=True)
class KeyCompleter:
    """Completes `key=value` of a key that is added; keys may be typed as flags, `--max-model-len`.

    First the placeholders of the command that have no value, then the recipe's own keys, then its engine's.
    """

    recipe: Recipe

    def complete(self, line: str, cursor: int) -> tuple[Completion, ...]:
        """Keys before the `=`, the key's known values after it."""
        key, equals, value = line.partition("=")
        if equals:
            values = ValueCompleter(self.recipe, key.strip()).complete(value, len(value))
            return tuple(Completion(f"{key}={found.text}", 0, len(line), found.help) for found in values)
        recipe, word = self.recipe, key.strip()
        slots = dict.fromkeys(slot.key for slot in scan(recipe.command or "", recipe.version == "1").slots)
        found = [slot for slot in slots if slot not in recipe.defaults and slot != "model"]
        if word:
            keys = dict.fromkeys((*found, *recipe.defaults, *engine_keys(recipe)))
            found = _matching(keys, plain_key(word), itself=True)
        used = slots if recipe.command is not None else found
        told = ((name, field_of(recipe, name).help if name in used else NOT_USED) for name in found)
        return tuple(Completion(f"{name}=", 0, len(line), about) for name, about in told)


def plain_key(word: str) -> str:
    """A key as typed, or as the flag it stands for: `--max-model-len` is `max_model_len`."""
    word = word.strip()
    return word[2:].replace("-", "_") if word.startswith("--") else word


def known_values(recipe: Recipe, key: str) -> tuple[str, ...]:
    """The values that are known for a key: yes and no, the engine's choices, and the recipe's own value."""
    field = field_of(recipe, key)
    if field.type is FieldType.BOOL:
        return ("true", "false")
    if looks_secret(key):
        return field.values
    own = recipe.defaults.get(key)
    values = dict.fromkeys((*field.values, *field.words))
    if not values:
        return ()
    return tuple(values) if own is None else tuple(dict.fromkeys((*values, value_text(own))))


def _matching(choices: Iterable[str], text: str, itself: bool = False) -> list[str]:
    """Choices that begin so, then those that have it somewhere; the text itself only when asked for."""
    part = text.lower()
    found = [choice for choice in choices if part in choice.lower() and (itself or choice != text)]
    return sorted(found, key=lambda choice: not choice.lower().startswith(part))
