"""What the app remembers from one run to the next: the query, the recipe, the cluster and the theme last used."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import log_line

_LONGEST = 2000
"""Characters of one value that are read; more is damage."""


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last session. Empty texts stand for what is not known."""

    query: str = ""
    recipe: str = ""
    """The stable part of the selected recipe's place."""
    cluster: str = ""
    theme: str = ""
    """The theme chosen in the app."""
    sorting: str = ""
    """By what the list of recipes is sorted: `size-`, `name+`."""
    columns: str = ""
    """The columns that it does not show."""
    sizes: str = ""
    """The shares of its panes, in percent."""
    layout: str = ""
    """Hidden panes, and how logs are shown."""
    theme_then: str = ""
    """The theme of the settings at that time: when the settings name another one, they are newer and win."""


def remembered_file() -> Path:
    """The file of the last session."""
    return paths.state_dir() / "session.json"


def recall() -> Remembered:
    """The last session; a missing or damaged file counts as a first run."""
    try:
        data = json.loads(read_text(remembered_file()))
    except (OSError, ValueError, RecursionError):
        return Remembered()
    if not isinstance(data, dict):
        return Remembered()
    values = {}
    for field in fields(Remembered):
        values[field.name] = _text(data.get(field.name))
    return Remembered(**values)


def _text(value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST:
        return ""
    # The place of a recipe has zero bytes between its parts; all other unprintable characters are dropped.
    return "\0".join(log_line(part) for part in value.split("\0"))


def remember(session: Remembered) -> None:
    """Save a session for the next run; the file is never half written. Raises `OSError`."""
    write_private(remembered_file(), json.dumps(asdict(session), indent=1))
