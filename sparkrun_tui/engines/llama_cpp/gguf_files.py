"""Which files of a GGUF repository make up one quantisation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.numbers import whole

OWN_PROJECTOR = "*mmproj*.gguf"
"""In place of a projector's name: the one that lies beside the model, where the repository has one."""
_PROJECTORS = ("F16", "BF16", "F32")
"""Number formats of projectors, the usual one first."""
_PART = re.compile(r"-([0-9]{5})-of-([0-9]{5})$")
_PREFERRED = ("Q4_K_M", "Q8_0")
_QUANT = re.compile(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]{1,12}){0,4}|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32))(?![A-Za-z0-9_])",
    re.I,
)
_SIDE = re.compile(r"(?:^|[-_./])(?:draft|mtp)(?:[-_./]|$)", re.IGNORECASE)
"""Words of files that are taken only when no other has the quantisation: some are whole models with more layers."""
_NO_MODEL = re.compile(r"(?:^|[-_./])(?:imatrix|lora|vae|dflash\d?|dspark|eagle\d?)(?:[-_./]|$)", re.IGNORECASE)
"""Words of files that go with a model and are none: drafters, adapters, statistics."""


@dataclass(frozen=True, slots=True)
class GgufChoice:
    """The files to fetch; `first` is what `-m` gets (the first part), `mmproj` the projector when one was named."""

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
    """Pick the files of `quant` (exact, as a whole word) out of a repository's file names, all parts of a split.

    Without a quantisation Q4_K_M is taken, else Q8_0, else the only one. Drafters and other files that go with a model
    count only where the repository has nothing else, or the file itself is named. `mmproj` is a projector the command
    names, or `OWN_PROJECTOR`. Raises `LaunchError` that lists what there is.
    """
    ggufs = sorted(name for name in names if name.lower().endswith(".gguf"))
    models = [name for name in ggufs if not is_projector(name)]
    group = _pick(models, quant)
    projector = ""
    if mmproj == OWN_PROJECTOR:
        projector = _own_projector([name for name in ggufs if is_projector(name)], group[0])
    elif mmproj:
        wanted = mmproj.rpartition("/")[2]
        projector = next((name for name in ggufs if name.rpartition("/")[2] == wanted), "")
        if not projector:
            raise LaunchError(f"the repository has no file `{wanted}`", remedy=_there_is(ggufs))
    files = (*group, projector) if projector else group
    return GgufChoice(group[0], files, projector)


def is_projector(name: str) -> bool:
    """Whether a file of a GGUF repository holds a projector for images or sound."""
    return "mmproj" in name.rpartition("/")[2].lower()


def _own_projector(projectors: Sequence[str], model: str) -> str:
    """The projector that llama-server would take with `-hf`: beside the model before elsewhere, F16 before others."""
    folder = model.rpartition("/")[0]

    def rank(name: str) -> tuple[bool, int, str]:
        found = _QUANT.findall(name.rpartition("/")[2])
        kind = found[-1].upper() if found else ""
        place = _PROJECTORS.index(kind) if kind in _PROJECTORS else len(_PROJECTORS)
        return (name.rpartition("/")[0] != folder, place, name)

    return min(projectors, key=rank, default="")


def _pick(models: Sequence[str], quant: str) -> tuple[str, ...]:
    groups = _groups(models)
    named = quant.lower().endswith(".gguf")
    if not named:
        groups = {stem: group for stem, group in groups.items() if not _NO_MODEL.search(stem)} or groups
        models = [name for group in groups.values() for name in group]
    if named:
        found = [group for group in groups.values() if quant in (group[0], group[0].rpartition("/")[2])]
    elif quant:
        found = _matching(groups, quant)
    else:
        found = next((hits for word in _PREFERRED if (hits := _matching(groups, word))), [*groups.values()])
    if not found:
        raise LaunchError(f"the repository has no GGUF of the quantisation `{quant}`", remedy=_there_is(models))
    if not quant and len(found) > 1:
        raise LaunchError("the recipe's model names no quantisation", remedy=_there_is(models))
    best = min(found, key=lambda group: (bool(_SIDE.search(group[0])), len(group[0]), group[0]))
    return _complete(best)


def _groups(models: Sequence[str]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name in models:
        groups.setdefault(_PART.sub("", name[: -len(".gguf")]), []).append(name)
    return {stem: tuple(sorted(parts)) for stem, parts in groups.items()}


def _matching(groups: dict[str, tuple[str, ...]], quant: str) -> list[tuple[str, ...]]:
    """Groups whose name or folder holds `quant` as a whole word; `UD-` ones only when nothing else does."""
    word = re.compile(rf"(?<![A-Za-z0-9_]){re.escape(quant)}(?![A-Za-z0-9_])", re.IGNORECASE)
    plain: list[tuple[str, ...]] = []
    special: list[tuple[str, ...]] = []
    for stem, group in groups.items():
        name, folder = stem.rpartition("/")[2], stem.rpartition("/")[0]
        where = name if word.search(name) else folder
        hit = word.search(where)
        if hit is not None:
            dynamic = where[: hit.start()].upper().endswith("UD-")
            (special if dynamic else plain).append(group)
    return plain or special


def _complete(group: tuple[str, ...]) -> tuple[str, ...]:
    part = _PART.search(group[0][: -len(".gguf")])
    parts = None if part is None else whole(part[2])
    if parts is not None and len(group) != parts:
        raise LaunchError(
            f"{len(group)} of {parts} parts of {group[0].rpartition('/')[2]} are in the repository",
            remedy="choose another quantisation, or tell the repository's owner",
        )
    return group


def quants_in(names: Iterable[str]) -> tuple[str, ...]:
    """The quantisations that the file names speak of, sorted."""
    found = set()
    for name in names:
        stem = _PART.sub("", name[: -len(".gguf")]) if name.lower().endswith(".gguf") else ""
        hits = _QUANT.findall(stem)
        if hits and "mmproj" not in stem.lower():
            found.add(hits[-1])
    return tuple(sorted(found))


def _there_is(names: Sequence[str]) -> str:
    quants = quants_in(names)
    if quants:
        return f"the repository has {', '.join(quants)}"
    return f"the repository has {', '.join(names[:8])}" if names else "the repository has no GGUF file"
