"""What is quickly read from a model's files in the local Hugging Face cache: configuration and bytes of weights."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.disk.files import open_regular, read_text
from sparkrun_tui.base.reading.json_text import parse_json
from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.digest import Digest, digest_config
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.safetensors_header import least_size

_COMMIT = late_regex(r"[0-9a-f]{40}")
_SHARD = late_regex(r"(.*)-([0-9]{5})-of-([0-9]{5})\.safetensors")
_MOST_BYTES = 4 << 20
"""Bytes of a configuration; the largest have a tenth of it, and they are read where the app waits for them."""


def folder_name(repo: str) -> str:
    """The folder of a model repository inside a cache's `hub/` (huggingface_hub's `repo_folder_name`)."""
    return "models--" + repo.replace("/", "--")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A snapshot's folder and its commit."""

    path: Path
    commit: str


def find_snapshot(hub: Path, repo: str, revision: str = "") -> Snapshot | None:
    """The cached snapshot of a repository's revision (empty: `main`), None when there is none."""
    folder = hub / folder_name(repo)
    commit = revision
    if not _COMMIT.fullmatch(revision):
        try:
            commit = read_text(folder / "refs" / (revision or "main"), encoding="ascii").strip()
        except (OSError, ValueError):
            return None
    path = folder / "snapshots" / commit
    if not _COMMIT.fullmatch(commit) or not path.is_dir():
        return None
    return Snapshot(path, commit)


def snapshot_digest(model: str, snapshot: Snapshot) -> Digest | None:
    """The digest of a snapshot that has a `config.json`; weights by their total when all files are there."""
    config = read_json(snapshot.path / "config.json")
    if config is None:
        return None
    companion = read_json(snapshot.path / "hf_quant_config.json")
    total = weight_bytes(snapshot.path)
    return Digest(
        model=model,
        source="files in the Hugging Face cache",
        commit=snapshot.commit,
        config=digest_config(config, companion),
        weights=WeightFacts(total, "files") if total else None,
    )


def read_json(path: Path) -> Mapping[str, object] | None:
    """A JSON object of a file, None when there is none or it is damaged."""
    try:
        data = parse_json(read_text(path, _MOST_BYTES))
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def weight_bytes(folder: Path) -> int | None:
    """The bytes of a snapshot's safetensors files, None when there are none, or a part is missing or was cut off.

    Headers are counted too (well below a thousandth).
    """
    sizes: dict[str, int] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.endswith(".safetensors") and entry.is_file():
                    sizes[entry.name] = entry.stat().st_size
        total = whole_bytes(sizes)
        # Headers are read last: where a part is missing, they need not be.
        if total is None or not all(_is_whole(folder / name, size) for name, size in sizes.items()):
            return None
    except OSError:
        return None
    return total


def _is_whole(path: Path, size: int) -> bool:
    """Whether a file has the bytes that its own header asks for; raises `OSError`.

    A download that was cut off leaves a short file under its whole name.
    """
    with open_regular(path) as file:

        def fetch(start: int, length: int) -> bytes:
            file.seek(start)
            return file.read(length)

        least = least_size(fetch)
    return least is not None and least <= size


def whole_bytes(sizes: Mapping[str, int]) -> int | None:
    """The bytes of weight files by name, None when there are none or a part of a split one is missing."""
    # Each set of parts is checked once: there may be as many sets, or parts of one, as there are files.
    parts = {(part[1], part[3]) for name in sizes if (part := _SHARD.fullmatch(name)) is not None}
    for stem, count in parts:
        for number in range(1, (whole(count) or 0) + 1):
            if f"{stem}-{number:05d}-of-{count}.safetensors" not in sizes:
                return None
    return sum(sizes.values()) or None
