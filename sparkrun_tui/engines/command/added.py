"""Values that a recipe's command has no place for: they are passed as flags behind its own (`extra_flags`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.command.arguments import flag_of, is_flag
from sparkrun_tui.engines.command.built import words_for
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.fields.filled import spelling_of
from sparkrun_tui.engines.registry import ENGINES, family_of
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import FlagsError, Kind
from sparkrun_tui.recipe.values.overrides import parse_value
from sparkrun_tui.recipe.values.rendered import Rendered


def has_place(rendered: Rendered, key: str) -> bool:
    """Whether a value of a key reaches the engine, or the launch, by itself."""
    recipe = rendered.original
    kind = launch_keys.kind_of(recipe, key)
    if kind not in (Kind.VALUE, Kind.PART):
        return True
    root = launch_keys.root_of(key) if kind is Kind.PART else key
    if root in rendered.used:
        return True
    engine = ENGINES.get(recipe.runtime)
    if engine is not None and root in engine.applied:
        return True
    if rendered.command is not None or engine is None:
        return False
    # A command that is built from the values has every flag that the engine has.
    return bool(spelling_of(recipe, root))


def added_words(rendered: Rendered, key: str, text: str) -> tuple[str, ...]:
    """The words that pass a value of a key that has no place; empty where the engine has no such flag or value."""
    recipe = rendered.original
    family = family_of(recipe.runtime)
    if family is None or rendered.command is None or launch_keys.kind_of(recipe, key) is not Kind.VALUE:
        return ()
    if launch_keys.kind_of(recipe, launch_keys.FLAGS) is not Kind.FLAGS:
        return ()
    try:
        return words_for(rendered, family, key, parse_value(text))
    except LaunchError:
        # The engine refuses this value.
        return ()


def added_text(rendered: Rendered, key: str, text: str) -> str:
    """The flag as a person would type it: `--kv-cache-dtype fp8`; empty where there is none."""
    words = added_words(rendered, key, text)
    return launch_keys.flags_text(words) if words else ""


def with_value(rendered: Rendered, overrides: Mapping[str, str], key: str, text: str) -> dict[str, str] | None:
    """The overrides with a value that has an effect: of its key, or as a flag behind the command's own.

    A flag that was added before is replaced. None where the command has no place for the key and the engine no flag.
    """
    if has_place(rendered, key):
        return {**overrides, key: text}
    words = added_words(rendered, key, text)
    family = family_of(rendered.original.runtime)
    if not words or family is None:
        return None
    try:
        before = launch_keys.flag_words(overrides.get(launch_keys.FLAGS, ""))
    except FlagsError:
        return None
    kept = {name: value for name, value in overrides.items() if name != key}
    kept[launch_keys.FLAGS] = launch_keys.flags_text((*_without(before, words[0], family), *words))
    return kept


def _without(words: Sequence[str], flag: str, family: Family) -> list[str]:
    """The words without a flag and its values, in any of its spellings."""
    name = flag_of(flag, family)
    kept: list[str] = []
    dropping = False
    for word in words:
        if is_flag(word):
            dropping = flag_of(word, family) == name
        if not dropping:
            kept.append(word)
    return kept
