"""Small JSON files that this program keeps for itself: read often, changed rarely, and none when damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sparkrun_tui.base.disk.files import read_text, update_private
from sparkrun_tui.base.reading.json_text import parse_json

_MOST_HELD = 300
"""How many files are held in memory."""

_held: dict[Path, tuple[tuple[int, int], Any]] = {}
"""The content of files, with the time and size that they had when they were read."""


def read_kept(path: Path) -> Any:
    """The content of a file, None if unreadable; callers share it and do not change it.

    Cached until the file changes: estimates and plans read at every keystroke.
    """
    try:
        about = path.stat()
        stamp = (about.st_mtime_ns, about.st_size)
        held = _held.get(path)
        if held is None or held[0] != stamp:
            held = (stamp, parse_json(read_text(path)))
            if len(_held) > _MOST_HELD:
                _held.clear()
            _held[path] = held
        return held[1]
    except (OSError, ValueError):
        return None


def update_kept(path: Path, change: Callable[[Any], Any]) -> None:
    """Replace the content of a file with `change` of it (of None when it is missing or damaged). Raises `OSError`."""

    def changed(text: str) -> str:
        try:
            data = parse_json(text)
        except ValueError:
            data = None
        return json.dumps(change(data), indent=1)

    update_private(path, changed)
    _held.pop(path, None)


def keep_newest(data: Any, key: str, entry: Any, most: int) -> dict[str, Any]:
    """The mapping `data` with `entry` as its newest, and of the others the newest; what is no mapping is dropped."""
    known = dict(data) if isinstance(data, dict) else {}
    known.pop(key, None)
    known[key] = entry
    return dict(list(known.items())[-most:])
