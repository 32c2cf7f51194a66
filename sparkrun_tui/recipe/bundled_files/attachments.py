"""The files of this machine that a recipe copies into its containers: those of its copies and of its mods."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field, replace
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.recipe.bundled_files.sent_files import MAX_FILES, MAX_TOTAL, SentFile, contents, find_files, read_text
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.format.pre_exec import Before
from sparkrun_tui.recipe.model import Problem, Recipe, Runtime, Severity, SourceKind
from sparkrun_tui.recipe.registry.checkouts import EUGR, Checkout, checkouts, own_root
from sparkrun_tui.recipe.search.folders import is_inside
from sparkrun_tui.recipe.values.rendered import Rendered

MOD_SCRIPT = "run.sh"
"""The script that makes a folder a mod; it is run in the container."""


SHOWN = 16 << 10
"""The most bytes of a mod's script that are shown."""
_MOST_LISTED = 40
"""The most files that one line lists by name."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of one copy or mod: their place here, and the registry they come from (empty: the recipe's own)."""

    place: str
    files: tuple[SentFile, ...]
    registry: str = ""
    script: str = ""
    """The script of a mod, as text to be read; cut when it is very long."""

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
        """A hash of these files, independent of their folder."""
        parts = [[file.name, file.program, file.digest] for file in self.files]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    @property
    def names(self) -> Mapping[str, SentFile]:
        """Its files by their names below the folder that they are put in."""
        return {file.name or os.path.basename(self.place): file for file in self.files}

    def __str__(self) -> str:
        listed = [f"{name} ({format_bytes(file.size)})" for name, file in self.names.items()]
        if not listed:
            return "no files"
        text = ", ".join(listed[:_MOST_LISTED])
        if len(listed) > _MOST_LISTED:
            text += f" and {len(listed) - _MOST_LISTED} more"
        return text


@dataclass(frozen=True, slots=True)
class Attachments:
    """What was found of a recipe's copies and mods; anything else is a problem, or left to the hosts.

    `left` are mods that are unknown on this machine: they are taken from the checkout of eugr's scripts on the hosts.
    """

    bundles: Mapping[Before, Bundle] = field(default_factory=dict)
    left: tuple[Before, ...] = ()
    problems: tuple[Problem, ...] = ()

    @property
    def digests(self) -> frozenset[str]:
        """What an agreement to these files is remembered by: a hash of each bundle and the place it is copied to.

        Two files that change places would otherwise be the same to it.
        """
        found = set()
        for entry, bundle in self.bundles.items():
            found.add(hashlib.sha256(json.dumps([entry.target, bundle.digest]).encode()).hexdigest())
        return frozenset(found)

    @property
    def of_registries(self) -> Attachments:
        """Only what comes from a registry that is not the recipe's own."""
        return Attachments({entry: bundle for entry, bundle in self.bundles.items() if bundle.registry})

    def contents(self) -> Mapping[str, bytes]:
        """The content of all files, by digest. Raises `LaunchError` when one has changed since it was found."""
        return contents(file for bundle in self.bundles.values() for file in bundle.files)


def find_attachments(rendered: Rendered) -> Attachments:
    """The files on this machine that the recipe copies into its containers.

    Files come only from the recipe's own folder or its registry's repository, mods also from other registries. Mods of
    eugr that are not here are left to the hosts; with a launch delegated to eugr's scripts, all of eugr's mods are.
    """
    wanted = [entry for entry in hooks_of(rendered).before if entry.source]
    if not wanted:
        return Attachments()
    recipe = rendered.recipe
    try:
        search = _Search(recipe)
    except RecipeError as error:
        return Attachments(problems=(_refused(wanted[0], error),))
    bundles: dict[Before, Bundle] = {}
    left: list[Before] = []
    problems: list[Problem] = []
    for entry in wanted:
        try:
            found = search.find(entry)
        except RecipeError as error:
            problems.append(_refused(entry, error))
            continue
        if found is not None:
            bundles[entry] = found
        elif search.is_missing(entry):
            problems.append(_missing_mod(entry))
        else:
            left.append(entry)
            if not search.is_delegated:
                problems.append(_unseen_mod(entry))
    return Attachments(bundles, tuple(left), (*problems, *_too_much(bundles)))


