"""H1: pruning a model cache never reaches outside of it, and follows no link in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.remote.hub.host_store import list_store
from sparkrun_tui.remote.hub.store_removal import remove
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.support.stored import leave_part, store_model


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder beside the cache with files that must survive."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "canary").write_text("alive")
    leave_part(outside, "blobs/old.incomplete")
    return outside


@pytest.mark.parametrize("place", ["", "blobs", "snapshots", "refs", "blobs/deep"])
async def test_links_in_a_cache_are_not_followed(tmp_path: Path, outside: Path, place: str) -> None:
    hub = tmp_path / "hub"
    folder = hub / "models--org--m"
    if place:
        (folder / place).parent.mkdir(parents=True)
        (folder / place).symlink_to(outside)
    else:
        hub.mkdir()
        folder.symlink_to(outside)
    (hub / ".locks").symlink_to(outside)
    (outside / "models--org--m").mkdir()
    store = await list_store(LocalTransport(), str(hub))
    assert store.repos[0].parts == 0 and store.repos[0].size == 0
    assert bool(store.repos[0].leads) == (not place)
    for chosen in ({"parts": ["org/m"]}, {"models": ["org/m"]}):
        await remove(LocalTransport(), store, **chosen)
    assert (outside / "canary").read_text() == "alive"
    assert (outside / "blobs/old.incomplete").exists() and (outside / "models--org--m").is_dir()


@pytest.mark.parametrize("repo", ["../outside", "../../outside", "x/../../outside", "", ".", "$(touch canary2)", "a b"])
async def test_a_name_is_no_path_and_no_command(tmp_path: Path, outside: Path, repo: str) -> None:
    hub = tmp_path / "hub"
    store_model(hub, "org/m")
    store = await list_store(LocalTransport(), str(hub))
    await remove(LocalTransport(), store, models=[repo], parts=[repo])
    assert (outside / "canary").exists() and (hub / "models--org--m/blobs").is_dir()
    assert not any("canary2" in names for _, _, names in os.walk(tmp_path))


async def test_a_removed_model_takes_no_file_that_its_links_lead_to(tmp_path: Path, outside: Path) -> None:
    hub = tmp_path / "hub"
    folder = store_model(hub, "org/m")
    (folder / "blobs/away").symlink_to(outside / "canary")
    await remove(LocalTransport(), await list_store(LocalTransport(), str(hub)), models=["org/m"])
    assert not folder.exists() and (outside / "canary").read_text() == "alive"
