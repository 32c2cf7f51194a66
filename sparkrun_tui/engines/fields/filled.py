"""The fields of a recipe, filled in from what its engine takes: help, kind and known values of keys nobody declared."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from sparkrun_tui.engines.fields.declared import FIELDS, engine_of, field_for
from sparkrun_tui.engines.fields.types import Field, FieldType
from sparkrun_tui.engines.flag_dumps.dumps import EngineFlag, EngineFlags, flag_help, load_flags
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
    field = field_for(key, recipe.defaults.get(key))
    engine = engine_of(recipe.runtime)
    flags = load_flags(engine)
    spelling = spelling_of(recipe, key)
    flag = flags.by_spelling.get(spelling) if flags else None
    if flags is None or flag is None:
        return field
    told = field.help or flag_help(engine, spelling) or f"Goes to {flags.title} as {flag.name}."
    known = flag.choices or field.values
    if field.known or key in recipe.defaults:
        return replace(field, help=told, values=known)
    return replace(field, help=told, values=known, type=_type_of(flag))


def spelling_of(recipe: Recipe, key: str) -> str:
    """The flag that a key is given to: as the command says, as declared, or spelt like the key; it may not exist."""
    written = _written(recipe.command or "").get(key)
    if written:
        return written
    known = FIELDS.get(key)
    if known is not None:
        return known.flags.get(engine_of(recipe.runtime), "")
    return "--" + key.replace("_", "-")


def engine_keys(recipe: Recipe) -> tuple[str, ...]:
    """The keys an engine takes: the declared ones in the form's order, then its other flags by name."""
    engine = engine_of(recipe.runtime)
    declared = tuple(key for key, field in FIELDS.items() if not engine or engine in field.flags)
    return (*declared, *_undeclared(engine))


def _type_of(flag: EngineFlag) -> FieldType:
    if flag.kind in ("flag", "bool"):
        return FieldType.BOOL
    return FieldType.TEXT if flag.choices else _KINDS.get(flag.type, FieldType.TEXT)


@lru_cache(maxsize=256)
def _written(command: str) -> Mapping[str, str]:
    return {key: flag for flag, key in reversed(_FLAG_OF_SLOT.findall(command))}


@lru_cache(maxsize=4)
def _undeclared(engine: str) -> tuple[str, ...]:
    flags: EngineFlags | None = load_flags(engine)
    if flags is None:
        return ()
    told = {flags.by_spelling.get(field.flags.get(engine, "")) for field in FIELDS.values()}
    names = {flag.name for flag in flags.by_spelling.values() if flag not in told}
    return tuple(sorted(name[2:].replace("-", "_") for name in names if name.startswith("--")))
