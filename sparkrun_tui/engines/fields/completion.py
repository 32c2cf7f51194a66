"""Completion of overrides: values of a key, and `key=value` lines that add a key."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.fields.filled import engine_keys, field_of, spelling_of
from sparkrun_tui.engines.fields.types import FieldType
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.search.completion import Completion
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind
from sparkrun_tui.recipe.values.rendered import value_text
from sparkrun_tui.recipe.values.template import scan

NOT_USED = "not used by the command"
_PART = late_regex(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ValueCompleter:
    """Completes the value of one key.

    An empty line, the line as it was before typing (`before`) and a line that is already one of the choices get all
    other choices: they are values to change, not the beginning of a word.
    """

    recipe: Recipe
    key: str
    before: str = ""

    def complete(self, line: str, cursor: int) -> tuple[Completion, ...]:
        """Known values that begin with the line, then those that contain it."""
        choices = known_values(self.recipe, self.key)
        is_whole_value = line in choices or line == self.before or not line
        if is_whole_value:
            found = [choice for choice in choices if choice != line]
        else:
            found = _matching(choices, line)
        return tuple(Completion(choice, 0, len(line)) for choice in found)


_OF_LAUNCH = (launch_keys.IMAGE, launch_keys.FLAGS, launch_keys.RESTART)
"""Keys of overrides that are not values of the command."""


@dataclass(frozen=True, slots=True)
class KeyCompleter:
    """Completes `key=value` of a key to add; keys may be typed as flags, `--max-model-len`.

    The command's placeholders without a value come first, then the recipe's own keys, then its engine's. An empty line
    gets the placeholders, and the image, the variables and the extra flags of one launch.
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
        if not word:
            found += [key for key in _OF_LAUNCH if key not in recipe.defaults]
        else:
            of_launch = (*_OF_LAUNCH, *(f"{launch_keys.ENV}{name}" for name in recipe.env))
            keys = dict.fromkeys((*found, *recipe.defaults, *engine_keys(recipe), *of_launch, *_parts(recipe)))
            found = _matching(keys, plain_key(word), itself=True)
        completions = []
        for name in found:
            help_text = _as_flag(recipe, name)
            # A command that is built from the values uses every key.
            is_value = launch_keys.kind_of(recipe, name) is Kind.VALUE
            if recipe.command is None or name in slots or not is_value:
                help_text = field_of(recipe, name).help
            completions.append(Completion(f"{name}=", 0, len(line), help_text))
        if not word or launch_keys.ENV.startswith(word):
            completions.append(Completion(launch_keys.ENV, 0, len(line), "A variable for the containers: env.NAME"))
        return tuple(completions)


def _as_flag(recipe: Recipe, key: str) -> str:
    """The help of a key that the command has no place for: the flag that passes it, if the engine has one."""
    family = family_of(recipe.runtime)
    spelling = spelling_of(recipe, key)
    if family is None or spelling not in load_flags(family).by_spelling:
        return NOT_USED
    return f"appends {spelling}: {field_of(recipe, key).help}"


def _parts(recipe: Recipe) -> Iterator[str]:
    """The dotted keys of the parts that the recipe's own mappings have."""
    for key, value in recipe.defaults.items():
        if isinstance(value.data, dict):
            for name in value.data:
                if _PART.fullmatch(str(name)):
                    yield f"{key}.{name}"


def plain_key(word: str) -> str:
    """The key of a word typed as a key or as a flag: `--max-model-len` is `max_model_len`."""
    word = word.strip()
    if not word.startswith("--"):
        return word
    return word[2:].replace("-", "_")


def known_values(recipe: Recipe, key: str) -> tuple[str, ...]:
    """The known values of a key: true and false, the engine's choices, and the recipe's own value."""
    field = field_of(recipe, key)
    if field.type is FieldType.BOOL:
        return ("true", "false")
    if looks_secret(key):
        return field.values
    values = dict.fromkeys((*field.values, *field.words))
    if not values:
        return ()
    own = recipe.defaults.get(key)
    if own is not None:
        values[value_text(own)] = None
    return tuple(values)


def _matching(choices: Iterable[str], text: str, itself: bool = False) -> list[str]:
    """Choices that begin with `text`, then those that contain it; the text itself only with `itself`."""
    part = text.lower()
    beginning: list[str] = []
    containing: list[str] = []
    for choice in choices:
        lower = choice.lower()
        if choice == text and not itself:
            continue
        if lower.startswith(part):
            beginning.append(choice)
        elif part in lower:
            containing.append(choice)
    return beginning + containing
