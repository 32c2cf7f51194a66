"""A whole model cache: how a real shell lists it, and what the removal takes and leaves."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.hub.gguf_length import gguf_least_size
from sparkrun_tui.remote.hub.host_store import HostStore, StoredRepo, list_store, read_store
from sparkrun_tui.remote.hub.store_removal import remove
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.support.stored import COMMIT, OTHER, leave_part, store_model
from tests.support.weights import gguf


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache whose path needs quotes, in a home of its own."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    hub = tmp_path / "it's a cache" / "hub"
    hub.mkdir(parents=True)
    return hub


async def seen(hub: Path) -> HostStore:
    return await list_store(LocalTransport(), str(hub))


async def repos(hub: Path) -> dict[str, StoredRepo]:
    return {repo.repo: repo for repo in (await seen(hub)).repos}


async def test_a_model_is_listed_with_its_revisions_and_what_they_name(hub: Path) -> None:
    folder = store_model(hub, "org/m", size=100_000)
    store_model(hub, "org/m", OTHER, size=50_000)
    (folder / "refs/pr").mkdir()
    (folder / "refs/pr/3").write_text(COMMIT)
    (folder / f"snapshots/{OTHER}/lost.bin").symlink_to("../../blobs/none")
    found = (await repos(hub))["org/m"]
    by_commit = {revision.commit: revision for revision in found.revisions}
    first, second = by_commit[COMMIT], by_commit[OTHER]
    assert (first.files, first.lost, first.refs) == (3, 0, ("pr/3",))
    assert 100_000 < first.size < 101_000
    assert (second.files, second.lost, second.refs) == (4, 1, ("main",))
    assert found.size >= 150_000 and found.changed > 1e9 and found.read > 1e9
    assert found.owners == (os.environ.get("USER", found.owners[0]),) and found.writable


async def test_a_host_says_where_its_cache_is_and_what_is_free(hub: Path) -> None:
    store = await seen(hub)
    assert store.hub == str(hub) and store.boot_id and store.place and store.user
    assert store.disk_free and store.disk_total and store.disk_free < store.disk_total
    assert (store.repos, store.lease) == ((), None)


async def test_without_a_cache_there_is_none(hub: Path) -> None:
    store = await list_store(LocalTransport(), str(hub / "nowhere"))
    assert (store.hub, store.repos, store.disk_free) == ("", (), None)


@pytest.mark.parametrize("variable", ["HF_HOME", "XDG_CACHE_HOME", "HOME"])
async def test_a_host_knows_its_own_cache(hub: Path, monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    below = {"HF_HOME": "hub", "XDG_CACHE_HOME": "huggingface/hub", "HOME": ".cache/huggingface/hub"}[variable]
    for name in ("HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(hub.parent / "set"))
    store_model(hub.parent / "set" / below, "org/own")
    store = await list_store(LocalTransport())
    assert [repo.repo for repo in store.repos] == ["org/own"]


@pytest.mark.parametrize(
    "name",
    [
        "blobs/77.incomplete",
        "blobs/.sparkrun-partial/77",
        f"snapshots/{COMMIT}/.sparkrun-partial/config.json",
        "blobs/.77.Ab3dEf",
    ],
)
async def test_parts_of_downloads_and_transfers_are_counted_and_removed(hub: Path, name: str) -> None:
    folder = store_model(hub, "org/m")
    part = leave_part(folder, name)
    found = (await repos(hub))["org/m"]
    assert (found.parts, found.busy) == (1, 0) and found.partial >= 9000
    assert await remove(LocalTransport(), await seen(hub), parts=["org/m"]) == {}
    assert not part.exists() and (folder / f"snapshots/{COMMIT}/model.safetensors").exists()
    assert (await repos(hub))["org/m"].parts == 0


async def test_what_is_being_downloaded_stays(hub: Path) -> None:
    folder = store_model(hub, "org/m")
    growing, left = leave_part(folder, "blobs/1.incomplete", age=5), leave_part(folder, "blobs/2.incomplete")
    found = (await repos(hub))["org/m"]
    assert (found.parts, found.busy) == (2, 1)
    why = await remove(LocalTransport(), await seen(hub), models=["org/m"])
    assert why == {"org/m": "it is being downloaded"} and left.exists()
    await remove(LocalTransport(), await seen(hub), parts=["org/m"])
    assert growing.exists() and not left.exists()


async def test_a_model_goes_with_its_locks_and_nothing_else_does(hub: Path) -> None:
    store_model(hub, "org/m")
    kept = store_model(hub, "org/m-2")
    for name in ("models--org--m", "models--org--m-2"):
        (hub / ".locks" / name).mkdir(parents=True)
    assert await remove(LocalTransport(), await seen(hub), models=["org/m"]) == {}
    assert sorted(os.listdir(hub)) == [".locks", kept.name]
    assert os.listdir(hub / ".locks") == [kept.name]


async def test_it_is_not_removed_from_another_folder_than_was_listed(hub: Path) -> None:
    store_model(hub, "org/m")
    store = await seen(hub)
    os.rename(hub, f"{hub}-moved")
    store_model(hub, "org/m")
    with pytest.raises(HostError, match="another folder now"):
        await remove(LocalTransport(), store, models=["org/m"])
    assert (hub / "models--org--m").is_dir()


def test_an_answer_that_says_anything_is_read_without_harm() -> None:
    text = (
        "rev\tx\n"
        "repo\tyes\tme\t../../etc\nrepo\tyes\tme\tmodels--a--b\nrev\tnot a commit\t1\t1\t1\n"
        f"rev\t{COMMIT}\t-1\t99999999999999999999999\tx\nref\t../../x:{COMMIT}\nsum\t\t\t\nparts\t1\n"
        "link\tmodels--l\t\x1b[31m/etc\nlease\tx\t!!!\nend"
    )
    store = read_store(text)
    assert [repo.repo for repo in store.repos] == ["a/b", "l"]
    (revision,) = store.repos[0].revisions
    assert (revision.files, revision.size, revision.refs) == (0, 0, ())
    assert "\x1b" not in store.repos[1].leads and store.lease == b""


@pytest.mark.parametrize("left", [None, 5, 40, 3000])
async def test_a_gguf_on_a_host_is_known_by_its_header(tmp_path: Path, left: int | None) -> None:
    path = tmp_path / "it's.gguf"
    data = gguf(32 * 1000)
    path.write_bytes(data[:left])
    least = await gguf_least_size(LocalTransport(), str(path), path.stat().st_size)
    if left is None:
        assert least == len(data)
    else:
        assert least is not None and least > left
