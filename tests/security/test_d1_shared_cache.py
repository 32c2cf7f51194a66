"""D1: a cache of models that others may write to gives none of the user's files away."""

from __future__ import annotations

import tracemalloc
from collections.abc import Sequence
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub import cache
from sparkrun_tui.remote.hub.downloads import Choice, HubSource
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.ports.models import ModelRequest
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.rsync import RsyncShipper
from tests.support.programs import need

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


@pytest.mark.parametrize("how", ["snapshot", "snapshots", "blobs", "blob", "file", "sub"])
async def test_no_file_of_the_user_is_sent_with_a_model(how: str, tmp_path: Path) -> None:
    need("rsync")
    hub = build(tmp_path, how)
    model = await HubSource(everything, hub=hub).stored(ModelRequest("org/m"))
    if model is None:
        return
    assert {file.name for file in model.files} <= set(WHOLE)
    pool = SshPool()
    shipper = RsyncShipper(pool.resolver, pool.policy)
    async for _ in shipper.ship(model, LocalTransport(), str(tmp_path / "target")):
        pass
    for path in (tmp_path / "target").rglob("*"):
        assert not path.is_file() or CANARY not in path.read_text(), path


@pytest.mark.parametrize("how", ["snapshot", "blobs", "blob", "file"])
def test_a_file_that_leads_out_is_not_taken_for_a_download(how: str, tmp_path: Path) -> None:
    hub = build(tmp_path, how)
    name = "id_rsa" if how == "snapshot" else "x.txt"
    assert cache.cached_size(hub, "org/m", COMMIT, name) is None


def test_models_on_another_disk_are_found(tmp_path: Path) -> None:
    stored_files(tmp_path / "disk" / "m" / "snapshots" / COMMIT)
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "models--org--m").symlink_to(tmp_path / "disk" / "m")
    assert {file.name for file in cache.files_in(tmp_path / "hub", "org/m", COMMIT)} == set(WHOLE)
    moved = tmp_path / "moved"
    moved.symlink_to(tmp_path / "hub")
    assert {file.name for file in cache.files_in(moved, "org/m", COMMIT)} == set(WHOLE)


def test_a_thousand_indexes_that_are_one_file_fill_no_memory(tmp_path: Path) -> None:
    snapshot = tmp_path / "models--org--m" / "snapshots" / COMMIT
    stored_files(snapshot)
    (snapshot / "big").write_bytes(b" " * (4 << 20))
    for number in range(1000):
        (snapshot / f"m{number}.safetensors.index.json").symlink_to("big")
    files = cache.files_in(tmp_path, "org/m", COMMIT)
    tracemalloc.start()
    try:
        assert not cache.looks_whole(tmp_path, "org/m", COMMIT, files)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
