"""What a recipe brings into its containers from this machine: the files of its copies and of its mods."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.recipe.bundled_files.sent_files import MAX_FILES, MAX_TOTAL, SentFile, contents, find_files, read_text
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.format.pre_exec import Before
from sparkrun_tui.recipe.model import Problem, Recipe, Runtime, Severity, SourceKind
from sparkrun_tui.recipe.registry.checkouts import EUGR, Checkout, checkouts, own_root
from sparkrun_tui.recipe.search.folders import is_inside
from sparkrun_tui.recipe.values.rendered import Rendered

MOD_SCRIPT = "run.sh"
"""What makes a folder a mod, and is run in the container."""


SHOWN = 16 << 10
"""Bytes of a mod's script that are shown."""
_TOLD = 40
"""Files that are told by name in one line."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one copy or mod: where they lie here, and the registry they come from (empty: the recipe's own)."""

    place: str
    files: tuple[SentFile, ...]
    registry: str = ""
    script: str = ""
    """What a mod runs, as text to be read; cut where it is very long."""

    @property
    def alone(self) -> bool:
        """Whether it is a file and not a folder."""
        return len(self.files) == 1 and not self.files[0].name

    @property
    def size(self) -> int:
        """Bytes of all its files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """What tells these files from any others, whatever folder they lie in."""
        parts = [[file.name, file.program, file.digest] for file in self.files]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def names(self) -> Mapping[str, SentFile]:
        """Its files by their names below the folder that they are put in."""
        return {file.name or os.path.basename(self.place): file for file in self.files}

    def __str__(self) -> str:
        told = [f"{name} ({format_bytes(file.size)})" for name, file in self.names.items()]
        more = f" and {len(told) - _TOLD} more" if len(told) > _TOLD else ""
        return ", ".join(told[:_TOLD]) + more or "no files"


@dataclass(frozen=True, slots=True)
class Brought:
    """What was found of a recipe's copies and mods; what was not is a problem, or left to the hosts.

    `left` are mods that nobody here knows: they are taken from the checkout of eugr's scripts on the hosts.
    """

    bundles: Mapping[Before, Bundle] = field(default_factory=dict)
    left: tuple[Before, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """The digests of all bundles."""
        return frozenset(bundle.digest for bundle in self.bundles.values())

    def contents(self) -> Mapping[str, bytes]:
        """What all files hold, by digest. Raises `LaunchError` when one is not as it was found."""
        return contents(file for bundle in self.bundles.values() for file in bundle.files)


def bring(rendered: Rendered) -> Brought:
    """Look on this machine for what the recipe copies into its containers.

    Files come from the recipe's own folder or its registry's repository alone, mods also from other registries. Mods
    of eugr's own that are not here are left to the hosts, all of them where the launch is delegated to the scripts.
    """
    wanted = [entry for entry in hooks_of(rendered).before if entry.source]
    if not wanted:
        return Brought()
    recipe = rendered.recipe
    try:
        search = _Search(recipe)
    except RecipeError as error:
        return Brought(problems=(_refused(wanted[0], error),))
    bundles: dict[Before, Bundle] = {}
    left: list[Before] = []
    problems: list[Problem] = []
    for entry in wanted:
        try:
            found = search.mod(entry.source) if entry.is_mod else search.copy(entry.source)
        except RecipeError as error:
            problems.append(_refused(entry, error))
            continue
        if found is not None:
            bundles[entry] = found
        elif entry.source.startswith("@") or (search.knows_eugr and recipe.runtime != Runtime.EUGR_VLLM):
            problems.append(_missing_mod(entry))
        else:
            left.append(entry)
            problems += [_unseen_mod(entry)] if recipe.runtime != Runtime.EUGR_VLLM else []
    return Brought(bundles, tuple(left), (*problems, *_too_much(bundles)))


def scoped_mods(rendered: Rendered) -> Mapping[str, str]:
    """The mods that a registry's recipe has from its own registry, by name, as they are named from anywhere else."""
    recipe = rendered.recipe
    if recipe.source.kind is not SourceKind.REGISTRY:
        return {}
    found: dict[str, str] = {}
    for entry, bundle in bring(rendered).bundles.items():
        scoped = f"@{recipe.source.registry}/{entry.source.removeprefix('mods/')}"
        if entry.is_mod and not bundle.registry and not entry.source.startswith("@"):
            there = _Search(recipe).mod(scoped)
            if there is not None and there.digest == bundle.digest:
                found[entry.source] = scoped
    return found


