"""Events as JSON objects and back, for the journal on disk and for scripts that read the stream."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, cast

from sparkrun_tui.base.numbers import MOST, decimal_of, whole_of
from sparkrun_tui.launch import events as ev
from sparkrun_tui.launch.events import AnyEvent, LaunchStatus, Repair, StepState
from sparkrun_tui.runtimes.plan import Phase

_KINDS: dict[str, type[Any]] = {
    "began": ev.LaunchBegan,
    "status": ev.StatusChanged,
    "step": ev.StepChanged,
    "progress": ev.Progressed,
    "link": ev.LinkChanged,
    "memory": ev.MemorySeen,
    "fact": ev.EngineFact,
    "notice": ev.Noticed,
    "endpoint": ev.EndpointUp,
    "diagnosis": ev.Diagnosed,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_READERS: dict[tuple[str, str], Any] = {
    ("began", "hosts"): tuple,
    ("status", "status"): LaunchStatus,
    ("step", "phase"): Phase,
    ("step", "state"): StepState,
    ("progress", "phase"): Phase,
    ("diagnosis", "repairs"): lambda items: tuple(Repair(**item) for item in items),
}


def to_json(event: AnyEvent) -> dict[str, Any]:
    """`event` as a JSON object: `kind`, and its fields under their own names."""
    body: dict[str, Any] = {"kind": _NAMES[type(event)]}
    for field in fields(event):
        body[field.name] = _plain(getattr(event, field.name))
    return body


def from_json(body: Mapping[str, Any]) -> AnyEvent | None:
    """The event that `body` holds; None when it is none of ours (a newer kind, a damaged line)."""
    name = str(body.get("kind"))
    kind = _KINDS.get(name)
    if kind is None:
        return None
    known = {field.name for field in fields(kind)}
    try:
        values = {
            key: _READERS[name, key](value) if (name, key) in _READERS else value
            for key, value in body.items()
            if key in known
        }
        event = cast("AnyEvent", kind(**values))
    except (TypeError, ValueError, KeyError):
        return None
    return event if all(_TYPES[str(field.type)](getattr(event, field.name)) for field in fields(kind)) else None


def _texts(values: object) -> bool:
    return isinstance(values, tuple) and all(isinstance(value, str) for value in values)


def _number(value: object) -> bool:
    return decimal_of(value) is not None


def _repairs(values: object) -> bool:
    return isinstance(values, tuple) and all(_texts((item.title, item.why, item.key, item.value)) for item in values)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "str": lambda value: isinstance(value, str),
    "int": lambda value: whole_of(value, least=-MOST) is not None,
    "float": _number,
    "float | None": lambda value: value is None or _number(value),
    "tuple[str, ...]": _texts,
    "tuple[Repair, ...]": _repairs,
    "Mapping[str, str]": lambda value: isinstance(value, Mapping) and _texts((*value, *value.values())),
    "Phase": lambda value: isinstance(value, Phase),
    "StepState": lambda value: isinstance(value, StepState),
    "LaunchStatus": lambda value: isinstance(value, LaunchStatus),
}
"""What the fields of events may hold, by their declared types: a journal may be damaged, or another program's."""


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
