"""Git repositories of recipes: add, remove and update them, and list their folders of recipes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError, SparkrunError, UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.model import SourceKind
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.cache import MANIFEST, Snapshot, Update
from sparkrun_tui.recipe.registry.config import (
    NAME,
    PUBLIC,
    Registry,
    check_url,
    configured,
    default_name,
    forget,
    no_registry,
    safe_subpath,
    save,
    url_key,
)
from sparkrun_tui.recipe.registry.parts import PartNames, manifest_entries, part_names
from sparkrun_tui.recipe.search.folders import Folder, is_inside, recipe_files

STALE = 24 * 3600.0
"""Seconds after which a registry is updated again in the background."""

Progress = Callable[[str, str, float | None], None]
"""Called with a registry's name, a phase in words and its progress from 0 to 1 (None when unknown)."""


@dataclass(frozen=True, slots=True)
class RegistryStatus:
    """A configured registry, its cached state, and its folders of recipes."""

    registry: Registry
    snapshot: Snapshot | None
    folders: tuple[Folder, ...]
    recipes: int
    """The number of recipe files in its visible folders."""
    hidden: int = 0
    """The number of recipe files in folders that are not listed; they can be run by name."""

    @property
    def age(self) -> float | None:
        """Seconds since its last fetch, None when it was never fetched."""
        if self.snapshot is None:
            return None
        return max(0.0, time.time() - self.snapshot.fetched)

    @property
    def stale(self) -> bool:
        """Whether it is due for an update in the background."""
        if not self.registry.enabled:
            return False
        return self.age is None or self.age > STALE


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """The result of updating one registry: what changed, or why it failed (the earlier cache is kept then)."""

    registry: Registry
    update: Update | None
    error: SparkrunError | None = None


def registry_folders(settings: Settings) -> list[Folder]:
    """The recipe folders of every enabled registry that has been fetched; none when the configuration is broken."""
    try:
        known, _ = configured()
    except SparkrunError:
        # Recipes from elsewhere must stay usable; `registry list` shows this error.
        return []
    return [folder for _, folders in _named_apart(known) for folder in folders]


def _named_apart(known: Sequence[Registry]) -> list[tuple[Registry, list[Folder]]]:
    """The folders of each enabled registry; a part whose name is another registry's is called `REGISTRY/PART`."""
    names = part_names(known)
    found = []
    for registry in known:
        folders = folders_of(registry) if registry.enabled else []
        found.append((registry, [_named(folder, registry, names) for folder in folders]))
    return found


def _named(folder: Folder, registry: Registry, names: PartNames) -> Folder:
    if folder.registry == registry.name:
        return folder
    return replace(folder, registry=names.shown(registry, folder.registry))


def registry_list() -> list[RegistryStatus]:
    """All configured registries. Raises `SettingsError` when the user's file cannot be read."""
    known, _ = configured()
    return [_status(registry, folders or folders_of(registry)) for registry, folders in _named_apart(known)]


def _status(registry: Registry, folders: Sequence[Folder]) -> RegistryStatus:
    shown = hidden = 0
    for folder in folders:
        count = sum(1 for _ in recipe_files(folder))
        if folder.visible:
            shown += count
        else:
            hidden += count
    return RegistryStatus(registry, registry_cache.snapshot(registry.url), tuple(folders), shown, hidden)


def folders_of(registry: Registry) -> list[Folder]:
    """The recipe folders of one registry: its subpath, else those of its manifest, else `recipes` or the whole."""
    current = registry_cache.snapshot(registry.url)
    if current is None:
        return []
    if registry.subpath:
        return _folder(current, registry, registry.name, registry.subpath, registry.visible)
    declared = _manifest(current.folder / MANIFEST)
    if declared:
        found = []
        for name, subpath, visible in declared:
            if NAME.fullmatch(name) is None:
                name = registry.name
            found += _folder(current, registry, name, subpath, registry.visible and visible)
        return found
    usual = _folder(current, registry, registry.name, "recipes", registry.visible)
    if any(_has_recipes(folder) for folder in usual):
        return usual
    return _folder(current, registry, registry.name, "", registry.visible)


def _has_recipes(folder: Folder) -> bool:
    return next(recipe_files(folder), None) is not None


def _folder(current: Snapshot, registry: Registry, name: str, subpath: str, visible: bool) -> list[Folder]:
    path = current.folder / subpath
    root = os.path.realpath(current.folder)
    # Unlike `Path.is_dir`, this does not raise for a name that is too long.
    if not os.path.isdir(path) or not is_inside(path, root):
        return []
    return [Folder(SourceKind.REGISTRY, path, name, visible, registry.name, registry.url)]


