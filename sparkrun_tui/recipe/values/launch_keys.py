"""Overrides that are not values of the command: image, variables, parts of a mapping, and flags for the engine.

All overrides are one mapping of keys to texts as typed, so that they are kept, shown, exported and launched again
alike. Most keys are values of the chain. The others are:

- `container`: another image (`--image`),
- `env.NAME`: a variable for the containers (`-e NAME=VALUE`); `${NAME}` in the text is the workstation's,
- `KEY.PART`: one part of a value that is a mapping, a list, or JSON text (`speculative_config.method`),
- `restart_policy`: when Docker restarts the container (`--keep`), as `executor_config.restart_policy` says it,
- `extra_flags`: words that follow the engine's own arguments (behind `--`), quoted as a shell reads them.

A key that the recipe itself has among its defaults is always that value.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import field, replace
from enum import StrEnum
from typing import Any

from sparkrun_tui.base import shell
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.yamltree import compact_json, resolve, scalar_data
from sparkrun_tui.recipe.model import Recipe, Value
from sparkrun_tui.recipe.values.shellwords import engine_end

IMAGE = "container"
FLAGS = "extra_flags"
RESTART = "restart_policy"
KEPT = "unless-stopped"
"""The restart policy that keeps a launch over a restart of its host, until it is stopped."""
ENV = "env."
SECRET_PREFIX = "SPARKRUN_SECRET_"
"""The beginning of variables that replace secret values in commands (see `masking`)."""
SECRET_REFERENCE = late_regex(rf"\$\{{{SECRET_PREFIX}[A-Z0-9_]+\}}")

_MOST_PARTS = 16
"""The most parts of a dotted key."""


class Kind(StrEnum):
    """What an override changes."""

    VALUE = "value"
    IMAGE = "image"
    ENV = "env"
    PART = "part"
    FLAGS = "flags"
    RESTART = "restart"


def kind_of(recipe: Recipe, key: str) -> Kind:
    """What an override of this key changes in this recipe."""
    if key in recipe.defaults:
        return Kind.VALUE
    if key == IMAGE:
        return Kind.IMAGE
    if key == FLAGS and "{" + FLAGS + "}" not in (recipe.command or ""):
        return Kind.FLAGS
    if key == RESTART:
        return Kind.RESTART
    if key.startswith(ENV):
        return Kind.ENV
    if "." in key:
        return Kind.PART
    return Kind.VALUE


@dataclass(frozen=True, slots=True)
class Divided:
    """The overrides of a recipe by what they change; the keys of `env` are the names of the variables."""

    values: Mapping[str, str] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    image: str = ""
    flags: str = ""
    restart: str = ""


def divided(recipe: Recipe, overrides: Mapping[str, str]) -> Divided:
    """The overrides by what they change."""
    values: dict[str, str] = {}
    parts: dict[str, str] = {}
    env: dict[str, str] = {}
    image = flags = restart = ""
    for key, text in overrides.items():
        match kind_of(recipe, key):
            case Kind.VALUE:
                values[key] = text
            case Kind.PART:
                parts[key] = text
            case Kind.ENV:
                env[key.removeprefix(ENV)] = text
            case Kind.IMAGE:
                image = text.strip()
            case Kind.FLAGS:
                flags = text
            case Kind.RESTART:
                restart = text.strip()
    return Divided(values, parts, env, image, flags, restart)


def applied(recipe: Recipe, found: Divided) -> Recipe:
    """The recipe with the image, the variables and the restart policy of one launch."""
    if found.image:
        # It is meant for every host, also for those that the recipe gives an image of their own.
        recipe = replace(recipe, container=found.image, images=())
    if found.env:
        added = {name: Value(text, text) for name, text in found.env.items()}
        recipe = replace(recipe, env={**recipe.env, **added}, given_env=recipe.given_env | frozenset(found.env))
    if found.restart:
        options = {**_options(recipe), RESTART: found.restart}
        recipe = replace(recipe, runtime_config={**recipe.runtime_config, "executor_config": options})
    return recipe


def _options(recipe: Recipe) -> Mapping[str, Any]:
    """The options of the containers, as the recipe has them."""
    options = recipe.runtime_config.get("executor_config")
    return options if isinstance(options, Mapping) else {}


def own_value(recipe: Recipe, key: str) -> Value | None:
    """The value that an override of this key replaces; None where the recipe has none, or the key leads nowhere."""
    match kind_of(recipe, key):
        case Kind.IMAGE:
            return Value(recipe.container, recipe.container) if recipe.container else None
        case Kind.ENV:
            return recipe.env.get(key.removeprefix(ENV))
        case Kind.FLAGS:
            return None
        case Kind.RESTART:
            policy = _options(recipe).get(RESTART)
            return Value(policy, policy) if isinstance(policy, str) else None
        case Kind.PART:
            try:
                return part_of(recipe.defaults.get(root_of(key)), key)
            except PartError:
                # The recipe's problems say so.
                return None
        case Kind.VALUE:
            return recipe.defaults.get(key)


def conditional_keys(recipe: Recipe) -> frozenset[str]:
    """The keys that entries of the recipe's `overrides` set under their conditions."""
    keys: set[str] = set()
    for layer in recipe.layers:
        keys.update(layer.defaults)
        keys.update(ENV + name for name in layer.env)
        if layer.container:
            keys.add(IMAGE)
    return frozenset(keys)


