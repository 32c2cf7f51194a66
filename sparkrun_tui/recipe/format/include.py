"""`include`: a recipe that is written as a few changes to another one.

The other file is merged below the recipe before anything else reads it: mappings key by key, everything else as a
whole, an empty value removes a key. What is one setting (a value of `defaults` or of `env`) is never blended. The
conditional `overrides` of both stay, those of the included file first.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.recipe.format.reader import repeated_keys
from sparkrun_tui.recipe.format.recipe_file import read_recipe
from sparkrun_tui.recipe.format.yamltree import (
    MAX_BYTES,
    MAX_EXPANDED,
    MAX_NODES,
    Node,
    parse_tree,
    unmerged,
    written,
)
from sparkrun_tui.recipe.model import ENDINGS, Included, Problem, Recipe, Source, SourceKind

MAX_CHAIN = 8
"""The most files that build on each other, without the recipe itself."""
_MOST_LOOKED_AT = 20_000
"""The most files of a registry that are looked at for a name."""
_WHOLE = frozenset({"defaults", "env"})
"""Mappings whose values are settings, which one file has or the other."""
_PART = late_regex(r"[A-Za-z0-9_][A-Za-z0-9._+-]*")
"""One part of a name: no separator, no `..`, nothing hidden."""
_REMEDY = "name a file beside this one, without its folder"


@dataclass(frozen=True, slots=True)
class Merged:
    """The tree of a recipe with all that it includes, those files, and the problems of reading them."""

    root: Node
    files: tuple[Included, ...]
    problems: tuple[Problem, ...]
    spot: Spot | None = None
    """The place of `include`."""


def with_included(root: Node, source: Source) -> Merged:
    """The tree with everything that it includes. Raises `RecipeError` with the place of the `include` that fails."""
    here = unmerged(root).get("include")
    if here is None:
        return Merged(root, (), ())
    files: list[Included] = []
    problems: list[Problem] = []
    merged = _resolve(root, source.path, source, files, problems)
    return Merged(merged, tuple(files), tuple(problems), Spot(source.path, here[0].line, here[0].column))


def _resolve(root: Node, path: str, source: Source, files: list[Included], problems: list[Problem]) -> Node:
    """The tree of the file at `path`, merged over what it includes."""
    found = unmerged(root).get("include")
    if found is None:
        return root
    value = found[1]
    spot = Spot(path, value.line, value.column)
    if value.kind != "scalar" or not value.text.strip() or value.is_null:
        raise RecipeError("`include` must be the name of one recipe", spot=spot, remedy=_REMEDY)
    name = value.text.strip()
    _not_of_version_one(root, spot)
    if len(files) >= MAX_CHAIN:
        raise RecipeError(f"`include: {shorten(name, 80)}`: more than {MAX_CHAIN} files build on each other", spot=spot)
    place = _place(name, path, source, spot)
    real = os.path.realpath(place)
    if real in {os.path.realpath(known) for known in (source.path, *(file.path for file in files))}:
        raise RecipeError(f"`include: {shorten(name, 80)}` leads back to a file that includes this one", spot=spot)
    base, included = _read_base(name, place, real, spot)
    files.append(included)
    if sum(len(file.text) for file in files) > MAX_BYTES:
        raise RecipeError(f"the included files are larger than {MAX_BYTES >> 20} MiB together", spot=spot)
    problems.extend(repeated_keys(base, place))
    _not_of_version_one(base, spot)
    base = _resolve(base, place, source, files, problems)
    if name.startswith("@"):
        base = _with_scoped_mods(base, name)
    merged = _merged(base, root)
    if base.size + root.size > MAX_NODES:
        raise RecipeError(f"the recipe and what it includes have more than {MAX_NODES:,} values", spot=spot)
    if base.length + root.length > MAX_EXPANDED:
        raise RecipeError(f"the recipe and what it includes have more than {MAX_EXPANDED >> 20} MiB of text", spot=spot)
    return merged


def _read_base(name: str, place: str, real: str, spot: Spot) -> tuple[Node, Included]:
    try:
        data = read_recipe(Path(real))
    except RecipeError as error:
        raise RecipeError(f"`include: {shorten(name, 80)}`: {error.what}", spot=spot, remedy=error.remedy) from error
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RecipeError(f"`include: {shorten(name, 80)}`: that file is not UTF-8 text", spot=spot) from error
    root = parse_tree(text.removeprefix("\ufeff"), place)
    if root.kind != "map":
        raise RecipeError(f"`include: {shorten(name, 80)}`: that file is not a mapping of keys", spot=spot)
    return root, Included(place, text, hashlib.sha256(data).hexdigest())


def _not_of_version_one(root: Node, spot: Spot) -> None:
    for key in ("recipe_version", "sparkrun_version"):
        found = unmerged(root).get(key)
        if found is not None and found[1].text.strip() == "1":
            remedy = f"write `{key}: '2'`, in the form of version 2"
            raise RecipeError("`include` does not exist in recipes of version 1", spot=spot, remedy=remedy)


def _place(name: str, path: str, source: Source, spot: Spot) -> str:
    """The file that a name means. Raises `RecipeError` when there is none, or it may not be included."""
    if name.startswith("@"):
        return _in_registry(name, source, spot)
    if _PART.fullmatch(name) is None:
        raise RecipeError(
            f"`include: {shorten(name, 80)}` must name a file of the same folder", spot=spot, remedy=_REMEDY
        )
    if not os.path.isfile(path):
        raise RecipeError(
            f"`include: {shorten(name, 80)}`: this text has no folder in which it could be found", spot=spot
        )
    folder = os.path.dirname(os.path.abspath(path))
    for wanted in _file_names(name):
        place = os.path.join(folder, wanted)
        if os.path.lexists(place):
            return _kept_inside(place, folder, name, spot)
    what = f"`include: {shorten(name, 80)}`: there is no {' or '.join(_file_names(name))} beside this file"
    raise RecipeError(what, spot=spot, remedy=f"put it into {folder}")


def _file_names(name: str) -> tuple[str, ...]:
    if name.lower().endswith(ENDINGS):
        return (name,)
    return tuple(f"{name}{ending}" for ending in ENDINGS)


def _kept_inside(place: str, folder: str, name: str, spot: Spot) -> str:
    """The place itself, when no link leads it out of the folder."""
    real, root = os.path.realpath(place), os.path.realpath(folder)
    if not real.startswith(f"{root.rstrip(os.sep)}{os.sep}"):
        what = f"`include: {shorten(name, 80)}`: {place} is a link that leads out of its folder"
        raise RecipeError(what, spot=spot, remedy="put the file itself there")
    return place


def _in_registry(name: str, source: Source, spot: Spot) -> str:
    """The file of `@REGISTRY/NAME`, which must be the registry that the recipe itself comes from."""
    own = {source.registry, source.repository, source.registry.partition("/")[0]} - {""}
    words = name[1:]
    scope = ""
    for candidate in sorted(own, key=len, reverse=True):
        if words.startswith(f"{candidate}/"):
            scope = candidate
            break
    if source.kind is not SourceKind.REGISTRY or not source.root or not scope:
        what = f"`include: {shorten(name, 80)}` is not of the registry that this recipe comes from"
        raise RecipeError(what, spot=spot, remedy="copy that recipe beside this one, and include it by its name")
    parts = words[len(scope) + 1 :].split("/")
    if any(_PART.fullmatch(part) is None for part in parts):
        raise RecipeError(
            f"`include: {shorten(name, 80)}` is not the name of a recipe", spot=spot, remedy="@REGISTRY/NAME"
        )
    for wanted in _file_names(parts[-1]):
        place = os.path.join(source.root, *parts[:-1], wanted)
        if os.path.lexists(place):
            return _kept_inside(place, source.root, name, spot)
    found = _by_stem(source.root, parts[-1]) if len(parts) == 1 else []
    if len(found) == 1:
        return _kept_inside(found[0], source.root, name, spot)
    if found:
        what = f"`include: {shorten(name, 80)}` may be any of {len(found)} files of the registry"
        raise RecipeError(what, spot=spot, remedy="write its folder, too: @REGISTRY/FOLDER/NAME")
    raise RecipeError(f"`include: {shorten(name, 80)}`: the registry has no such recipe", spot=spot)


def _by_stem(root: str, name: str) -> list[str]:
    """The files anywhere below a folder that have a name, with or without ending; linked folders are not entered."""
    wanted = _file_names(name)
    found: list[str] = []
    seen = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(item for item in folders if not item.startswith("."))
        for item in sorted(names):
            seen += 1
            if item in wanted:
                found.append(os.path.join(folder, item))
        if seen > _MOST_LOOKED_AT:
            break
    return found


def _with_scoped_mods(base: Node, name: str) -> Node:
    """The tree with its mods named by their registry, since they are not beside the recipe that includes it."""
    registry = name[1:].partition("/")[0]
    pairs = []
    for key, value in unmerged(base).values():
        if key.text == "mods" and value.kind == "list":
            value = replace(value, items=[_scoped(item, registry) for item in value.items])
        pairs.append((key, value))
    return replace(base, pairs=pairs)


def _scoped(item: Node, registry: str) -> Node:
    mod = item.text.strip().removeprefix("./").removeprefix("mods/")
    if item.kind != "scalar" or not mod or mod.startswith("@"):
        return item
    return replace(item, text=f"@{registry}/{mod}", tag="str", style="'")


def _merged(base: Node, outer: Node, within: str | None = None) -> Node:
    """`outer` over `base`, by the rules of `include`; `within` is the key of the recipe around them, if any."""
    pairs = unmerged(base)
    for name, (key, value) in unmerged(outer).items():
        if name == "include" and within is None:
            continue
        if value.is_null:
            pairs.pop(name, None)
            continue
        before = pairs.get(name)
        if before is not None:
            value = _merged_value(before[1], value, name, within)
        pairs[name] = (key, value)
    return _mapping(outer, pairs)


def _merged_value(base: Node, outer: Node, name: str, within: str | None) -> Node:
    """One value over another under the same name."""
    if outer.kind == "map" and base.kind == "map" and within not in _WHOLE:
        return _merged(base, outer, name if within is None else within)
    if name == "overrides" and within is None and outer.kind == "list" and base.kind == "list":
        size = base.size + outer.size
        length = base.length + outer.length
        return replace(outer, style="", items=[*base.items, *outer.items], size=size, length=length)
    return outer


def _mapping(outer: Node, pairs: dict[str, tuple[Node, Node]]) -> Node:
    size = 1 + sum(key.size + value.size for key, value in pairs.values())
    length = sum(key.length + value.length for key, value in pairs.values())
    return replace(outer, style="", pairs=list(pairs.values()), size=size, length=length)


def flattened(recipe: Recipe) -> str:
    """The text of a recipe file that is the recipe with all that it includes, and needs no other file.

    Comments of the files are left out, since nobody can say to what they belong. Raises `RecipeError`, also when a file
    has changed since the recipe was read: what is written is what was shown.
    """
    root = parse_tree(recipe.text.removeprefix("\ufeff"), recipe.source.path)
    merged = with_included(root, recipe.source)
    for before, now in zip(recipe.included, merged.files, strict=False):
        if now != before:
            raise RecipeError(f"{now.path} has changed since the recipe was read", remedy="open the recipe again")
    names = ", ".join(os.path.basename(file.path) for file in merged.files)
    return f"# {os.path.basename(recipe.source.path)} with what it included: {names}\n{written(merged.root)}"
