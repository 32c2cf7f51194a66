"""A model's cache that several users share: one of them has put links into it that lead out of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sparkrun_tui.remote.hub.downloads import Choice
from sparkrun_tui.remote.ports.models import ModelRequest

COMMIT = "0123456789abcdef" * 2 + "01234567"
WHOLE = ("config.json", "tokenizer.json", "model.safetensors")
CANARY = "PRIVATE-CANARY"


def everything(names: Sequence[str], _: ModelRequest) -> Choice:
    return Choice(tuple(names))


def stored_files(snapshot: Path) -> None:
    snapshot.mkdir(parents=True, exist_ok=True)
    for name in WHOLE:
        (snapshot / name).write_text("{}")


def build(base: Path, how: str) -> Path:
    """A hub with one whole model, and a link of the given kind to a private folder. The hub."""
    secret = base / "home" / ".ssh"
    secret.mkdir(parents=True)
    (secret / "id_rsa").write_text(CANARY)
    repository = base / "hub" / "models--org--m"
    snapshot = repository / "snapshots" / COMMIT
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    if how == "snapshot":
        stored_files(secret)
        snapshot.parent.mkdir()
        snapshot.symlink_to(secret)
        return base / "hub"
    stored_files(snapshot)
    if how == "snapshots":
        (secret / COMMIT).mkdir()
        stored_files(secret / COMMIT)
        (secret / COMMIT / "x.txt").write_text(CANARY)
        snapshot.rename(repository / "gone")
        snapshot.parent.rmdir()
        snapshot.parent.symlink_to(secret)
    elif how == "blobs":
        (repository / "blobs").symlink_to(secret)
        (snapshot / "x.txt").symlink_to("../../blobs/id_rsa")
    elif how == "blob":
        (repository / "blobs").mkdir()
        (repository / "blobs" / "b1").symlink_to(secret / "id_rsa")
        (snapshot / "x.txt").symlink_to("../../blobs/b1")
    elif how == "file":
        (snapshot / "x.txt").symlink_to(secret / "id_rsa")
    else:
        (snapshot / "sub").symlink_to(secret)
    return base / "hub"
