"""The events of a launch on disk, bounded: when there are too many, those that later ones replace are removed."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk.files import open_append, overwrite, read_bytes
from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.units import MIB
from sparkrun_tui.launch.record.log_files import is_file, write_all

MOST_BYTES = 8 * MIB
"""The size in bytes at which the file is thinned."""

_FIRST, _LAST, _REPLACED = MIB, 2 * MIB, MIB
"""Bytes that are kept of the oldest and of the newest lasting events, and of events that later ones replace."""

_KEPT = {"progress": 1, "link": 1, "fact": 1, "memory": 60, "guard": 60, "notice": 200}
"""Kinds of events that later ones replace, and how many are kept of each kind, host, phase and name."""


class EventFile:
    """Appends events to a file of JSON lines."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle = open_append(path)
        self._torn = False

    def add(self, body: dict[str, Any], *, safely: bool) -> None:
        """Append an event; `safely` waits until it is on the disk. Raises `OSError`."""
        row = (json.dumps(body, ensure_ascii=False) + "\n").encode(errors="replace")
        if not is_file(self._handle, self._path):
            self.close()
            self._handle = open_append(self._path)
        if os.fstat(self._handle).st_size + len(row) > MOST_BYTES:
            self._thin()
        start = b"\n" if self._torn else b""
        self._torn = True
        write_all(self._handle, start + row)
        self._torn = False
        if safely:
            os.fsync(self._handle)

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def _thin(self) -> None:
        kept = thinned(read_bytes(self._path).split(b"\n"))
        overwrite(self._path, b"".join(row + b"\n" for row in kept), 0o600)
        self.close()
        self._handle = open_append(self._path)


def thinned(rows: Sequence[bytes]) -> list[bytes]:
    """The rows to keep, in their order: those that determine the state of the launch, and its beginning."""
    lasting: list[int] = []
    kept: set[int] = set()
    room = _REPLACED
    counts = Counter[tuple[str, ...]]()
    for number in reversed(range(len(rows))):
        row = rows[number]
        key = _written_key(row) or _read_key(row)
        if key is None:
            continue
        kind = key[0]
        if kind not in _KEPT:
            lasting.append(number)
            continue
        counts[key] += 1
        if counts[key] <= _KEPT[kind] and len(row) <= room:
            room -= len(row)
            kept.add(number)
    kept |= _within(lasting, rows, _LAST)
    kept |= _within(lasting[::-1], rows, _FIRST)
    return [rows[number] for number in sorted(kept)]


def _within(numbers: Sequence[int], rows: Sequence[bytes], room: int) -> set[int]:
    """The first of `numbers` whose rows together have at most `room` bytes."""
    kept = set()
    for number in numbers:
        room -= len(rows[number])
        if room < 0:
            break
        kept.add(number)
    return kept


Key = tuple[str, ...]
"""The kind, host, phase and name of an event, empty where it has none."""

_KIND = late_regex(rb'\{"kind": "([a-z]+)", ')
_FIELDS = tuple(late_regex(rb', "%s": "([^"\\]*)"' % field) for field in (b"host", b"phase", b"name"))


def _written_key(row: bytes) -> Key | None:
    """The key of a row in the form in which `EventFile` writes it; None for another form.

    A log may add tens of thousands of events before the file is thinned. To read all of them as JSON takes a second
    and more, in which the app would stand still.
    """
    kind = _KIND.match(row)
    if kind is None or not row.endswith(b"}"):
        return None
    found = [kind[1].decode("ascii")]
    for field in _FIELDS:
        value = field.search(row)
        found.append("" if value is None else value[1].decode(errors="replace"))
    return tuple(found)


def _read_key(row: bytes) -> Key | None:
    """The key of any row; None where it is none of an event."""
    try:
        body = parse_json(row)
    except JsonError:
        return None
    if not isinstance(body, dict):
        return None
    return tuple(str(body.get(field, "")) for field in ("kind", "host", "phase", "name"))
