"""Chooses the files of a GGUF repository that belong to one quantisation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.numbers import whole

OWN_PROJECTOR = "*mmproj*.gguf"
"""In place of a projector's name: the projector of the repository nearest to the model, if it has one."""
_PROJECTORS = ("F16", "BF16", "F32")
"""Number formats of projectors, the usual one first."""
_PART = re.compile(r"-([0-9]{5})-of-([0-9]{5})$")
_PREFERRED = ("Q4_K_M", "Q8_0")
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]{1,12}){0,4}|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32))(?![A-Za-z0-9_])",
    re.I,
)
_SIDE = re.compile(r"(?:^|[-_./])(?:draft|mtp)(?:[-_./]|$)", re.IGNORECASE)
"""Words of files that are chosen only when no other has the quantisation: some are whole models with more layers."""
_NO_MODEL = re.compile(r"(?:^|[-_./])(?:imatrix|lora|vae|dflash\d?|dspark|eagle\d?)(?:[-_./]|$)", re.IGNORECASE)
"""Words of files that belong to a model but are not models: drafters, adapters, statistics."""


@dataclass(frozen=True, slots=True)
class GgufChoice:
    """The files to fetch; `first` is the value of `-m` (the first part), `mmproj` the projector when one was named."""

    first: str
    files: tuple[str, ...]
    mmproj: str = ""


def split_model(model: str) -> tuple[str, str]:
    """`repo:quant` at the last colon as (repository, quantisation); the second is empty without one."""
    repo, colon, quant = model.rpartition(":")
    if not colon or "/" in quant:
        return model, ""
    return repo, quant


def choose(names: Iterable[str], quant: str, mmproj: str = "") -> GgufChoice:
    """The files of `quant` (exact, as a whole word) among a repository's file names, with all parts of a split file.

    Without a quantisation it is Q4_K_M, else Q8_0, else the only one. Drafters and other files that belong to a model
    are chosen only where the repository has nothing else, or the file itself is named. `mmproj` is a projector named in
    the command, or `OWN_PROJECTOR`. Raises `LaunchError`, which lists the choices.
    """
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf"))
    models = []
    projectors = []
    for name in ggufs:
        if is_projector(name):
            projectors.append(name)
        else:
            models.append(name)
    files = _pick(models, quant)
    first = files[0]
    if not mmproj:
        return GgufChoice(first, files)
    if mmproj == OWN_PROJECTOR:
        projector = _own_projector(projectors, first)
    else:
        projector = _named(mmproj.rpartition("/")[2], ggufs)
    if projector:
        files = (*files, projector)
    return GgufChoice(first, files, projector)


def _named(wanted: str, ggufs: Sequence[str]) -> str:
    """The file of that name, in any folder. Raises `LaunchError` where there is none."""
    for name in ggufs:
        if name.rpartition("/")[2] == wanted:
            return name
    raise LaunchError(f"the repository has no file `{wanted}`", remedy=_there_is(ggufs))


def is_projector(name: str) -> bool:
    """Whether a file of a GGUF repository holds a projector for images or sound."""
    return "mmproj" in name.rpartition("/")[2].lower()


def _own_projector(projectors: Sequence[str], model: str) -> str:
    """The projector that llama-server takes with `-hf`: beside the model before elsewhere, F16 before others.

    Empty where there is none.
    """
    folder = model.rpartition("/")[0]

    def rank(name: str) -> tuple[bool, int, str]:
        place = len(_PROJECTORS)
        formats = _QUANT.findall(name.rpartition("/")[2])
        if formats and formats[-1].upper() in _PROJECTORS:
            place = _PROJECTORS.index(formats[-1].upper())
        return (name.rpartition("/")[0] != folder, place, name)

    return min(projectors, key=rank, default="")


def _pick(names: Sequence[str], quant: str) -> tuple[str, ...]:
    """All parts of the model with that quantisation, or of that file name. Raises `LaunchError`."""
    groups = _groups(names)
    if quant.lower().endswith(".gguf"):
        found = []
        for group in groups.values():
            if quant in (group[0], group[0].rpartition("/")[2]):
                found.append(group)
    else:
        groups = _models_among(groups)
        if quant:
            found = _matching(groups, quant)
        else:
            found = _usual(groups)
    if not found:
        message = f"the repository has no GGUF of the quantisation `{quant}`"
        raise LaunchError(message, remedy=_there_is_in(groups))
    if not quant and len(found) > 1:
        raise LaunchError("the recipe's model names no quantisation", remedy=_there_is_in(groups))
    best = min(found, key=lambda group: (bool(_SIDE.search(group[0])), len(group[0]), group[0]))
    return _complete(best)


def _models_among(groups: dict[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """The groups that are models by their names; all groups where none is."""
    models = {stem: group for stem, group in groups.items() if not _NO_MODEL.search(stem)}
    return models or groups


def _usual(groups: dict[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The groups of the first preferred quantisation that the repository has, else all groups."""
    for quant in _PREFERRED:
        found = _matching(groups, quant)
        if found:
            return found
    return list(groups.values())


def _groups(models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The files by name without part number and suffix, parts in order."""
    groups: dict[str, list[str]] = {}
    for name in models:
        groups.setdefault(_PART.sub("", name[: -len(".gguf")]), []).append(name)
    return {stem: tuple(sorted(parts)) for stem, parts in groups.items()}


def _matching(groups: dict[str, tuple[str, ...]], quant: str) -> list[tuple[str, ...]]:
    """Groups with `quant` as a whole word in their name or folder; `UD-` ones only when no other has it."""
    word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(quant)}(?![A-Za-z0-9_])", re.IGNORECASE)
    plain: list[tuple[str, ...]] = []
    special: list[tuple[str, ...]] = []
    for stem, group in groups.items():
        folder, _, name = stem.rpartition("/")
        where = name
        hit = word.search(name)
        if hit is None:
            where = folder
            hit = word.search(folder)
        if hit is None:
            continue
        if where[: hit.start()].upper().endswith("UD-"):
            special.append(group)
        else:
            plain.append(group)
    return plain or special


def _complete(group: tuple[str, ...]) -> tuple[str, ...]:
    """The group itself. Raises `LaunchError` where the repository lacks some of its parts."""
    part = _PART.search(group[0][: -len(".gguf")])
    if part is None:
        return group
    parts = whole(part[2])
    if parts is not None and len(group) != parts:
        raise LaunchError(
            f"only {len(group)} of {parts} parts of {group[0].rpartition('/')[2]} are in the repository",
            remedy="choose another quantisation, or report it to the repository's owner",
        )
    return group


def quants_in(names: Iterable[str]) -> tuple[str, ...]:
    """The quantisations in the names of GGUF files, sorted."""
    found = set()
    for name in names:
        if not name.lower().endswith(".gguf"):
            continue
        stem = _PART.sub("", name[: -len(".gguf")])
        if "mmproj" in stem.lower():
            continue
        hits = _QUANT.findall(stem)
        if hits:
            found.add(hits[-1])
    return tuple(sorted(found))


def _there_is_in(groups: dict[str, tuple[str, ...]]) -> str:
    names: list[str] = []
    for group in groups.values():
        names.extend(group)
    return _there_is(names)


def _there_is(names: Sequence[str]) -> str:
    """What the repository has, as a remedy."""
    quants = quants_in(names)
    if quants:
        return f"the repository has {', '.join(quants)}"
    if names:
        return f"the repository has {', '.join(names[:8])}"
    return "the repository has no GGUF file"
