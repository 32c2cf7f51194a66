"""Chooses the files of a GGUF repository that belong to one quantisation."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex

OWN_PROJECTOR = "*mmproj*.gguf"
"""In place of a projector's name: the projector of the repository nearest to the model, if it has one."""
USUAL_QUANT = "*"
"""In place of a quantisation: the one that llama-server takes where none is named."""
_PROJECTORS = ("F16", "BF16", "F32", "F8")
"""Number formats of projectors, the usual one first."""
_PART = late_regex(r"-([0-9]{5})-of-([0-9]{5})$")
_PREFERRED = ("Q4_K_M", "Q8_0")
_QUANT = late_regex(
    r"(?<![A-Za-z0-9])((?:UD-)?(?:I?Q\d(?:_[A-Z0-9]{1,12}){0,4}|TQ\d_\d|MXFP4(?:_MOE)?|NVFP4|BF16|F16|F32|F8))(?![A-Za-z0-9_])",
    re.I,
)
_SIDE = late_regex(r"(?:^|[-_./])(?:mtp|assistant)(?:[-_./]|$)", re.IGNORECASE)
"""Words of files that are chosen only when no other has the quantisation: some are whole models with more layers."""
_NO_MODEL = late_regex(
    r"(?:^|[-_./])(?:imatrix|lora|vae|dflash\d?|dspark\d?|eagle\d?|draft(?:er|s)?|speculator|medusa|vocoder)(?:[-_./]|$)"
    r"|(?:^|/)mtp[-_./]|[-_.]mtp[-_](?:head|only|draft)",
    re.IGNORECASE,
)
"""Words of files that belong to a model but are not models: drafters, heads that draft, adapters, statistics."""
_OF_PROJECTOR = late_regex(r"mmproj|gguf|(?<![a-z])(?:model|proj(?:ector)?)(?![a-z])", re.IGNORECASE)
"""What the name of a projector says beside the model's name and the format."""


@dataclass(frozen=True, slots=True)
class GgufChoice:
    """The files to fetch; `first` is the value of `-m` (the first part), `mmproj` the projector when one was named."""

    first: str
    files: tuple[str, ...]
    mmproj: str = ""


def choose(names: Iterable[str], quant: str, mmproj: str = "") -> GgufChoice:
    """The files of `quant` (exact, as a whole word) among a repository's file names, with all parts of a split file.

    Without a quantisation (or with `USUAL_QUANT`) it is Q4_K_M, else Q8_0, else the only one. Drafters and other files
    that belong to a model are chosen only where the repository has nothing else, or the file itself is named. `mmproj`
    is the name of a projector's file, a part of it (`F16`), or `OWN_PROJECTOR`. Raises `LaunchError`, which lists the
    choices.
    """
    if quant == USUAL_QUANT:
        quant = ""
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
        projector = _nearest(projectors, first)
    else:
        projector = _named(mmproj, projectors, ggufs, first)
    if projector:
        files = (*files, projector)
    return GgufChoice(first, files, projector)


def is_projector(name: str) -> bool:
    """Whether a file of a GGUF repository holds a projector for images or sound, by its name or its folder's."""
    return "mmproj" in name.lower()


def _named(wanted: str, projectors: Sequence[str], ggufs: Sequence[str], model: str) -> str:
    """The projector of that file name, in any folder, or with that word or text in its name.

    Raises `LaunchError` where there is none.
    """
    place = wanted.removeprefix("./").rpartition("/")
    exact = [name for name in ggufs if name == wanted or (not place[0] and name.rpartition("/")[2] == place[2])]
    if exact:
        return _nearest(exact, model)
    if wanted.lower().endswith(".gguf"):
        raise LaunchError(f"the repository has no file `{wanted}`", remedy=_projectors_there(projectors))
    text = wanted.lower()
    word = re.compile(rf"(?<![a-z0-9]){re.escape(text)}(?![a-z0-9])")
    found = [name for name in projectors if word.search(name.lower())]
    if not found:
        found = [name for name in projectors if text in name.lower()]
    if not found:
        raise LaunchError(f"the repository has no projector `{wanted}`", remedy=_projectors_there(projectors))
    return _nearest(found, model)


def _projectors_there(projectors: Sequence[str]) -> str:
    if not projectors:
        return "the repository has no projector: remove the word from the recipe"
    return f"the repository has {', '.join(projectors[:8])}"


def _nearest(projectors: Sequence[str], model: str) -> str:
    """The projector that belongs to a model; empty where there is none.

    One beside the model comes before one above it, and that before others; one named like the model before one named
    like another; then F16, which llama-server takes with `-hf`, before BF16, F32 and the rest.
    """

    def rank(name: str) -> tuple[int, int, int, str]:
        return (_distance(name, model), _likeness(name, model), _format_place(name), name)

    return min(projectors, key=rank, default="")


def _distance(name: str, model: str) -> int:
    """How many folders lie between a model and a projector beside or above it; more for one that lies elsewhere."""
    folders = model.split("/")[:-1]
    own = name.split("/")[:-1]
    if own == folders[: len(own)]:
        return len(folders) - len(own)
    return len(folders) + 1


def _likeness(name: str, model: str) -> int:
    """0 for a projector named like the model, 1 for one with a general name, 2 for one named like another model."""
    base = _QUANT.sub("", name.rpartition("/")[2])
    words = [word for word in re.split(r"[-_.]+", _OF_PROJECTOR.sub("", base).lower()) if word]
    if not words:
        return 1
    of_model = re.split(r"[-_.]+", model.rpartition("/")[2].lower())
    if all(word in of_model for word in words):
        return 0
    return 2


def _format_place(name: str) -> int:
    formats = _QUANT.findall(name.rpartition("/")[2])
    if formats and formats[-1].upper() in _PROJECTORS:
        return _PROJECTORS.index(formats[-1].upper())
    return len(_PROJECTORS)


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
        if is_projector(name):
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
