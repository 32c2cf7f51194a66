"""A model that a recipe names by a path of the hosts: where it lies, and how its containers see it.

Such a model is neither downloaded nor sent. It is mounted read-only at the path that the recipe names, unless one of
the recipe's own volumes contains that path.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.names.mounts import (
    Judgement,
    is_below,
    judge_source,
    no_place_for_data,
    normal_path,
    split_volume,
)

CACHE_TARGETS = ("/root/.cache/huggingface", "/cache/huggingface")
"""Where containers see the host's Hugging Face cache: here, and as the sparkrun CLI mounts it."""
CONTAINER_HOME = "/root"
"""What `~` is in the containers."""

_LOCAL_PATH = late_regex(r"[~.]?/[^\0\n;|&$`<>\"'\\]*")
_SNAPSHOT = late_regex(r"models--([\w.-]{1,96})--([\w.-]{1,96})/snapshots/([0-9a-f]{40})(?![0-9a-f])")
_PART = late_regex(r"(.*)-([0-9]{5})-of-([0-9]{5})(\.gguf)", re.IGNORECASE)
_MOST_PARTS = 999
MAX_PATH = 4096
"""The most characters of a path; Linux takes none that are longer (PATH_MAX)."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model on a path of the hosts.

    `path` is the recipe's, in normal form: absolute, or beginning with `~/`. `inside` is the same in the containers.
    `source` is the path on the hosts, empty where it lies in a Docker volume or in the mounted model cache.
    `volumes` are the mounts that show it to the containers, written as for `-v`; empty where its folder is mounted
    anyway.
    """

    path: str
    inside: str
    source: str
    volumes: tuple[str, ...] = ()
    projector: str = ""
    """The path in the containers of the projector that belongs to it; empty where the recipe names none."""
    files: tuple[str, ...] = ()
    """The files on the hosts that it consists of, where it is a GGUF: its parts and the projector."""

    @property
    def is_gguf(self) -> bool:
        """Whether it is a GGUF file."""
        return self.path.lower().endswith(".gguf")

    @property
    def mounted(self) -> tuple[str, ...]:
        """The paths of the hosts that are mounted for it."""
        return tuple(split_volume(volume)[0] for volume in self.volumes)


def is_path(model: str) -> bool:
    """Whether a model is named by a path, in a form that can be passed to a shell and to Docker."""
    if len(model) > MAX_PATH or _LOCAL_PATH.fullmatch(model) is None:
        return False
    return ".." not in model.split("/")


def inside_path(model: str) -> str:
    """A model's path as its containers see it: below the home of root where it begins with `~/`."""
    if model.startswith("~/"):
        return CONTAINER_HOME + model[1:]
    return model


def local_model(model: str, volumes: Sequence[str] = (), projector: str = "") -> LocalModel | None:
    """The model of a recipe on the hosts; None where it is not named by an absolute path or one below the home.

    `volumes` are those of the recipe, whose targets may contain the path: it is then one of the container.
    `projector` is the file that the recipe names for a GGUF: a path, or a name beside the model.
    """
    found = _one_file(model, volumes)
    if found is None or not found.is_gguf:
        return found
    files = tuple(parts_of(found.source)) if found.source else ()
    beside = projector
    if projector and not projector.startswith(("/", "~/")):
        beside = f"{found.path.rpartition('/')[0]}/{projector}"
    companion = _one_file(beside, volumes) if beside.lower().endswith(".gguf") else None
    if companion is None:
        return replace(found, files=files)
    if companion.source:
        files = (*files, companion.source)
    mounts = tuple(dict.fromkeys((*found.volumes, *companion.volumes)))
    return replace(found, files=files, volumes=mounts, projector=companion.inside)


def _one_file(model: str, volumes: Sequence[str]) -> LocalModel | None:
    """A file or folder of the hosts, see `local_model`."""
    if not is_path(model) or not model.startswith(("/", "~/")) or ":" in model:
        return None
    path = normal_path(model)
    inside = inside_path(path)
    for volume in volumes:
        source, target, _ = split_volume(volume)
        target = normal_path(target)
        if is_below(inside, [target]):
            known = source.startswith(("/", "~"))
            return LocalModel(path, inside, source + inside[len(target) :] if known else "")
    if is_below(path, CACHE_TARGETS):
        return LocalModel(path, inside, "")
    mounts = tuple(f"{place}:{inside_path(place)}:ro" for place in _places(path))
    return LocalModel(path, inside, path, mounts)


def _places(path: str) -> list[str]:
    """What must be mounted to see a model: the path itself, all parts of a GGUF, the repository of a cached snapshot.

    The files of a snapshot are links to others in the same folder of the cache.
    """
    repository = _repository_of(path)
    if repository:
        return [repository]
    part = _PART.fullmatch(path)
    count = whole(part[3], least=1, most=_MOST_PARTS) if part is not None else None
    if part is None or count is None:
        return [path]
    return [f"{part[1]}-{number:05d}-of-{part[3]}{part[4]}" for number in range(1, count + 1)]


def _repository_of(path: str) -> str:
    """The folder of a repository in a Hugging Face cache whose snapshot a path names; empty for other paths."""
    before, mark, _ = path.partition("/snapshots/")
    if not mark or not before.rpartition("/")[2].startswith("models--"):
        return ""
    return before


def cached_snapshot(text: str) -> tuple[str, str] | None:
    """The repository and the commit of the first snapshot in a Hugging Face cache that a text names; None without one.

    The folder of `owner/name` is `models--owner--name` (huggingface_hub/file_download.py, repo_folder_name).
    """
    found = _SNAPSHOT.search(text)
    if found is None:
        return None
    return f"{found[1]}/{found[2]}", found[3]


def parts_of(path: str) -> list[str]:
    """All parts of a GGUF by the path of one; the path alone where it is not split."""
    if _repository_of(path):
        return [path]
    return _places(path)


def exposes_host(model: LocalModel, foreign: bool, home: str = "") -> str:
    """A path that this model would mount and that no recipe may: the root, folders of the system, homes, keys.

    Empty where there is none. For recipes of others it is every path that they may not mount either.
    """
    for place in model.mounted:
        if judge_source(place, home) is not Judgement.REFUSED:
            continue
        if foreign or no_place_for_data(place, home):
            return place
    return ""
