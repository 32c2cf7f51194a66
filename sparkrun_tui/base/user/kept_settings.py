"""What a file of settings was parsed to, kept with its text: loading the YAML library takes longer than all else here.

A kept parse counts only for the very text that it was made of, and only whole: it begins with a digest of both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.reading.json_text import parse_json

_FORMAT = "1"
_LONGEST = 256 << 10
"""Characters of a kept parse; settings that need more are parsed at every start."""

Place = tuple[int, int]
"""Line and column, from 1."""


class Parsed(NamedTuple):
    """The data of a file of settings, the places of its keys, and the first key that is given twice, with its place."""

    data: dict[str, Any]
    places: Mapping[tuple[str, ...], Place]
    double: tuple[str, Place] | None


def parsed_before(path: Path, text: str) -> Parsed | None:
    """What this text of this file was parsed to by an earlier start; None when that is not known."""
    try:
        digest, _, body = read_text(_file(path), _LONGEST * 2, encoding="ascii").partition("\n")
        if digest != _digest(text, body):
            return None
        kept = parse_json(body)
        places = {tuple(keys): (line, column) for keys, line, column in kept["places"]}
        return Parsed(kept["data"], places, None)
    except (OSError, ValueError, KeyError, TypeError):
        # A damaged file counts as none.
        return None


def keep_parsed(path: Path, text: str, parsed: Parsed) -> None:
    """Keep it for the next start, unless JSON cannot hold it as it is, or it may hold a secret."""
    if parsed.double is not None or not parsed.data or _may_hold_secret(parsed):
        return
    places = [[list(keys), *place] for keys, place in parsed.places.items()]
    try:
        body = json.dumps({"data": parsed.data, "places": places}, separators=(",", ":"))
        # Dates, sets and keys that are numbers would come back as something else.
        if len(body) > _LONGEST or parse_json(body)["data"] != parsed.data:
            return
    except (TypeError, ValueError, RecursionError):
        return
    # Without it the next start is slower.
    with suppress(OSError):
        write_private(_file(path), f"{_digest(text, body)}\n{body}")


def _may_hold_secret(parsed: Parsed) -> bool:
    """Whether a key has the name of a secret: those are written nowhere but in the user's own file."""
    from sparkrun_tui.base.secrets import looks_secret  # needed only when something is kept

    return any(looks_secret(key) for keys in parsed.places for key in keys)


def _digest(text: str, body: str) -> str:
    return hashlib.sha256("\0".join((_FORMAT, text, body)).encode()).hexdigest()


def _file(path: Path) -> Path:
    name = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return paths.cache_dir() / "settings" / f"{name}.json"
