"""The recipe files that lists show, from all folders."""

from __future__ import annotations

import os
from collections.abc import Iterator

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.registry.registries import registry_folders
from sparkrun_tui.recipe.search.folders import Folder, own_folders, recipe_files


def all_files(settings: Settings) -> Iterator[tuple[Folder, os.DirEntry[str]]]:
    """Every recipe file that lists show, each once, with its folder."""
    seen: set[str] = set()
    for folder in [*own_folders(settings), *registry_folders(settings)]:
        if not folder.visible:
            continue
        root, real_root = str(folder.path), os.path.realpath(folder.path)
        for entry in recipe_files(folder):
            real = os.path.realpath(entry.path) if entry.is_symlink() else real_root + entry.path[len(root) :]
            if real not in seen:
                seen.add(real)
                yield folder, entry