class _Search:
    def __init__(self, recipe: Recipe) -> None:
        self.recipe = recipe
        self.known = checkouts()
        self.root, self.own = own_root(recipe, self.known)
        self.folder = os.path.dirname(os.path.abspath(recipe.source.path))

    @property
    def knows_eugr(self) -> bool:
        """Whether eugr's own mods are here."""
        return any(checkout.is_eugr and checkout.snapshot.whole for checkout in self.known)

    def copy(self, source: str) -> Bundle:
        """The files of a path as the recipe writes it, seen from its folder."""
        if self.own is None and is_inside(os.path.expanduser("~"), self.root):
            remedy = "put the recipe and what it copies into a folder of their own"
            raise RecipeError(f"the recipe's folder {self.root} holds all that is yours, keys too", remedy=remedy)
        place = os.path.join(self.folder, os.path.expanduser(source))
        if not os.path.lexists(place):
            raise RecipeError("there is no such file", remedy=f"it is looked for in {self.folder}")
        return self._bundle(place, self.root, self.own)

    def mod(self, name: str) -> Bundle | None:
        """The folder of a mod; None when it is nowhere here."""
        for place, root, checkout in self._places(name):
            if os.path.isfile(os.path.join(place, MOD_SCRIPT)) and os.path.isdir(place):
                if self.recipe.runtime == Runtime.EUGR_VLLM and checkout is not None and checkout.is_eugr:
                    return None  # The scripts have it themselves, as it belongs to them.
                found = self._bundle(place, root, checkout)
                return replace(found, script=_script(found))
        return None

    def _places(self, name: str) -> Iterator[tuple[str, str, Checkout | None]]:
        scope, rest = self._scope(name)
        plain = rest.removeprefix("mods/")
        if not scope:
            for below in (plain, f"mods/{plain}"):
                yield os.path.join(self.folder, below), self.root, self.own
        near = [self.own] if self.own is not None else []
        chosen = (
            [c for c in self.known if c.is_called(scope)] if scope else [*near, *(c for c in self.known if c.is_eugr)]
        )
        for checkout in chosen:
            for mods in checkout.mods(scope or self.recipe.source.registry):
                yield os.path.join(checkout.root, mods, plain), checkout.root, checkout

    def _scope(self, name: str) -> tuple[str, str]:
        """The registry that a mod's name begins with, `@REGISTRY/` or `@REGISTRY/PART/`, and what follows."""
        if not name.startswith("@"):
            return "", name
        first, _, rest = name[1:].partition("/")
        part, _, below = rest.partition("/")
        if below and any(checkout.is_called(f"{first}/{part}") for checkout in self.known):
            return f"{first}/{part}", below
        return first, rest

    def _bundle(self, place: str, root: str, checkout: Checkout | None) -> Bundle:
        files = find_files(Path(place), root)
        if checkout is not None:
            inside = os.path.relpath(os.path.realpath(place), root)
            lacking = checkout.snapshot.lacks("" if inside == "." else inside)
            if lacking:
                raise RecipeError(f"its registry's copy here lacks `{lacking}`: a link, or too large to be kept")
        foreign = checkout is not None and checkout is not self.own
        return Bundle(os.path.realpath(place), files, checkout.registry.name if foreign and checkout else "")


def _script(bundle: Bundle) -> str:
    file = bundle.names[MOD_SCRIPT]
    text = read_text(file, SHOWN)
    return text if file.size <= SHOWN else f"{text}\n(cut: the whole is {file.path})"


def _refused(entry: Before, error: RecipeError) -> Problem:
    what = f"the mod `{entry.source}`" if entry.is_mod else f"`copy: {entry.source}`"
    remedy = error.remedy or "put what is copied into the folder of the recipe"
    return Problem(Severity.ERROR, "files", f"{what} cannot be copied: {error.what}", entry.spot, remedy)


def _missing_mod(entry: Before) -> Problem:
    message = f"the mod `{entry.source}` is neither beside the recipe nor in a registry that is here"
    remedy = "put its folder beside the recipe, or name a registry that has it: @REGISTRY/NAME"
    return Problem(Severity.ERROR, "mod-missing", message, entry.spot, remedy)


def _unseen_mod(entry: Before) -> Problem:
    message = f"the mod `{entry.source}` is not on this machine: it is taken from {EUGR} on the hosts, unread"
    remedy = "sparkrun-tui registry update brings it here, so that the plan shows what it does"
    return Problem(Severity.WARNING, "mod-unseen", message, entry.spot, remedy)


def _too_much(bundles: Mapping[Before, Bundle]) -> Iterable[Problem]:
    files = sum(len(bundle.files) for bundle in bundles.values())
    size = sum(bundle.size for bundle in bundles.values())
    if files > MAX_FILES or size > MAX_TOTAL:
        last = list(bundles)[-1]
        most = f"at most {MAX_FILES} files of {format_bytes(MAX_TOTAL)} go"
        message = f"the recipe copies {files} files of {format_bytes(size)} into its containers: {most}"
        yield Problem(Severity.ERROR, "files", message, last.spot, "mount a folder of the hosts instead (`volumes`)")
