"""Model caches on this machine's disk, as the Hub's client and rsync leave them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.weights import safetensors

COMMIT = "abc0" * 10
OTHER = "0def" * 10
OLD = 3600.0
"""An age in seconds of files that nothing writes any more."""


def store_model(hub: Path, repo: str, commit: str = COMMIT, *, size: int = 4000) -> Path:
    """A whole model with one blob for each file, and `main` that names its commit; its folder."""
    folder = hub / f"models--{repo.replace('/', '--')}"
    snapshot = folder / "snapshots" / commit
    for place in (folder / "blobs", folder / "refs", snapshot):
        place.mkdir(parents=True, exist_ok=True)
    files = {"config.json": b"{}", "tokenizer.json": b"{}", "model.safetensors": safetensors(size)}
    for number, (name, data) in enumerate(files.items()):
        blob = folder / "blobs" / f"{commit[:4]}{number}"
        blob.write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{blob.name}")
    (folder / "refs" / "main").write_text(commit)
    return folder


def leave_part(folder: Path, name: str = "blobs/77.incomplete", *, size: int = 9000, age: float = OLD) -> Path:
    """A part of a download that broke off `age` seconds ago."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = path.stat().st_mtime - age
    os.utime(path, (then, then))
    return path
