"""What a host's model cache holds, read by a script without the Hub."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.host_cache import listing
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.support.weights import safetensors

COMMIT = "abc0" * 10
INDEX = '{"weight_map": {"ü": "a.safetensors"}}'


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with one model, linked as the Hub's client links it; one link has lost its blob."""
    cache = tmp_path / "it's a cache"
    folder = cache / "hub/models--org--m"
    for name in ("blobs", "refs", f"snapshots/{COMMIT}/sub"):
        (folder / name).mkdir(parents=True)
    (folder / "refs/main").write_text(COMMIT)
    for blob, name, text in (("1", "a.safetensors", "12345"), ("2", "sub/model.safetensors.index.json", INDEX)):
        (folder / "blobs" / blob).write_text(text, encoding="utf-8")
        (folder / f"snapshots/{COMMIT}" / name).symlink_to(f"{'../' * name.count('/')}../../blobs/{blob}")
    (folder / f"snapshots/{COMMIT}/lost.safetensors").symlink_to("../../blobs/3")
    return cache


async def test_files_are_those_whose_blobs_are_there(cache: Path) -> None:
    found = await listing(LocalTransport(), str(cache), "org/m", "")
    assert found is not None
    assert found.commit == COMMIT and not found.partial
    size = len(INDEX.encode())
    assert [(file.name, file.size) for file in found.files] == [
        ("a.safetensors", 5),
        ("sub/model.safetensors.index.json", size),
    ]
    assert found.indexes == {"sub/model.safetensors.index.json": INDEX}


async def test_parts_of_a_download_are_told(cache: Path) -> None:
    (cache / "hub/models--org--m/blobs/9.incomplete").touch()
    found = await listing(LocalTransport(), str(cache), "org/m", "main")
    assert found is not None and found.partial


@pytest.mark.parametrize(("repo", "revision"), [("org/other", ""), ("org/m", "v2"), ("org/m", "0" * 40)])
async def test_what_is_not_there_is_none(cache: Path, repo: str, revision: str) -> None:
    assert await listing(LocalTransport(), str(cache), repo, revision) is None


@pytest.mark.parametrize("left", [0, 5, 60, 999, None])
async def test_a_file_that_was_cut_off_is_known_by_its_header(cache: Path, left: int | None) -> None:
    weights = cache / f"hub/models--org--m/snapshots/{COMMIT}/with space.safetensors"
    weights.write_bytes(safetensors(1_000))
    if left is not None:
        os.truncate(weights, left)
    found = await listing(LocalTransport(), str(cache), "org/m", "")
    assert found is not None
    assert ("with space.safetensors" in found.cut) == (left is not None)


async def test_a_file_that_was_cut_off_is_known_by_a_kept_listing(cache: Path) -> None:
    folder = cache / "hub/models--org--m"
    (folder / f"snapshots/{COMMIT}/tokenizer.json").write_text("{")
    (folder / "trees").mkdir()
    listed = {"format_version": 1, "files": {"tokenizer.json": {"size": 2, "blob_id": "x"}}}
    (folder / f"trees/{COMMIT}.json").write_text(json.dumps(listed))
    found = await listing(LocalTransport(), str(cache), "org/m", "")
    assert found is not None and "tokenizer.json" in found.cut


async def test_what_is_no_safetensors_file_is_as_long_as_it_is(cache: Path) -> None:
    (cache / f"hub/models--org--m/snapshots/{COMMIT}/odd.safetensors").write_bytes(b"\xff" * 100)
    found = await listing(LocalTransport(), str(cache), "org/m", "")
    assert found is not None and "odd.safetensors" not in found.cut
