"""The fields of a recipe, filled in from what its engine takes: help, kind and known values of keys nobody declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from sparkrun_tui.engines.dumps import EngineFlag, flag_help, load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.fields.declared import FIELDS, field_for
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.recipe.model import Recipe

_FLAG_OF_SLOT = re.compile(r"(?<![\w-])(--?[A-Za-z][\w-]*)[ =]+[\"']?\{([A-Za-z_][\w-]*)\}")
"""A flag and the one placeholder that is its value: `--kv-cache-dtype {kv_dtype}`."""
_KINDS = {"int": FieldType.INT, "float": FieldType.FLOAT, "json": FieldType.JSON}


def fields_of(recipe: Recipe, extra: Iterable[str] = ()) -> tuple[Field, ...]:
    """The fields of a recipe's form: well-known keys of its defaults first, then its others, then `extra` keys."""
    keys = dict.fromkeys((*recipe.defaults, *extra))
    ordered = [key for key in FIELDS if key in keys] + [key for key in keys if key not in FIELDS]
    return tuple(field_of(recipe, key) for key in ordered)


def field_of(recipe: Recipe, key: str) -> Field:
    """One key of a recipe: its declaration, with the engine's own values and, where there is no help, the engine's."""
    family = family_of(recipe.runtime)
    if family is None:
        return field_for(key, recipe.defaults.get(key))
    row = family.flags.by_key.get(key)
    declared = row.field if row is not None and row.field is not None else None
    field = declared or field_for(key, recipe.defaults.get(key))
    spelling = spelling_of(recipe, key)
    flag = load_flags(family).by_spelling.get(spelling)
    if flag is None:
        return field
    about = field.help or flag_help(family, spelling) or f"Goes to {family.known_title} as {flag.name}."
    values = flag.choices or field.values
    if field.known or key in recipe.defaults:
        return replace(field, help=about, values=values)
    return replace(field, help=about, values=values, type=_type_of(flag))


def spelling_of(recipe: Recipe, key: str) -> str:
    """The flag that a key is given to: as the command says, as declared, or spelt like the key; it may not exist."""
    written = _written(recipe.command or "").get(key)
    if written:
        return written
    family = family_of(recipe.runtime)
    row = family.flags.by_key.get(key) if family is not None else None
    if row is not None:
        return row.name
    return "" if key in FIELDS else "--" + key.replace("_", "-")


def engine_keys(recipe: Recipe) -> tuple[str, ...]:
    """The keys an engine takes: the declared ones in the form's order, then its other flags by name."""
    family = family_of(recipe.runtime)
    if family is None:
        return tuple(FIELDS)
    declared = [row.key for row in family.flags.declared]
    ordered = [key for key in FIELDS if key in declared]
    return (*ordered, *(key for key in declared if key not in FIELDS), *_undeclared(family))


def _type_of(flag: EngineFlag) -> FieldType:
    if flag.kind in ("flag", "bool"):
        return FieldType.BOOL
    return FieldType.TEXT if flag.choices else _KINDS.get(flag.type, FieldType.TEXT)


@lru_cache(maxsize=256)
def _written(command: str) -> Mapping[str, str]:
    return {key: flag for flag, key in reversed(_FLAG_OF_SLOT.findall(command))}


def _undeclared(family: Family) -> tuple[str, ...]:
    """Keys for the flags of an engine that no declared key goes to, by name."""
    flags = load_flags(family).by_spelling
    declared = {flags.get(word) for row in family.flags.declared for word in row.spellings}
    names = {flag.name for flag in flags.values() if flag not in declared}
    return tuple(sorted(name[2:].replace("-", "_") for name in names if name.startswith("--")))