def _manifest(path: Path) -> list[tuple[str, str, bool]]:
    """Name, folder and visibility of each registry that a repository declares; malformed entries are left out."""
    found: dict[str, tuple[str, str, bool]] = {}
    for name, entry in manifest_entries(path):
        if isinstance(entry.get("recipes"), str):
            try:
                subpath = safe_subpath(entry["recipes"])
            except UsageError:
                continue
            # A folder that is declared twice is searched once.
            found.setdefault(subpath, (name, subpath, entry.get("visible") is not False))
    return list(found.values())


def add_registry(url: str, name: str = "", subpath: str = "", progress: Progress | None = None) -> RegistryStatus:
    """Fetch a repository and add it to the user's registries.

    Raises `UsageError` for an invalid address or name, `RecipeError` when it cannot be fetched or has no recipes;
    nothing is added then.
    """
    full = check_url(url)
    known, _ = configured()
    folder = safe_subpath(subpath)
    taken = []
    for other in known:
        if other.identity != (url_key(full), folder):
            taken.append(other.name)
        elif other.origin == "config":
            raise UsageError(f"this repository is already configured as registry `{other.name}`")
    public = None
    for entry in PUBLIC:
        if url_key(entry.url) != url_key(full):
            # The names of the public registries stay reserved while they are removed.
            taken.append(entry.name)
        elif not folder:
            public = entry
    if public is not None and not name and public.name not in taken:
        name, folder = public.name, public.subpath
    chosen = name or default_name(full, taken)
    if NAME.fullmatch(chosen) is None:
        raise UsageError(f"`{shorten(chosen, 60)}` is not a valid name", remedy="use letters, digits, dots and hyphens")
    if chosen.casefold() in map(str.casefold, taken):
        raise UsageError(f"there is already a registry `{chosen}`", remedy="choose another name")
    description = public.description if public is not None else ""
    registry = Registry(chosen, full, folder, description)
    was_cached = registry_cache.snapshot(full) is not None
    registry_cache.fetch(full, _progress_of(progress, chosen))
    status = _status(registry, folders_of(registry))
    if not status.recipes and not status.hidden:
        if not was_cached:
            registry_cache.discard(full)
        where = f" in its folder `{folder}`" if folder else ""
        raise RecipeError(f"{full} has no recipe files{where}", remedy="name the folder with --subpath")
    save(registry)
    return status


def remove_registry(name: str) -> None:
    """Remove a registry and its cache. Raises `UsageError` when there is none of that name."""
    known, _ = configured()
    forget(name)
    rest, _ = configured()
    used = {url_key(other.url) for other in rest}
    for registry in known:
        if registry.name == name and url_key(registry.url) not in used:
            registry_cache.discard(registry.url)


def update_registries(names: Iterable[str] = (), progress: Progress | None = None) -> list[UpdateResult]:
    """Fetch the repositories of all enabled registries, or of those named; each succeeds or fails on its own.

    Raises `UsageError` when a name is unknown.
    """
    known, _ = configured()
    wanted = list(names)
    for name in wanted:
        if name not in {registry.name for registry in known}:
            raise no_registry(name, known)
    results: list[UpdateResult] = []
    done: dict[str, UpdateResult] = {}
    for registry in known:
        is_wanted = registry.name in wanted if wanted else registry.enabled
        if not is_wanted:
            continue
        key = url_key(registry.url)
        if key not in done:
            done[key] = _update(registry, progress)
        results.append(_of_its_own(replace(done[key], registry=registry)))
    return results


def _of_its_own(result: UpdateResult) -> UpdateResult:
    """The result with only the changes of this registry's recipes: repositories contain other YAML files, too."""
    update = result.update
    if update is None:
        return result
    root = str(update.snapshot.folder)
    places = [os.path.relpath(folder.path, root) for folder in folders_of(result.registry)]

    def is_own(path: str) -> bool:
        return any(place == "." or path.startswith(f"{place}/") for place in places)

    added = tuple(filter(is_own, update.added))
    changed = tuple(filter(is_own, update.changed))
    removed = tuple(filter(is_own, update.removed))
    return replace(result, update=replace(update, added=added, changed=changed, removed=removed))


def _update(registry: Registry, progress: Progress | None) -> UpdateResult:
    try:
        return UpdateResult(registry, registry_cache.fetch(registry.url, _progress_of(progress, registry.name)))
    except SparkrunError as error:
        return UpdateResult(registry, None, error)
    except OSError as error:
        failure = RecipeError(f"the cache of {registry.url} cannot be written: {error.strerror or error}")
        return UpdateResult(registry, None, failure)


def _progress_of(progress: Progress | None, name: str) -> Callable[[str, float | None], None] | None:
    if progress is None:
        return None
    return lambda phase, share: progress(name, phase, share)
