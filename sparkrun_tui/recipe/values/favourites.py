"""The recipes that the user has marked as favourites, kept from one session to the next."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.disk.kept_json import read_kept, update_kept

_MOST = 2000
"""More favourites than this are damage."""


def _file() -> Path:
    return paths.state_dir() / "favourites.json"


def favourites() -> frozenset[str]:
    """The lasting places of the favourites; empty where the file is missing or damaged."""
    data = read_kept(_file())
    if not isinstance(data, list) or len(data) > _MOST:
        return frozenset()
    return frozenset(place for place in data if isinstance(place, str))


def change_favourites(places: Collection[str], favourite: bool) -> None:
    """Make recipes favourites, or no longer. Raises `OSError`."""

    def changed(data: object) -> list[str]:
        known = {place for place in data if isinstance(place, str)} if isinstance(data, list) else set()
        known = known | set(places) if favourite else known - set(places)
        return sorted(known)[:_MOST]

    update_kept(_file(), changed)
