"""The folders of recipes, and the recipe files in them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.model import ENDINGS, Source, SourceKind

MAX_FILES = 50_000
"""The most recipe files of one folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of recipes: its kind, the registry's name (else empty), and whether a list shows it.

    `repository` is the name of the configured registry, whose repository may contain several with names of their own.
    """

    kind: SourceKind
    path: Path
    registry: str = ""
    visible: bool = True
    repository: str = ""
    address: str = ""
    """The address of that registry's repository."""

    def source(self, path: str) -> Source:
        """The source of a file in this folder."""
        return Source(self.kind, path, self.registry, str(self.path), self.repository, self.address)

    def answers(self, name: str) -> bool:
        """Whether `name` means this folder: the registry's own name, or that of the configured one."""
        return bool(name) and name in (self.registry, self.repository)


def own_folders(settings: Settings) -> list[Folder]:
    """The bundled recipes, then the user's directories in their order, then the one beside the settings."""
    found = [Folder(SourceKind.BUNDLED, paths.bundled_recipes())]
    found += [Folder(SourceKind.USER, path) for path in settings.recipe_dirs]
    if paths.user_recipes().is_dir():
        found.append(Folder(SourceKind.USER, paths.user_recipes()))
    return found


def recipe_files(folder: Folder) -> Iterator[os.DirEntry[str]]:
    """The recipe files below a folder, in the order of their names.

    Hidden folders are skipped, and so are links that lead out of the folder: a registry must not show files of the
    workstation.
    """
    root = os.path.realpath(folder.path)
    budget = MAX_FILES
    stack = [str(folder.path)]
    while stack:
        try:
            with os.scandir(stack.pop()) as listing:
                entries = sorted(listing, key=lambda entry: entry.name)
        except OSError:
            # A folder that does not exist or cannot be read has no recipes; `source_notes` names it.
            continue
        below = []
        for entry in entries:
            if entry.name.startswith("."):
                continue
            try:
                leads_out = entry.is_symlink() and not is_inside(entry.path, root)
                is_folder = entry.is_dir(follow_symlinks=False)
            except OSError:
                # It cannot be looked at, as some links of other users' processes.
                continue
            if leads_out:
                continue
            if is_folder:
                below.append(entry.path)
            elif entry.name.lower().endswith(ENDINGS) and budget > 0:
                budget -= 1
                yield entry
        stack.extend(reversed(below))


def is_inside(path: str | Path, root: str | Path) -> bool:
    """Whether a path, with its links followed, is below `root` (itself already resolved)."""
    real = os.path.realpath(path)
    return real == str(root) or real.startswith(str(root).rstrip(os.sep) + os.sep)


def source_in(folders: Iterable[Folder], path: str) -> Source | None:
    """The source of a recipe file that a list of these folders would show; None for any other file."""
    if not path.lower().endswith(ENDINGS):
        return None
    for folder in folders:
        root = str(folder.path)
        below = os.path.relpath(path, root) if path.startswith(root.rstrip(os.sep) + os.sep) else ""
        is_shown = folder.visible and below and not any(part.startswith(".") for part in below.split(os.sep))
        if is_shown and is_inside(path, os.path.realpath(root)):
            return folder.source(path)
    return None


def source_notes(settings: Settings) -> list[str]:
    """The user's recipe directories that cannot be read, in words."""
    notes = []
    for path in settings.recipe_dirs:
        if not path.is_dir():
            notes.append(f"recipe_dirs: {path} is not a directory")
        elif not os.access(path, os.R_OK | os.X_OK):
            notes.append(f"recipe_dirs: {path} cannot be read: its rights do not allow it")
    return notes
