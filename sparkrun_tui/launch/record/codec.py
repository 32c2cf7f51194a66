"""Events as JSON objects and back, for the journal on disk and for scripts that read the event stream."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Union, cast, get_args, get_origin, get_type_hints

from sparkrun_tui.base.reading.numbers import MOST, decimal_of, whole_of
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.launch.record import events as ev
from sparkrun_tui.launch.record.events import AnyEvent
from sparkrun_tui.recipe.values.masking import shown_settings

_KINDS: dict[str, type[Any]] = {
    "began": ev.LaunchBegan,
    "status": ev.StatusChanged,
    "step": ev.StepChanged,
    "progress": ev.Progressed,
    "link": ev.LinkChanged,
    "memory": ev.MemorySeen,
    "named": ev.HostNamed,
    "guard": ev.GuardSeen,
    "fact": ev.EngineFact,
    "notice": ev.Noticed,
    "endpoint": ev.EndpointUp,
    "diagnosis": ev.Diagnosed,
}
_HINTS: dict[type[Any], dict[str, Any]] = {kind: get_type_hints(kind) for kind in (*_KINDS.values(), Repair)}
_LATEST = 32_503_680_000.0
"""The year 3000, Unix seconds: calendars cannot show every later moment."""
_NAMES = {kind: name for name, kind in _KINDS.items()}


def to_json(event: AnyEvent) -> dict[str, Any]:
    """`event` as a JSON object: `kind` and the event's fields under their names."""
    body: dict[str, Any] = {"kind": _NAMES[type(event)]}
    for field in fields(event):
        body[field.name] = _plain(getattr(event, field.name))
    return body


def kind_of(event: type[Any]) -> str:
    """The `kind` of a class of events in JSON; empty for another class."""
    return _NAMES.get(event, "")


def from_json(body: Mapping[str, Any]) -> AnyEvent | None:
    """The event in `body`; None when it cannot be read (a newer kind, a damaged line, another shape)."""
    name = str(body.get("kind"))
    kind = _KINDS.get(name)
    if kind is None:
        return None
    if kind is ev.LaunchBegan and isinstance(body.get("settings"), dict):
        # Journals of earlier versions may contain secrets.
        body = {**body, "settings": shown_settings(body["settings"])}
    try:
        event = cast("AnyEvent", _made(kind, body))
    except (TypeError, ValueError):
        return None
    return event if 0 <= event.time < _LATEST else None


def _made(kind: type[Any], body: Mapping[str, Any]) -> Any:
    """A dataclass from its fields. Raises `TypeError` when one is missing, `ValueError` when one has another shape."""
    hints = _HINTS[kind]
    return kind(**{key: _read(value, hints[key]) for key, value in body.items() if key in hints})


def _read(value: Any, hint: Any) -> Any:
    """`value` as the type `hint` of a field. Raises `ValueError` when it does not have that type."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        if value is None:
            return None
        # The only unions here are those with None.
        (other,) = [item for item in inner if item is not NoneType]
        return _read(value, other)
    if origin is tuple:
        if not isinstance(value, list):
            raise ValueError("not a list")
        return tuple(_read(item, inner[0]) for item in value)
    if origin is not None:
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return {key: _read(item, inner[1]) for key, item in value.items()}
    return _single(value, hint)


def _single(value: Any, hint: type[Any]) -> Any:
    """A value that is not a collection. Raises `ValueError` when it does not have the type `hint`."""
    if issubclass(hint, Enum):
        return hint(value)
    if hint is Repair:
        if not isinstance(value, dict):
            raise ValueError("not an object")
        return _made(hint, value)
    if hint is int:
        number: float | None = whole_of(value, least=-MOST)
    elif hint is float:
        number = decimal_of(value)
    elif isinstance(value, hint):
        return value
    else:
        number = None
    if number is None:
        raise ValueError(f"not {hint.__name__}")
    return number


def _plain(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Repair):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value
