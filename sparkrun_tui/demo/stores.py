"""The model cache of a simulated Spark: how it lists itself, what is removed from it, and what lies there at first."""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Iterator

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.host import DISK_TOTAL, HF_CACHE, Host
from sparkrun_tui.demo.ssh_keys import USER
from sparkrun_tui.models.snapshot import folder_name
from sparkrun_tui.remote.ports.models import ModelPlan, ModelRequest, StoredModel

_KIB = 1024
_DAY = 86_400.0
OLD_MODEL = ModelRequest("acme-labs/Old-Chat-13B")
"""A model that hosts have and no recipe names."""
_BROKEN = "acme-labs/Broken-Off-70B"
_OLD_IMAGE = "nvcr.io/nvidia/vllm:25.09-py3"


@dataclass(slots=True)
class Leftover:
    """What a broken download has left of a model, bytes."""

    size: int


def furnish(host: Host, old: ModelPlan) -> None:
    """Let a host have what hosts have after a while: a model that no recipe names, and half of a download."""
    model = StoredModel(old.repo, old.commit, "", old.files)
    host.models[model.snapshot] = model
    host.read[old.repo] = host.clock.now() - 41.5 * _DAY
    if host.number == 1:
        host.leftovers[_BROKEN] = Leftover(int(38.5 * GIB))
        host.read[_BROKEN] = host.clock.now() - 9.5 * _DAY
    host.images.add(_OLD_IMAGE)


def listed(host: Host) -> str:
    """The answer to the script that lists the cache."""
    return "\n".join(_lines(host)) + "\n"


def _lines(host: Host) -> Iterator[str]:
    now = host.clock.now()
    yield f"now\t{now:.0f}"
    yield f"user\t{USER}"
    yield f"boot\t{host.boot_id}"
    if host.lease:
        yield f"lease\t10\t{base64.b64encode(host.lease).decode()}"
    yield f"hub\t{host.number}:1\t{HF_CACHE}/hub"
    free = host.disk_free // _KIB
    yield f"disk\t/dev/nvme0n1p2 {DISK_TOTAL // _KIB} {DISK_TOTAL // _KIB - free} {free} 9% /"
    repos = {model.repo for model in host.models.values()} | set(host.leftovers)
    for repo in sorted(repos):
        yield f"repo\tyes\t{USER}\t{folder_name(repo)}"
        yield f"owner\t{USER}"
        models = [model for model in host.models.values() if model.repo == repo]
        left = host.leftovers.get(repo)
        size = sum(model.size for model in models) + (left.size if left else 0)
        used = host.read.get(repo, now)
        yield f"sum\t{size}\t{used:.0f}\t{used:.0f}"
        if left is not None:
            yield f"parts\t1\t{left.size}\t0"
        for model in models:
            yield f"rev\t{model.commit}\t{len(model.files)}\t{model.size}\t0"
            yield f"ref\t./{model.ref or 'main'}:{model.commit}"
    yield "end"


def files_of(host: Host, script: str) -> str:
    """The answer to the script that lists one model."""
    folder = _assigned(script, "folder").rpartition("/")[2]
    commit = _assigned(script, "commit")
    for model in host.models.values():
        if model.folder == folder and commit in ("", model.commit):
            lines = [f"commit\t{model.commit}", *(f"file\t{file.size}\t{file.name}" for file in model.files)]
            return "\n".join(lines) + "\n"
    return ""


def removed(host: Host, script: str) -> str:
    """Remove models and leftovers, and answer as the script does."""
    for folder in _words_of(script, 0):
        for repo in [repo for repo in host.leftovers if folder_name(repo) == folder]:
            del host.leftovers[repo]
    for folder in _words_of(script, 1):
        for snapshot in [name for name, model in host.models.items() if model.folder == folder]:
            del host.models[snapshot]
        for repo in [repo for repo in host.leftovers if folder_name(repo) == folder]:
            del host.leftovers[repo]
    return "end\n"


def _assigned(script: str, name: str) -> str:
    found = re.search(rf"^{name}=(.*)$", script, re.MULTILINE)
    return "".join(shlex.split(found[1])) if found else ""


def _words_of(script: str, place: int) -> list[str]:
    """The names in one of the two loops of the removal."""
    loops = re.findall(r"^for name in (.*); do$", script, re.MULTILINE)
    return shlex.split(loops[place]) if place < len(loops) else []