# Parts of a value.


class PartError(ValueError):
    """A dotted key that leads nowhere: the message says why."""


def root_of(key: str) -> str:
    """The key of the chain that a dotted key is a part of."""
    return key.partition(".")[0]


def part_of(value: Value | None, key: str) -> Value | None:
    """The part of a value that a dotted key means; None where there is none yet. Raises `PartError`."""
    if value is None:
        return None
    data: Any = _inside(value, root_of(key))
    for name in key.split(".")[1:]:
        data = _step(data, name, key)
        if data is None:
            return None
    if isinstance(data, (list, dict)):
        return Value(data, compact_json(data))
    if isinstance(data, str):
        return Value(data, data)
    return Value(data, compact_json(data))


def with_part(value: Value | None, key: str, text: str) -> Value:
    """A value with one part replaced, or a new mapping with it. Raises `PartError`.

    The text is read as YAML reads a scalar; JSON text that was a string stays one.
    """
    names = key.split(".")[1:]
    if not all(names) or len(names) > _MOST_PARTS:
        raise PartError(f"`{key}` is not a key: write the parts with one dot between them")
    whole_value: Any = {}
    if value is not None and value.data not in (None, ""):
        whole_value = _inside(value, root_of(key))
    before = part_of(value, key) if value is not None and value.data not in (None, "") else None
    changed = _replaced(whole_value, names, _read(text, before), key)
    written = compact_json(changed)
    if value is not None and isinstance(value.data, str) and value.data:
        return Value(written, written, value.spot)
    return Value(changed, written, value.spot if value is not None else None)


def _read(text: str, before: Value | None) -> Any:
    if before is not None and isinstance(before.data, str):
        return text
    if text[:1] in ("{", "["):
        try:
            return parse_json(text)
        except JsonError:
            return text
    data = scalar_data(text, resolve(text))
    return text if data is None and text not in ("null", "~") else data


def _inside(value: Value, root: str) -> Any:
    """The mapping or list that a value is, or that its JSON text means."""
    data = value.data
    if isinstance(data, str):
        try:
            data = parse_json(data)
        except JsonError:
            data = None
    if not isinstance(data, (list, dict)):
        raise PartError(f"`{root}` is not a mapping: it has no parts to set")
    return data


def _step(data: Any, name: str, key: str) -> Any:
    if isinstance(data, dict):
        return data.get(name)
    if isinstance(data, list):
        return data[_index(data, name, key)]
    raise PartError(f"`{key}` leads into a value that has no parts")


def _index(data: Sequence[Any], name: str, key: str) -> int:
    number = whole(name, least=0, most=max(len(data) - 1, 0))
    if number is None or number >= len(data):
        raise PartError(f"`{key}`: `{name}` is not an item of the list, which has {len(data)} (the first is 0)")
    return number


def _replaced(data: Any, names: Sequence[str], new: Any, key: str) -> Any:
    """A copy of `data` with the part at `names` replaced; mappings on the way are made where there are none."""
    if not names:
        return new
    name, rest = names[0], names[1:]
    if data is None:
        data = {}
    if isinstance(data, dict):
        return {**data, name: _replaced(data.get(name), rest, new, key)}
    if isinstance(data, list):
        number = _index(data, name, key)
        return [*data[:number], _replaced(data[number], rest, new, key), *data[number + 1 :]]
    raise PartError(f"`{key}` leads into a value that has no parts")


# Flags for the engine.


class FlagsError(ValueError):
    """Extra flags that cannot be read, or that the command has no place for: the message says why."""


def flag_words(text: str) -> tuple[str, ...]:
    """The words of extra flags as a shell splits them. Raises `FlagsError`."""
    try:
        words = tuple(shlex.split(text))
    except ValueError:
        raise FlagsError("a quote in the extra flags is not closed") from None
    if words and not words[0].startswith("-"):
        raise FlagsError(f"the extra flags must begin with a flag, not with `{words[0][:40]}`")
    return words


def flags_text(words: Sequence[str]) -> str:
    """Words as the text of the override."""
    return str(shell.words(words))


def with_flags(script: str, words: Sequence[str]) -> str:
    """`script` with words behind the arguments of the command that starts the engine. Raises `FlagsError`."""
    if not words:
        return script
    try:
        found = engine_end(script)
    except ValueError:
        raise FlagsError("the command is not valid shell, so no flags can be added to it") from None
    if found is None:
        raise FlagsError("the command starts no engine that is known here, so no flags can be added to it")
    end, quoted = found
    addition = ""
    for word in words:
        piece = word if SECRET_REFERENCE.fullmatch(word) else str(shell.word(word))
        if quoted and piece != word:
            raise FlagsError(
                f"`{shorten(word, 40)}` needs quotes, which would end those of the `bash -c '...'` of the command"
            )
        addition += f" {piece}"
    follows = script[end : end + 1]
    if follows and not follows.isspace() and follows not in "'\");":
        # Without the blank `8000>log` would become `... 2>log`, which redirects another stream.
        addition += " "
    return script[:end] + addition + script[end:]
