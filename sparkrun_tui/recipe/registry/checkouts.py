"""What is here of the repositories of registries: where a recipe's own lies, and the folders of their mods."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError, SparkrunError, UsageError
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry.cache import MANIFEST, Snapshot
from sparkrun_tui.recipe.registry.config import Registry, configured, safe_subpath, url_key
from sparkrun_tui.recipe.registry.parts import manifest_entries, part_names
from sparkrun_tui.recipe.search.folders import is_inside

EUGR = "https://github.com/eugr/spark-vllm-docker"
"""The repository in which mods are looked for that no other has: they began there."""


@dataclass(frozen=True, slots=True)
class Checkout:
    """The files of an enabled registry's repository as last fetched."""

    registry: Registry
    snapshot: Snapshot
    called: frozenset[str]
    """The names by which it may be meant: its own, and those of its parts."""

    @property
    def root(self) -> str:
        """Its folder, links followed."""
        return os.path.realpath(self.snapshot.folder)

    @property
    def is_eugr(self) -> bool:
        """Whether it is eugr's repository of mods."""
        return url_key(self.registry.url) == url_key(EUGR)

    def mods(self, name: str = "") -> list[str]:
        """Its folders of mods: those that its manifest names, of the registry `name` alone where it is one, and `mods`.

        Paths in the repository.
        """
        part = name.removeprefix(f"{self.registry.name}/")
        declared = _declared(self.snapshot.folder / MANIFEST)
        chosen = [folder for owner, folder in declared if owner == part] or [folder for _, folder in declared]
        return list(dict.fromkeys([*chosen, "mods"]))

    def holds(self, path: str) -> bool:
        """Whether a file lies in it."""
        return is_inside(path, self.root)

    def is_called(self, name: str) -> bool:
        """Whether it is the registry of that name, or has a part of that name which is no other registry's."""
        return name in self.called


def checkouts() -> list[Checkout]:
    """Every enabled registry that has been fetched; a broken configuration brings none."""
    try:
        known, _ = configured()
    except SparkrunError:
        # `registry list` shows this error.
        return []
    names = part_names(known)
    found = []
    for registry in known:
        current = registry_cache.snapshot(registry.url) if registry.enabled else None
        if current is not None:
            parts = [name for name, _ in manifest_entries(current.folder / MANIFEST)]
            shown = (names.shown(registry, part) for part in parts if part != registry.name)
            in_full = (f"{registry.name}/{part}" for part in parts)
            found.append(Checkout(registry, current, frozenset({registry.name, *shown, *in_full})))
    return found


def own_root(recipe: Recipe, known: list[Checkout]) -> tuple[str, Checkout | None]:
    """The folder whose files a recipe may bring, links followed: its registry's checkout, else the one it lies in.

    Raises `RecipeError` for a recipe whose checkout is gone.
    """
    if recipe.source.kind is not SourceKind.REGISTRY:
        return os.path.realpath(os.path.dirname(os.path.abspath(recipe.source.path))), None
    own = next((checkout for checkout in known if checkout.holds(recipe.source.path)), None)
    if own is None:
        raise RecipeError("the files of its registry are not here any more", remedy="open the recipe again")
    return own.root, own


def _declared(manifest: Path) -> list[tuple[str, str]]:
    """Name and mods folder of each registry in a manifest that has such a folder."""
    found = []
    for name, entry in manifest_entries(manifest):
        try:
            folder = safe_subpath(entry["mods"]) if isinstance(entry.get("mods"), str) else ""
        except UsageError:
            continue
        if folder:
            found.append((name, folder))
    return found
