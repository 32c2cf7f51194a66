"""Finds recipes: by path, among the bundled ones, in the user's directories, and in registries."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from sparkrun_tui.base import shell
from sparkrun_tui.base.disk.files import read_bytes
from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.format.keys import RECIPE_WORDS
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.model import ENDINGS, BrokenRecipe, Problem, Recipe, Severity, Source, SourceKind, stem
from sparkrun_tui.recipe.registry.registries import registry_folders
from sparkrun_tui.recipe.search.entry import reference
from sparkrun_tui.recipe.search.files import all_files
from sparkrun_tui.recipe.search.folders import Folder, is_inside, own_folders, recipe_files
from sparkrun_tui.recipe.search.patience import Patience
from sparkrun_tui.recipe.suggestions import listed, nearest


def find_recipe(name: str, settings: Settings) -> Recipe:
    """The recipe that `name` means, in the format's order of discovery.

    `name` is a path, a bundled recipe, one of the user's, `REGISTRY/NAME` or `@REGISTRY/NAME`, a name in any
    registry, or the display name of a recipe. Raises `RecipeError` when nothing matches, or several recipes do.
    """
    path = _existing_file(name)
    if path is not None:
        return _by_path(name, path, settings)
    folders = [*own_folders(settings), *registry_folders(settings)]
    found = _among(name, folders)
    if found is not None:
        folder, file = found
        return load_recipe(file, folder.source(file))
    return _by_display_name(name, folders)


def _among(name: str, folders: Sequence[Folder]) -> tuple[Folder, str] | None:
    """The file that a name or a path in a folder means: the user's own and the bundled ones first."""
    own = [folder for folder in folders if folder.kind is not SourceKind.REGISTRY]
    found = _first_by_path(name, own)
    if found is None:
        found = _unique(name, _first_with_stem(name, own))
    if found is None:
        found = _in_registries(name, [folder for folder in folders if folder.kind is SourceKind.REGISTRY])
    return found


def _by_path(name: str, path: Path, settings: Settings) -> Recipe:
    """The recipe in a file named by its path; another person's when outside the user's recipe folders."""
    own = any(is_inside(path, os.path.realpath(folder.path)) for folder in own_folders(settings))
    recipe = load_recipe(path, Source(SourceKind.PATH, str(path), stranger=not own))
    refuse_compose(recipe)
    if name.startswith(("/", "./", "../", "~")):
        return recipe
    hidden = _hidden_by(name, path, [*own_folders(settings), *registry_folders(settings)])
    return replace(recipe, problems=(*recipe.problems, *hidden))


def is_compose(recipe: Recipe) -> bool:
    """Whether a file that was read as a recipe is a Docker Compose file."""
    return "services" in recipe.spots and not looks_like_recipe(recipe)


def refuse_compose(recipe: Recipe) -> None:
    """Raise `RecipeError` for a Docker Compose file, with how to make a recipe of it."""
    if not is_compose(recipe):
        return
    if recipe.source.kind is SourceKind.URL:
        remedy = "save it, and make a recipe of it: sparkrun-tui recipe new --from FILE"
    else:
        remedy = f"make a recipe of it: {shell.words(['sparkrun-tui', 'recipe', 'new', '--from', recipe.source.path])}"
    place = recipe.source.address or recipe.source.path
    raise RecipeError(f"{place} is a Docker Compose file, not a recipe", remedy=remedy)


def _hidden_by(name: str, path: Path, folders: Sequence[Folder]) -> Iterator[Problem]:
    """A warning when a file of the current folder is used instead of a known recipe of its name, or of its path."""
    spot = Spot(str(path), 1, 1)
    try:
        found = _among(name, folders)
    except RecipeError:
        message = f"this file of the current folder is used, not another recipe called `{name}`"
        yield Problem(Severity.WARNING, "hides-recipe", message, spot)
        return
    if found is None or _content(found[1]) == _content(str(path)):
        return
    folder, file = found
    source = folder.source(file)
    kind, other = f"the {folder.kind} one", file
    if source.registry_text:
        kind = f"that of the registry {source.registry_text}"
    if source.registry:
        other = f"@{source.registry}/{source.below}"
    message = f"this file of the current folder is used for `{name}`, not {kind}"
    yield Problem(Severity.WARNING, "hides-recipe", message, spot, f"use {other} to mean the other one")


def all_recipes(settings: Settings) -> list[Recipe | BrokenRecipe]:
    """Every recipe that lists show: bundled, the user's, then those of visible registries."""
    found: list[Recipe | BrokenRecipe] = []
    patience = Patience()
    for folder, entry in all_files(settings):
        recipe = patience.load(entry.path, folder.source(entry.path))
        if recipe is not None and looks_like_recipe(recipe):
            found.append(recipe)
    return found


def looks_like_recipe(recipe: Recipe | BrokenRecipe) -> bool:
    """Whether a file is meant to be a recipe; broken files count, other YAML files in the same folder do not."""
    if isinstance(recipe, BrokenRecipe):
        return True
    return any(word in recipe.spots for word in RECIPE_WORDS)


def lasting_reference(recipe: Recipe) -> str:
    """The text that means this recipe from every folder; empty for one that was read from no file."""
    text = reference(recipe)
    if text and recipe.source.kind in (SourceKind.PATH, SourceKind.USER):
        return os.path.abspath(text)
    return text


