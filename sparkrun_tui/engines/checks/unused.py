"""Defaults and overrides that a recipe's command does not use, and how they are made to have an effect."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base import shell
from sparkrun_tui.base.secrets import looks_secret
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.command.added import added_text
from sparkrun_tui.engines.command.arguments import Given, read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.model import Problem, Severity, Value
from sparkrun_tui.recipe.suggestions import did_you_mean
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind
from sparkrun_tui.recipe.values.masking import gives_secret
from sparkrun_tui.recipe.values.rendered import Rendered, value_text

_NOT_IN_COMMANDS = frozenset({"tensor_parallel", "pipeline_parallel", "data_parallel"})
"""Keys that decide about hosts even when the command does not use them."""
_MOST_SHOWN = 60


def unused_defaults(rendered: Rendered) -> Iterator[Problem]:
    """A problem for each default that the command does not use: changing it changes nothing.

    It is a note where the command gives the same value in a flag of its own, since the default then holds.
    """
    recipe = rendered.recipe
    if recipe.command is None:
        return
    conditions: set[str] = set()
    for layer in recipe.original.layers:
        conditions.update(layer.when.get("config", {}))
    family = family_of(recipe.runtime)
    for key, value in recipe.defaults.items():
        if key in rendered.used or key in conditions or key in rendered.overrides:
            continue
        message = f"`{key}` is not used by the command"
        severity = Severity.WARNING
        remedy = ""
        flag = _flag_of(key, family)
        given = _given(key, flag, rendered, family)
        if given is not None and _says(given, flag, value):
            severity = Severity.NOTE
            message += f", which has `{_shown(given)}` of its own"
        elif given is not None:
            message += f", which says `{_shown(given)}`"
            remedy = _placeholder_for(given, key)
        elif flag and value.data is not False:
            several = family is not None and _takes_several(flag, family)
            remedy = f"add `{_with_placeholder(flag, key, value, several=several)}` to the command"
        if key in _NOT_IN_COMMANDS and recipe.min_nodes == recipe.max_nodes:
            severity = Severity.NOTE
        spot = recipe.spots.get(f"defaults.{key}") or value.spot
        yield Problem(severity, "unused-default", message, spot, remedy)


def unused_overrides(rendered: Rendered) -> Iterator[Problem]:
    """A warning for each override that changes nothing, with the flag that passes its value."""
    if rendered.command is None:
        return
    recipe = rendered.original
    for key, text in rendered.overrides.items():
        kind = launch_keys.kind_of(recipe, key)
        if kind not in (Kind.VALUE, Kind.PART):
            continue
        root = launch_keys.root_of(key) if kind is Kind.PART else key
        if root in rendered.used:
            continue
        message = f"`{key}` is not used by the command"
        yield Problem(Severity.WARNING, "unused-override", message, None, _remedy(rendered, key, text))


def _remedy(rendered: Rendered, key: str, text: str) -> str:
    """How a value that the command has no place for is passed, or which key was meant."""
    near = ""
    if key not in rendered.original.defaults:
        near = did_you_mean(launch_keys.root_of(key), {*rendered.used, launch_keys.IMAGE})
    if near:
        return near
    typed = "VALUE" if looks_secret(key) else text
    flag = added_text(rendered, key, typed)
    if not flag:
        return ""
    return f"add its flag behind those of the command: -- {shorten(flag, _MOST_SHOWN)}"


def _flag_of(key: str, family: Family | None) -> str:
    """The flag that a key stands for: its row's, else one that is spelt like it; empty where there is none."""
    if family is None:
        return ""
    row = family.flags.by_key.get(key)
    if row is not None:
        return row.in_command
    spelling = f"--{key.replace('_', '-')}"
    if spelling in load_flags(family).by_spelling:
        return spelling
    return ""


def _given(key: str, flag: str, rendered: Rendered, family: Family | None) -> Given | None:
    """The flag of a key in the command, the last one where it is given more than once."""
    if family is None or not flag:
        return None
    words = serve_words(rendered, family)
    if not family.dialect.starts(words):
        return None
    wanted = load_flags(family).by_spelling.get(flag)
    for entry in reversed(read_arguments(words, family).given):
        if entry.nested:
            continue
        if entry.row is not None and entry.row is family.flags.by_key.get(key):
            return entry
        if entry.flag is not None and entry.flag is wanted:
            return entry
    return None


def _says(given: Given, flag: str, value: Value) -> bool:
    """Whether a flag of the command, which is `flag` in some spelling, gives this value."""
    if not given.values:
        is_off = given.negative or (given.word.startswith("--no-") and not flag.startswith("--no-"))
        return value.data is not is_off and isinstance(value.data, bool)
    return " ".join(given.values) == value_text(value)


def _shown(given: Given) -> str:
    """A flag with its values, cut for a message; without them where they may be a secret."""
    if any(gives_secret(given.word.lstrip("-"), value) for value in given.values):
        return given.word
    if given.attached:
        return shorten(f"{given.word}={given.values[0]}", _MOST_SHOWN)
    return shorten(" ".join((given.word, *given.values)), _MOST_SHOWN)


def _placeholder_for(given: Given, key: str) -> str:
    """How the command is made to use the key; empty for a switch, which has no place for a value."""
    if not given.values:
        return ""
    between = "=" if given.attached else " "
    return f"write `{given.word}{between}{{{key}}}`"


def _takes_several(flag: str, family: Family) -> bool:
    """Whether several values may follow a flag, each a word of its own."""
    found = load_flags(family).by_spelling.get(flag)
    return found is not None and found.many


def _with_placeholder(flag: str, key: str, value: Value, *, several: bool) -> str:
    """A flag to add to the command: a switch alone, else with the placeholder, quoted where a shell needs it."""
    if value.data is True:
        return flag
    text = value_text(value)
    if several:
        text = text.replace(" ", "")
    if shell.word(text) != text and isinstance(value.data, str):
        return f"{flag} '{{{key}}}'"
    return f"{flag} {{{key}}}"
