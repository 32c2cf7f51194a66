"""Writes docs/json from the shapes in `sparkrun_tui.cli.shapes`: `./dev schemas`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

from sparkrun_tui.base.quantities import Unit
from sparkrun_tui.cli.shapes.outputs import OUTPUTS
from sparkrun_tui.launch.record.codec import kind_of

ROOT = Path(__file__).parents[2]
_WORDS = {str: "string", bool: "boolean", NoneType: "null"}


def file_name(command: str) -> str:
    """The schema of a command: `recipe vram` becomes `recipe-vram.schema.json`."""
    return command.replace(" --", "-").replace(" ", "-") + ".schema.json"


def schemas() -> dict[str, str]:
    """The text of each schema by its file name."""
    return {file_name(command): _text(command) for command in OUTPUTS}


def write(folder: Path) -> None:
    """Write all schemas, and remove those of commands that are gone."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.schema.json"):
        old.unlink()
    for name, text in schemas().items():
        (folder / name).write_text(text, encoding="utf-8")


def _text(command: str) -> str:
    found = OUTPUTS[command]
    definitions: dict[str, Any] = {}
    body = _schema(found.shape, definitions)
    title = f"`sparkrun-tui {command} --json`"
    if found.lines:
        title = f"Each line of {title}"
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": title, **body}
    whole["$defs"] = {name: definitions[name] for name in sorted(definitions)}
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type. Raises `TypeError` for a number without a unit, and for a type that JSON does not have."""
    origin = get_origin(hint)
    if origin is Annotated:
        return _annotated(hint, definitions)
    if origin in (Union, UnionType):
        return _either(get_args(hint), definitions)
    if origin is Literal:
        return {"enum": list(get_args(hint))}
    if origin in (list, tuple):
        return {"type": "array", "items": _schema(get_args(hint)[0], definitions)}
    if origin in (dict, Mapping):
        return _values(get_args(hint)[1], definitions)
    if hint in _WORDS:
        return {"type": _WORDS[hint]}
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [item.value for item in hint]}
    if is_typeddict(hint) or is_dataclass(hint):
        name = hint.__name__.removesuffix("Json")
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = _object(hint, definitions)
        return {"$ref": f"#/$defs/{name}"}
    raise TypeError(f"{hint} has no schema; a number needs a unit of base.quantities")


def _values(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """An object with keys of any name."""
    if hint is Any:
        return {"type": "object"}
    return {"type": "object", "additionalProperties": _schema(hint, definitions)}


def _annotated(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    inner, *notes = get_args(hint)
    body: dict[str, Any] = {}
    words = [note for note in notes if not isinstance(note, Unit)]
    units = [note for note in notes if isinstance(note, Unit)]
    if words:
        body["description"] = " ".join(words)
    if units:
        (unit,) = units
        return {**body, "type": {int: "integer", float: "number"}[inner], "x-unit": str(unit)}
    return {**body, **_schema(inner, definitions)}


def _either(hints: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    parts = [_schema(hint, definitions) for hint in hints]
    plain = [part for part in parts if isinstance(part.get("type"), str)]
    if len(parts) == 2 and len(plain) == 2 and parts[1] == {"type": "null"}:
        return {**parts[0], "type": [parts[0]["type"], "null"]}
    return {"anyOf": parts}


def _object(shape: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """An object with exactly these fields, all of which are always there."""
    hints = get_type_hints(shape, include_extras=True)
    properties: dict[str, Any] = {}
    names = list(hints)
    if is_dataclass(shape):
        names = [field.name for field in fields(shape)]
        kind = kind_of(shape)
        if kind:
            properties["kind"] = {"const": kind}
    for name in names:
        properties[name] = _schema(hints[name], definitions)
    return {
        "description": " ".join((inspect.getdoc(shape) or "").split()),
        "type": "object",
        "additionalProperties": False,
        "required": list(properties),
        "properties": properties,
    }


if __name__ == "__main__":
    write(Path(sys.argv[1]))
