"""The local files of registries' repositories: the one that a recipe belongs to, and the folders of their mods."""

from __future__ import annotations

import os
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError, SparkrunError, UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.cache import MANIFEST, Snapshot
from sparkrun_tui.recipe.registry.config import Registry, configured, safe_subpath, url_key
from sparkrun_tui.recipe.registry.parts import manifest_entries, part_names
from sparkrun_tui.recipe.search.folders import is_inside

EUGR = "https://github.com/eugr/spark-vllm-docker"
"""The repository where mods are searched last: mods began there."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of an enabled registry's repository as last fetched."""

    registry: Registry
    snapshot: Snapshot
    called: frozenset[str]
    """The names that mean it: its own, and those of its parts."""

    @property
    def root(self) -> str:
        """Its folder, links followed."""
        return os.path.realpath(self.snapshot.folder)

    @property
    def is_eugr(self) -> bool:
        """Whether it is eugr's repository of mods."""
        return url_key(self.registry.url) == url_key(EUGR)

    def mods(self, name: str = "") -> list[str]:
        """Its folders of mods, as paths in the repository: those that its manifest names, and `mods`.

        Where `name` is a registry of the manifest, only the folders of that one.
        """
        part = name.removeprefix(f"{self.registry.name}/")
        declared = _declared(self.snapshot.folder / MANIFEST)
        chosen = [folder for owner, folder in declared if owner == part]
        if not chosen:
            chosen = [folder for _, folder in declared]
        return list(dict.fromkeys([*chosen, "mods"]))

    def holds(self, path: str) -> bool:
        """Whether a file is inside it."""
        return is_inside(path, self.root)

    def is_called(self, name: str) -> bool:
        """Whether it is the registry of that name, or has a part of that name that belongs to no other registry."""
        return name in self.called


def checkouts() -> list[Checkout]:
    """Every enabled registry that has been fetched; none when the configuration is broken."""
    try:
        known, _ = configured()
    except SparkrunError:
        # `registry list` shows this error.
        return []
    names = part_names(known)
    found = []
    for registry in known:
        if not registry.enabled:
            continue
        current = registry_cache.snapshot(registry.url)
        if current is None:
            continue
        called = {registry.name}
        for part, _ in manifest_entries(current.folder / MANIFEST):
            called.add(f"{registry.name}/{part}")
            if part != registry.name:
                called.add(names.shown(registry, part))
        found.append(Checkout(registry, current, frozenset(called)))
    return found


def own_root(recipe: Recipe, known: list[Checkout]) -> tuple[str, Checkout | None]:
    """The folder whose files a recipe may copy, links followed: its registry's checkout, else its own folder.

    Raises `RecipeError` for a recipe whose checkout is gone.
    """
    if recipe.source.kind is not SourceKind.REGISTRY:
        return os.path.realpath(os.path.dirname(os.path.abspath(recipe.source.path))), None
    for checkout in known:
        if checkout.holds(recipe.source.path):
            return checkout.root, checkout
    raise RecipeError("the files of its registry are not here any more", remedy="open the recipe again")


def _declared(manifest: Path) -> list[tuple[str, str]]:
    """Name and mods folder of each registry in a manifest that has such a folder."""
    found = []
    for name, entry in manifest_entries(manifest):
        folder = entry.get("mods")
        if not isinstance(folder, str):
            continue
        try:
            folder = safe_subpath(folder)
        except UsageError:
            continue
        if folder:
            found.append((name, folder))
    return found
