"""Digests of models on disk, one small file each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sparkrun_tui.base.disk.files import read_text, write_private
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.digest import Digest, from_data, to_data

_MOST_BYTES = 1 << 20
_UNSAFE = late_regex(r"[^A-Za-z0-9._@+-]")


def digest_path(folder: Path, model: str, revision: str = "") -> Path:
    """The file of the digest of a model (with its GGUF quantisation, if any) and revision."""
    name = model.replace("/", "--").replace(":", "+")
    if revision:
        name += f"@{revision.replace('/', '--')}"
    return folder / (_UNSAFE.sub("_", name).lstrip(".")[:200] + ".json")


def host_digest_path(folder: Path, path: str) -> Path:
    """The file of the digest of a model by its files on the hosts: of a path, or of `REPOSITORY@REVISION`."""
    return folder / f"host-{hashlib.sha256(path.encode()).hexdigest()[:32]}.json"


def read_digest(path: Path) -> Digest | None:
    """The digest of a file, None when there is none or it is damaged or of another format."""
    try:
        return from_data(parse_json(read_text(path, _MOST_BYTES)))
    except (OSError, ValueError):
        return None


def write_digest(path: Path, digest: Digest) -> None:
    """Write a digest so that readers see the old file or the new one, never half of one. Raises `OSError`."""
    write_private(path, json.dumps(to_data(digest), separators=(",", ":"), ensure_ascii=True))
