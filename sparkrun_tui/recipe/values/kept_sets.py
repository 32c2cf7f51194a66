"""Named sets of overrides that are kept for a recipe: `long context`, `two hosts`."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.kept_json import read_kept, update_kept
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.recipe.model import Recipe, Source
from sparkrun_tui.recipe.values.saved_overrides import lasting_place

LONGEST_NAME = 40
_MOST_SETS = 50
_MOST_VALUES = 1000


def kept_sets(recipe: Recipe) -> dict[str, dict[str, str]]:
    """The sets of a recipe by name, oldest first; what is damaged counts as missing."""
    data = read_kept(_file(recipe.source))
    found: dict[str, dict[str, str]] = {}
    if not isinstance(data, dict):
        return found
    for name, values in list(data.items())[:_MOST_SETS]:
        if not isinstance(values, dict) or len(values) > _MOST_VALUES:
            continue
        shown = clean_line(str(name))[:LONGEST_NAME]
        if shown:
            found[shown] = {str(key): str(text) for key, text in values.items()}
    return found


def keep_set(recipe: Recipe, name: str, overrides: Mapping[str, str]) -> None:
    """Keep overrides under a name, which replaces those that it had. Raises `OSError`."""

    def changed(data: object) -> dict[str, object]:
        known = dict(data) if isinstance(data, dict) else {}
        known[clean_line(name)[:LONGEST_NAME]] = dict(overrides)
        return dict(list(known.items())[-_MOST_SETS:])

    update_kept(_file(recipe.source), changed)


def forget_set(recipe: Recipe, name: str) -> None:
    """Forget a set. Raises `OSError`."""

    def changed(data: object) -> dict[str, object]:
        known = dict(data) if isinstance(data, dict) else {}
        known.pop(name, None)
        return known

    update_kept(_file(recipe.source), changed)


def _file(source: Source) -> Path:
    digest = hashlib.sha256(lasting_place(source).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return paths.state_dir() / "sets" / f"{digest}.json"
