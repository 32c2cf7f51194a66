"""Overrides that are kept per recipe from one session to the next."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind

_SNAPSHOT = late_regex(r"^.*/files-[0-9a-f]+-\d+-\d+/")
"""The folder of one state of a registry in the cache."""

_MOST_KEPT = 1000
"""The most overrides that a file may hold: nobody types more, and each is looked at by every evaluation."""


def saved_overrides(recipe: Recipe) -> dict[str, str]:
    """The overrides kept for a recipe; empty when there are none, or when the file is damaged."""
    try:
        data = parse_json(read_text(_file(recipe.source)))
        found = data["overrides"]
        if len(found) > _MOST_KEPT:
            return {}
        return {str(key): str(text) for key, text in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        # A damaged file counts as none: the recipe opens with its own defaults.
        return {}


def save_overrides(recipe: Recipe, overrides: Mapping[str, str]) -> None:
    """Keep the overrides of a recipe; an empty mapping forgets them. Raises `OSError` when that fails."""
    path = _file(recipe.source)
    if not overrides:
        path.unlink(missing_ok=True)
        return
    body = {"recipe": recipe.name, "path": recipe.source.path, "overrides": dict(overrides)}
    write_private(path, json.dumps(body, ensure_ascii=False, indent=1))


def lasting_place(source: Source) -> str:
    """The stable part of a recipe's place, as a text that is unique for the recipe.

    Bundled recipes move with the installation, those of a registry with each of its updates. A registry is known by
    its address as well: another one that is added under its name later is not given the person's values.
    """
    place = os.path.abspath(source.path)
    if source.kind is SourceKind.BUNDLED:
        place = os.path.basename(source.path)
    elif source.kind is SourceKind.URL:
        place = source.address
    elif source.kind is SourceKind.REGISTRY:
        place = _SNAPSHOT.sub("", place)
    words = [source.kind.value, source.registry, place]
    if source.address:
        words.append(source.address)
    return "\0".join(words)


def _file(source: Source) -> Path:
    digest = hashlib.sha256(lasting_place(source).encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return paths.state_dir() / "overrides" / f"{digest}.json"
