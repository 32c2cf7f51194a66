"""The YAML text of a file of settings: parsed within bounds, with the places of its keys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from sparkrun_tui.base.errors import SettingsError, Spot
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.user.kept_settings import Parsed, Place

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_DEPTH = 30
"""Lists and mappings inside one another in a file of settings."""


def plain_yaml(text: str) -> Any:
    """The data of a YAML text. Raises `yaml.YAMLError`, also for what no settings are: too deep, too long, endless.

    This is judged on the events first: building the data may take minutes, and using it for ever.
    """
    counts = _Counts()
    for event in yaml.parse(text, Loader=_LOADER):
        counts.take(event)
    return yaml.load(text, Loader=_LOADER)


_MOST_VALUES = 100_000
"""Values in a file of settings, each counted as often as an alias repeats it."""
_MOST_TEXT = 4 << 20
"""Characters of all texts in a file of settings, each counted as often as an alias repeats it."""
_MOST_DIGITS = 40
_NUMBER = late_regex(r"[-+]?[0-9][0-9A-Fa-fxob_:.]*")
"""What YAML may read as a whole number, to any base: one of many thousand digits takes minutes, and no text."""


class _Counts:
    """Counts the values of a YAML text by its events, what aliases repeat included."""

    def __init__(self) -> None:
        self._open: list[tuple[str, int, int]] = []
        """The lists and mappings around: the anchor of each, and the counts at its beginning."""
        self._sizes: dict[str, tuple[int, int]] = {}
        """The values below each anchor, and the characters of their texts."""
        self._count = 0
        self._length = 0

    def take(self, event: Any) -> None:
        """Count one event. Raises `yaml.YAMLError` when a limit is exceeded."""
        if isinstance(event, (yaml.MappingStartEvent, yaml.SequenceStartEvent)):
            self._open.append((event.anchor or "", self._count, self._length))
            if len(self._open) > _MOST_DEPTH:
                raise yaml.YAMLError(f"lists and mappings are nested more than {_MOST_DEPTH} deep")
            self._add(1, 0)
        elif isinstance(event, (yaml.MappingEndEvent, yaml.SequenceEndEvent)):
            anchor, count, length = self._open.pop()
            self._sizes[anchor] = self._count - count, self._length - length
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event.anchor or "")
        elif isinstance(event, yaml.ScalarEvent):
            self._scalar(event)

    def _alias(self, anchor: str) -> None:
        if any(anchor == around for around, _, _ in self._open):
            raise yaml.YAMLError(f"`*{anchor[:60]}` is inside of what it repeats")
        self._add(*self._sizes.get(anchor, (1, 0)))

    def _scalar(self, event: Any) -> None:
        self._add(1, len(event.value))
        self._sizes[event.anchor or ""] = 1, len(event.value)
        is_text = bool(event.style) and event.tag is None
        if not is_text and len(event.value) > _MOST_DIGITS and _NUMBER.fullmatch(event.value):
            raise yaml.YAMLError(f"`{event.value[:20]}...` is a number of {len(event.value)} digits")

    def _add(self, values: int, length: int) -> None:
        self._count += values
        self._length += length
        if self._length > _MOST_TEXT:
            raise yaml.YAMLError(f"it has more than {_MOST_TEXT >> 20} MiB of text")
        if self._count > _MOST_VALUES:
            raise yaml.YAMLError(f"it has more than {_MOST_VALUES:,} values")


def parse_settings(path: Path, text: str) -> Parsed:
    """The data of a file's text, with the places of its keys. Raises `SettingsError` with file and line."""
    data = _data(path, text)
    places: dict[tuple[str, ...], Place] = {}
    doubles: list[tuple[str, Place]] = []
    if data:
        _visit(yaml.compose(text, Loader=_LOADER), (), set(), places, doubles)
    return Parsed(data, places, doubles[0] if doubles else None)


def _data(path: Path, text: str) -> dict[str, Any]:
    try:
        data = plain_yaml(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        spot = Spot(str(path), mark.line + 1, mark.column + 1) if mark else None
        raise SettingsError(f"not valid YAML: {error.problem}", spot=spot) from error
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        # ValueError: a tag or a number that YAML allows and Python cannot represent.
        raise SettingsError(f"{path} is not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise SettingsError("the settings must be a mapping of keys", spot=Spot(str(path), 1, 1))
    return data


def _visit(
    node: Any,
    at: tuple[str, ...],
    inside: set[int],
    places: dict[tuple[str, ...], Place],
    doubles: list[tuple[str, Place]],
) -> None:
    """Note the places of the keys of a mapping, and of those within it; an alias is followed once."""
    if not isinstance(node, yaml.MappingNode) or id(node) in inside:
        return
    inside.add(id(node))
    for key, value in node.value:
        keys = (*at, str(key.value))
        place = key.start_mark.line + 1, key.start_mark.column + 1
        is_merge = key.tag == "tag:yaml.org,2002:merge"
        if keys in places and not is_merge:
            doubles.append((".".join(keys), place))
        places[keys] = place
        _visit(value, keys, inside, places, doubles)
