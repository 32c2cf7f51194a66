"""D1: a cache of models that others may write to gives none of the user's files away."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub import cache
from tests.support.shared_cache import COMMIT, WHOLE, build, stored_files


@pytest.mark.parametrize("how", ["snapshot", "blobs", "blob", "file"])
def test_a_file_that_leads_out_is_not_taken_for_a_download(how: str, tmp_path: Path) -> None:
    hub = build(tmp_path, how)
    name = "id_rsa" if how == "snapshot" else "x.txt"
    assert name not in {file.name for file in cache.files_in(hub, "org/m", COMMIT)}


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
