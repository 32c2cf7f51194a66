"""The fields of a recipe, completed from its engine's flags: help, type and known values of undeclared keys."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.dumps import EngineFlag, flag_help, load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.fields.declared import FIELDS, field_for
from sparkrun_tui.engines.fields.types import Field, FieldType, type_of
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values import launch_keys
from sparkrun_tui.recipe.values.launch_keys import Kind

_FLAG_OF_SLOT = late_regex(r"(?<![\w-])(--?[A-Za-z][\w-]*)[ =]+[\"']?\{([A-Za-z_][\w-]*)\}")
"""A flag and the one placeholder that is its value: `--kv-cache-dtype {kv_dtype}`."""
_KINDS = {"int": FieldType.INT, "float": FieldType.FLOAT, "json": FieldType.JSON}


def fields_of(recipe: Recipe, extra: Iterable[str] = ()) -> tuple[Field, ...]:
    """The fields of a recipe's form: well-known keys of its defaults first, then its others, then `extra` keys."""
    keys = dict.fromkeys((*recipe.defaults, *extra))
    ordered = [key for key in FIELDS if key in keys] + [key for key in keys if key not in FIELDS]
    return tuple(field_of(recipe, key) for key in ordered)


def field_of(recipe: Recipe, key: str) -> Field:
    """The field of one key of a recipe: its declaration, with the engine's values, and its help where it has none."""
    kind = launch_keys.kind_of(recipe, key)
    if kind is not Kind.VALUE:
        return _of_launch(recipe, key, kind)
    field = field_for(key, recipe.defaults.get(key))
    family = family_of(recipe.runtime)
    if family is None:
        return field
    row = family.flags.by_key.get(key)
    if row is not None and row.field is not None:
        field = row.field
    spelling = spelling_of(recipe, key)
    flag = load_flags(family).by_spelling.get(spelling)
    if flag is None:
        return field
    field = replace(field, numbers=family.dialect.numbers_of(flag.name))
    help_text = field.help or flag_help(family, spelling)
    if not help_text:
        help_text = f"Passed to {family.known_title} as {flag.name}."
    field = replace(field, help=help_text, values=flag.choices or field.values)
    if field.known:
        return field
    if key in recipe.defaults and flag.type not in _KINDS:
        return field
    return replace(field, type=_type_of(flag))


def _of_launch(recipe: Recipe, key: str, kind: Kind) -> Field:
    """The field of an override that is not a value of the command."""
    match kind:
        case Kind.IMAGE:
            return Field(key, "Image", FieldType.TEXT, "The container image of this launch.", option="--image")
        case Kind.FLAGS:
            help_text = "Flags for the engine behind those of the command, as typed in a shell."
            return Field(key, "Extra flags", FieldType.TEXT, help_text, option="--")
        case Kind.RESTART:
            help_text = "When Docker restarts the container; unless-stopped keeps it over a restart of its host."
            values = (launch_keys.KEPT, "always", "on-failure:3", "no")
            return Field(key, "Restart policy", FieldType.TEXT, help_text, values=values, option="--keep")
        case Kind.ENV:
            name = key.removeprefix(launch_keys.ENV)
            help_text = "A variable for the containers; ${NAME} is the value that this workstation has."
            return Field(key, f"Variable {name}", FieldType.TEXT, help_text, option="-e")
    root = launch_keys.root_of(key)
    whole = field_of(recipe, root)
    default = launch_keys.own_value(recipe, key)
    path = key.removeprefix(f"{root}.")
    return Field(key, f"{whole.title}: {path}", type_of(default), f"A part of `{root}`.", known=False)


def spelling_of(recipe: Recipe, key: str) -> str:
    """The flag of a key: as in the command, else as declared, else spelt like the key.

    The last one may not exist. Empty for a declared key that the engine has no flag for.
    """
    written = _written(recipe.command or "").get(key)
    if written:
        return written
    family = family_of(recipe.runtime)
    if family is not None:
        row = family.flags.by_key.get(key)
        if row is not None:
            return row.name
    if key in FIELDS:
        return ""
    return "--" + key.replace("_", "-")


def engine_keys(recipe: Recipe) -> tuple[str, ...]:
    """The keys of an engine: the declared ones in the form's order, then its other flags by name."""
    family = family_of(recipe.runtime)
    if family is None:
        return tuple(FIELDS)
    declared = [row.key for row in family.flags.declared]
    ordered = [key for key in FIELDS if key in declared]
    return (*ordered, *(key for key in declared if key not in FIELDS), *_undeclared(family))


def _type_of(flag: EngineFlag) -> FieldType:
    if flag.kind in ("flag", "bool"):
        return FieldType.BOOL
    if flag.choices:
        return FieldType.TEXT
    return _KINDS.get(flag.type, FieldType.TEXT)


def is_passed(recipe: Recipe, key: str) -> bool:
    """Whether the value of a key becomes that of one flag of the engine, as the engine's parser will read it."""
    family = family_of(recipe.runtime)
    if family is None or launch_keys.kind_of(recipe, key) is not Kind.VALUE:
        return False
    if recipe.command is None:
        return spelling_of(recipe, key) in load_flags(family).by_spelling
    return _written(recipe.command).get(key, "") in load_flags(family).by_spelling


def takes_value(recipe: Recipe, key: str) -> bool:
    """Whether the flag of a key that `is_passed` is followed by a value; an author may put anything behind a switch."""
    family = family_of(recipe.runtime)
    if family is None:
        return False
    flag = load_flags(family).by_spelling.get(spelling_of(recipe, key))
    return flag is not None and flag.kind == "value"


@lru_cache(maxsize=256)
def _written(command: str) -> Mapping[str, str]:
    return {key: flag for flag, key in reversed(_FLAG_OF_SLOT.findall(command))}


def _undeclared(family: Family) -> tuple[str, ...]:
    """Keys for the flags of an engine that have no declared key, sorted."""
    flags = load_flags(family).by_spelling
    declared = set()
    for row in family.flags.declared:
        for word in row.spellings:
            declared.add(flags.get(word))
    keys = set()
    for flag in flags.values():
        if flag not in declared and flag.name.startswith("--"):
            keys.add(plain_flag(flag.name))
    return tuple(sorted(keys))


def plain_flag(name: str) -> str:
    """The key that is spelt like a long flag: `--max-model-len` is `max_model_len`."""
    return name[2:].replace("-", "_")