def _existing_file(name: str) -> Path | None:
    """The file that a name means as a path; `@REGISTRY/NAME` never does (a folder called `@…` is `./@…`)."""
    if name.startswith("@"):
        return None
    for ending in ("", *ENDINGS):
        try:
            path = Path(os.path.expanduser(name + ending))
            if name and path.is_file():
                return path
        except (OSError, ValueError, RuntimeError):
            return None
    return None


def _below(folder: Folder, name: str) -> str | None:
    """The file that `name` means as a path below a folder; never one outside of it."""
    if not name or "\0" in name:
        return None
    if name.startswith(("/", "~")) or ".." in Path(name).parts:
        return None
    root = os.path.realpath(folder.path)
    for ending in ("", *ENDINGS):
        path = os.path.join(folder.path, name + ending)
        if path.lower().endswith(ENDINGS) and os.path.isfile(path) and is_inside(path, root):
            return path
    return None


def _first_by_path(name: str, folders: Sequence[Folder]) -> tuple[Folder, str] | None:
    for folder in folders:
        path = _below(folder, name)
        if path is not None:
            return folder, path
    return None


def _with_stem(name: str, folders: Sequence[Folder]) -> list[tuple[Folder, str]]:
    """All files whose names without ending are `name`."""
    wanted = stem(name)
    found: list[tuple[Folder, str]] = []
    if not wanted or "/" in name:
        return found
    for folder in folders:
        for entry in recipe_files(folder):
            if stem(entry.name) == wanted:
                found.append((folder, entry.path))
    return found


def _first_with_stem(name: str, folders: Sequence[Folder]) -> list[tuple[Folder, str]]:
    """The files of that name in the first folder that has any."""
    for folder in folders:
        found = _with_stem(name, [folder])
        if found:
            return found
    return []


def _in_registries(name: str, registries: Sequence[Folder]) -> tuple[Folder, str] | None:
    registry, _, rest = name.removeprefix("@").partition("/")
    chosen = []
    if rest:
        chosen = [folder for folder in registries if folder.answers(registry)]
    found = _first_by_path(rest, chosen)
    if found is None:
        found = _in_part(rest, chosen)
    if found is None:
        found = _unique(name, _with_stem(rest, chosen))
    if found is not None:
        return found
    if name.startswith("@"):
        if not chosen:
            raise _no_registry(registry, registries)
        return None
    # A file at the top of a registry comes before deeper ones of that registry, not before those of another.
    matches = []
    for folder in registries:
        path = _below(folder, name)
        if path is not None:
            matches.append((folder, path))
        else:
            matches += _with_stem(name, [folder])
    return _unique(name, matches)


def _no_registry(name: str, registries: Sequence[Folder]) -> RecipeError:
    names: dict[str, None] = {}
    for folder in registries:
        names[folder.repository] = None
        names[folder.registry] = None
    names.pop("", None)
    remedy = "no registry has been fetched: `sparkrun-tui registry update` does it"
    if names:
        remedy = f"registries here: {listed(names)}"
    return RecipeError(f"there is no registry `{name}`", remedy=remedy)


def _in_part(name: str, folders: Sequence[Folder]) -> tuple[Folder, str] | None:
    """A recipe named by its part of the repository: `PART/NAME`."""
    part, _, rest = name.partition("/")
    if not rest:
        return None
    chosen = [folder for folder in folders if folder.registry in (part, f"{folder.repository}/{part}")]
    return _first_by_path(rest, chosen) or _unique(rest, _with_stem(rest, chosen))


def _unique(name: str, matches: Sequence[tuple[Folder, str]]) -> tuple[Folder, str] | None:
    """The one match, None without any; equal files count as one."""
    if not matches:
        return None
    if len({_content(path) for _, path in matches}) > 1:
        places = []
        for folder, path in matches:
            places.append(f"@{folder.registry}/{folder.source(path).below}" if folder.registry else path)
        raise RecipeError(f"`{name}` is ambiguous: it is {listed(places)}", remedy="name one of them in full")
    return matches[0]


def _content(path: str) -> bytes:
    try:
        return read_bytes(path)
    except OSError:
        return path.encode("utf-8", "surrogateescape")


def _by_display_name(name: str, folders: Sequence[Folder]) -> Recipe:
    """The recipe with that display name; earlier folders hide later ones, but registries do not hide each other."""
    asked, wanted = "", name
    if name.startswith("@"):
        asked, _, wanted = name[1:].partition("/")
    near: dict[str, str] = {}
    matches: list[Recipe] = []
    patience = Patience()
    for folder in folders:
        if asked and not folder.answers(asked):
            continue
        if matches and folder.kind is not SourceKind.REGISTRY:
            continue
        for entry in recipe_files(folder):
            recipe = patience.load(entry.path, folder.source(entry.path))
            if recipe is None:
                break
            near.setdefault(stem(entry.name), reference(recipe))
            if isinstance(recipe, Recipe) and looks_like_recipe(recipe):
                near.setdefault(recipe.name, reference(recipe))
                if recipe.name.casefold() == wanted.casefold():
                    matches.append(recipe)
    own = [recipe for recipe in matches if recipe.source.kind is not SourceKind.REGISTRY]
    matches = own or matches
    if len({recipe.digest for recipe in matches}) > 1:
        places = listed(reference(recipe) for recipe in matches)
        raise RecipeError(f"`{name}` is ambiguous: it is {places}", remedy="name one of them in full")
    if matches:
        return matches[0]
    hint = "`sparkrun-tui list` shows all recipes"
    found = nearest(wanted, near)
    if found:
        hint = f"did you mean `{near[found]}`?"
    raise RecipeError(f"there is no recipe `{name}`", remedy=hint)