def scoped_mods(rendered: Rendered) -> Mapping[str, str]:
    """The mods that a registry's recipe has from its own registry: their names, and how other recipes name them."""
    recipe = rendered.recipe
    if recipe.source.kind is not SourceKind.REGISTRY:
        return {}
    found: dict[str, str] = {}
    for entry, bundle in find_attachments(rendered).bundles.items():
        is_scoped = entry.source.startswith("@")
        if bundle.registry or is_scoped or not entry.is_mod:
            continue
        scoped = f"@{recipe.source.registry}/{entry.source.removeprefix('mods/')}"
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

    @property
    def is_delegated(self) -> bool:
        """Whether eugr's scripts launch the recipe."""
        return self.recipe.runtime == Runtime.EUGR_VLLM

    def is_missing(self, entry: Before) -> bool:
        """Whether a mod that was not found here cannot be on the hosts either."""
        if entry.source.startswith("@"):
            return True
        return self.knows_eugr and not self.is_delegated

    def find(self, entry: Before) -> Bundle | None:
        """The files of a copy or a mod, None for a mod that is not here. Raises `RecipeError`."""
        if entry.is_mod:
            return self.mod(entry.source)
        return self.copy(entry.source)

    def copy(self, source: str) -> Bundle:
        """The files of a path as the recipe writes it, relative to its folder."""
        if self.own is None and is_inside(os.path.expanduser("~"), self.root):
            remedy = "put the recipe and what it copies into a folder of their own"
            raise RecipeError(
                f"the recipe's folder {self.root} contains your home folder, with its keys", remedy=remedy
            )
        place = os.path.join(self.folder, os.path.expanduser(source))
        if not os.path.lexists(place):
            raise RecipeError("there is no such file", remedy=f"put it into {self.folder}, or correct the path")
        return self._bundle(place, self.root, self.own)

    def mod(self, name: str) -> Bundle | None:
        """The folder of a mod, None when it is not on this machine."""
        for place, root, checkout in self._places(name):
            if not os.path.isfile(os.path.join(place, MOD_SCRIPT)):
                continue
            if self.is_delegated and checkout is not None and checkout.is_eugr:
                # It comes with the scripts that launch the recipe.
                return None
            found = self._bundle(place, root, checkout)
            return replace(found, script=_script(found))
        return None

    def _places(self, name: str) -> Iterator[tuple[str, str, Checkout | None]]:
        """The folders in which a mod may be, in their order: each with the root of its files and its checkout."""
        scope, rest = self._scope(name)
        plain = rest.removeprefix("mods/")
        if not scope:
            for below in (plain, f"mods/{plain}"):
                yield os.path.join(self.folder, below), self.root, self.own
        chosen = []
        if self.own is not None and not scope:
            chosen.append(self.own)
        for checkout in self.known:
            is_meant = checkout.is_called(scope) if scope else checkout.is_eugr
            if is_meant:
                chosen.append(checkout)
        for checkout in chosen:
            for mods in checkout.mods(scope or self.recipe.source.registry):
                yield os.path.join(checkout.root, mods, plain), checkout.root, checkout

    def _scope(self, name: str) -> tuple[str, str]:
        """The registry at the beginning of a mod's name (`@REGISTRY/` or `@REGISTRY/PART/`), and the rest."""
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
            if inside == ".":
                inside = ""
            lacking = checkout.snapshot.lacks(inside)
            if lacking:
                raise RecipeError(f"the local copy of its registry lacks `{lacking}`: it is a link, or too large")
        registry = ""
        if checkout is not None and checkout is not self.own:
            registry = checkout.registry.name
        return Bundle(os.path.realpath(place), files, registry)


def _script(bundle: Bundle) -> str:
    file = bundle.names[MOD_SCRIPT]
    text = read_text(file, SHOWN)
    if file.size > SHOWN:
        text += f"\n(cut: the whole script is {file.path})"
    return text


def _refused(entry: Before, error: RecipeError) -> Problem:
    what = f"the mod `{entry.source}`" if entry.is_mod else f"`copy: {entry.source}`"
    remedy = error.remedy or "put what is copied into the folder of the recipe"
    return Problem(Severity.ERROR, "files", f"{what} cannot be copied: {error.what}", entry.spot, remedy)


def _missing_mod(entry: Before) -> Problem:
    message = f"the mod `{entry.source}` is neither beside the recipe nor in a registry that was fetched"
    remedy = "put its folder beside the recipe, or name a registry that has it: @REGISTRY/NAME"
    if entry.source.startswith("@"):
        remedy = "`sparkrun-tui registry update` fetches its registry; `registry add` adds one that is not in the list"
    return Problem(Severity.ERROR, "mod-missing", message, entry.spot, remedy)


def _unseen_mod(entry: Before) -> Problem:
    message = (
        f"the mod `{entry.source}` is not on this machine: the hosts take it from {EUGR}, and it is not shown here"
    )
    remedy = "`sparkrun-tui registry update` fetches it, so that the plan shows what it does"
    return Problem(Severity.WARNING, "mod-unseen", message, entry.spot, remedy)


def _too_much(bundles: Mapping[Before, Bundle]) -> Iterable[Problem]:
    files = sum(len(bundle.files) for bundle in bundles.values())
    size = sum(bundle.size for bundle in bundles.values())
    if files > MAX_FILES or size > MAX_TOTAL:
        last = list(bundles)[-1]
        most = f"at most {MAX_FILES} files and {format_bytes(MAX_TOTAL)} are allowed"
        message = f"the recipe copies {files} files, {format_bytes(size)}, into its containers: {most}"
        yield Problem(Severity.ERROR, "files", message, last.spot, "mount a folder of the hosts instead (`volumes`)")
