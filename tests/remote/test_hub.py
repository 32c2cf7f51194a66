"""Models onto the workstation: the real huggingface_hub in a child process, against a stand-in for the Hub."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.remote.hub import cache as hub_cache
from sparkrun_tui.remote.hub.downloads import Choice, HubError, HubSource, explain
from sparkrun_tui.remote.hub.worker import describe, disk_bytes, remove_cut
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel, Transfer
from tests.support.hub_process import HubProcess
from tests.support.site import until
from tests.support.weights import gguf, safetensors

REPO = "acme/tiny"


def choose(names: Sequence[str], request: ModelRequest) -> Choice:
    files = tuple(name for name in names if request.gguf_quant in name)
    return Choice(files, files[0])


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubProcess]:
    async with HubProcess(tmp_path / "hub") as process:
        process.write(f"{REPO}/config.json", b"{}")
        process.write(f"{REPO}/tokenizer.json", b"{}")
        process.write(f"{REPO}/model.safetensors", os.urandom(300_000))
        process.write(f"{REPO}/original/consolidated.pth", b"x" * 1000)
        yield process


@pytest.fixture
def source(hub: HubProcess, tmp_path: Path) -> HubSource:
    return HubSource(choose, hub=tmp_path / "cache" / "hub", endpoint=hub.endpoint, sleep=lambda _s: asyncio.sleep(0))


async def fetch(source: HubSource, request: ModelRequest) -> tuple[list[Transfer], StoredModel]:
    items = [item async for item in source.fetch(request)]
    assert isinstance(items[-1], StoredModel)
    return [item for item in items if isinstance(item, Transfer)], items[-1]


async def test_sizes_first_then_the_files_and_then_nothing_to_do(source: HubSource, hub: HubProcess) -> None:
    request = ModelRequest(REPO)
    plan = await source.plan(request)
    assert {file.name: file.size for file in plan.files} == {
        "config.json": 2,
        "tokenizer.json": 2,
        "model.safetensors": 300_000,
    }
    assert plan.missing == plan.size == 300_004
    assert await source.stored(request) is None
    transfers, model = await fetch(source, request)
    assert transfers[0].done == 0
    assert (transfers[-1].done, transfers[-1].total) == (300_004, 300_004)
    assert (Path(model.hub) / model.snapshot / "model.safetensors").stat().st_size == 300_000
    assert (model.commit, model.ref, model.entry) == (plan.commit, "main", "")
    assert await source.stored(request) == model
    assert (await source.plan(request)).missing == 0
    hub.fault()
    transfers, again = await fetch(source, request)
    assert again == model
    assert transfers[0].done == 300_004
    assert not [asked for asked in hub.requests() if "/resolve/" in asked["path"]]


async def test_only_the_files_of_a_quantisation(source: HubSource, hub: HubProcess) -> None:
    hub.write("acme/tiny-GGUF/tiny-Q4_K_M-00001-of-00002.gguf", b"a" * 100)
    hub.write("acme/tiny-GGUF/tiny-Q4_K_M-00002-of-00002.gguf", b"b" * 50)
    hub.write("acme/tiny-GGUF/tiny-Q8_0.gguf", b"c" * 900)
    _, model = await fetch(source, ModelRequest("acme/tiny-GGUF", gguf_quant="Q4_K_M"))
    assert [file.name for file in model.files] == [
        "tiny-Q4_K_M-00001-of-00002.gguf",
        "tiny-Q4_K_M-00002-of-00002.gguf",
    ]
    assert model.entry == "tiny-Q4_K_M-00001-of-00002.gguf"
    assert await source.stored(ModelRequest("acme/tiny-GGUF", gguf_quant="Q4_K_M")) == model
    (Path(model.hub) / model.snapshot / "tiny-Q4_K_M-00002-of-00002.gguf").unlink()
    assert await source.stored(ModelRequest("acme/tiny-GGUF", gguf_quant="Q4_K_M")) is None


@pytest.mark.parametrize("left", [3, 100, 2_000])
async def test_a_gguf_that_was_cut_off_is_not_whole(
    source: HubSource, hub: HubProcess, tmp_path: Path, left: int
) -> None:
    hub.write("acme/ggufs/m-Q8_0.gguf", gguf(4_096))
    request = ModelRequest("acme/ggufs", gguf_quant="Q8_0")
    await fetch(source, request)
    assert await source.stored(request) is not None
    (snapshot,) = (tmp_path / "cache/hub/models--acme--ggufs/snapshots").iterdir()
    os.truncate(snapshot / "m-Q8_0.gguf", left)
    assert await source.stored(request) is None


async def test_a_dropped_download_goes_on(source: HubSource, hub: HubProcess) -> None:
    hub.write(f"{REPO}/model.safetensors", os.urandom(2_000_000))
    hub.fault(drop_after=700_000, times=2)
    _, model = await fetch(source, ModelRequest(REPO))
    assert (Path(model.hub) / model.snapshot / "model.safetensors").read_bytes() == (
        hub.root / REPO / "model.safetensors"
    ).read_bytes()


async def test_a_hub_out_of_order_is_asked_again(source: HubSource, hub: HubProcess) -> None:
    hub.fault(status=503, times=1)
    assert (await source.plan(ModelRequest(REPO))).size == 300_004


async def test_a_gate_is_explained_and_a_token_opens_it(
    source: HubSource, hub: HubProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.write(f"{REPO}/.gated", b"")
    with pytest.raises(HubError) as caught:
        await fetch(source, ModelRequest(REPO))
    assert caught.value.kind == "gated"
    assert f"huggingface.co/{REPO}" in caught.value.remedy
    token = Secret("hf_" + "a" * 30)
    items = [item async for item in source.fetch(ModelRequest(REPO), token)]
    assert isinstance(items[-1], StoredModel)


async def test_a_model_that_is_not_there(source: HubSource) -> None:
    with pytest.raises(HubError, match="no model acme/none") as caught:
        await source.plan(ModelRequest("acme/none"))
    assert caught.value.kind == "missing"
    with pytest.raises(HubError, match="no revision v9"):
        await source.plan(ModelRequest(REPO, revision="v9"))


async def test_no_network_is_told_as_such(tmp_path: Path) -> None:
    source = HubSource(choose, hub=tmp_path, endpoint="http://127.0.0.1:9", sleep=lambda _s: asyncio.sleep(0))
    with pytest.raises(HubError, match="cannot be reached") as caught:
        await source.plan(ModelRequest(REPO))
    assert caught.value.kind == "offline"


async def test_stopping_leaves_no_process(source: HubSource, hub: HubProcess, tmp_path: Path) -> None:
    hub.write(f"{REPO}/model.safetensors", bytes(40_000_000))
    hub.fault(rate=15_000_000)
    items = source.fetch(ModelRequest(REPO))
    async for item in items:
        if isinstance(item, Transfer) and item.done > 1_000_000:
            break
    await items.aclose()
    blobs = tmp_path / "cache" / "hub" / "models--acme--tiny" / "blobs"
    before = disk_bytes(blobs)
    await asyncio.sleep(0.3)
    assert disk_bytes(blobs) == before
    assert await source.stored(ModelRequest(REPO)) is None


async def test_a_stalled_download_is_started_again(hub: HubProcess, tmp_path: Path) -> None:
    hub.write(f"{REPO}/model.safetensors", os.urandom(200_000))
    source = HubSource(
        choose, hub=tmp_path / "cache", endpoint=hub.endpoint, stall=3.0, sleep=lambda _s: asyncio.sleep(0)
    )
    hub.fault(rate=1)
    seen: list[Transfer] = []

    async def run() -> StoredModel:
        model = None
        async for item in source.fetch(ModelRequest(REPO)):
            if isinstance(item, Transfer):
                seen.append(item)
            else:
                model = item
        assert model is not None
        return model

    task = asyncio.create_task(run())
    await until(lambda: any("nothing came" in item.detail for item in seen))
    hub.fault()
    assert (await task).size == 200_004


def test_a_partly_downloaded_model_is_not_whole(tmp_path: Path) -> None:
    commit = "a" * 40
    folder = tmp_path / "models--acme--big"
    snapshot = folder / "snapshots" / commit
    (folder / "blobs").mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(commit)
    snapshot.mkdir(parents=True)

    def put(name: str, content: bytes = b"{}") -> None:
        blob = folder / "blobs" / name
        blob.write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{name}")

    def whole() -> bool:
        return hub_cache.looks_whole(tmp_path, "acme/big", commit, hub_cache.files_in(tmp_path, "acme/big", commit))

    put("config.json")
    put("tokenizer.json")
    assert not whole()
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    put("model.safetensors.index.json", json.dumps(index).encode())
    put("model-00001-of-00002.safetensors", safetensors(100))
    assert not whole()
    put("model-00002-of-00002.safetensors", safetensors(100))
    assert whole()
    (folder / "blobs" / "x.incomplete").write_bytes(b"")
    assert not whole()
    (folder / "blobs" / "x.incomplete").unlink()
    (folder / "blobs" / "model-00002-of-00002.safetensors").unlink()
    assert not whole()
    assert hub_cache.commit_of(tmp_path, "acme/big", "") == commit
    assert hub_cache.commit_of(tmp_path, "acme/none", "") is None


@pytest.mark.parametrize("left", [0, 5, 40, 1_000, 299_999])
async def test_a_file_that_was_cut_off_is_fetched_again(
    source: HubSource, hub: HubProcess, tmp_path: Path, left: int
) -> None:
    content = safetensors(300_000)
    hub.write(f"{REPO}/model.safetensors", content)
    request = ModelRequest(REPO)
    await fetch(source, request)
    assert await source.stored(request) is not None
    (snapshot,) = (tmp_path / "cache/hub/models--acme--tiny/snapshots").iterdir()
    weights = snapshot / "model.safetensors"
    os.truncate(weights, left)
    # Its own header shows it: the Hub is not asked.
    assert await source.stored(request) is None
    assert (await source.plan(request)).missing == len(content)
    await fetch(source, request)
    assert weights.read_bytes() == content
    assert await source.stored(request) is not None


async def test_a_cut_file_is_known_by_the_listing_that_the_hub_client_keeps(source: HubSource, tmp_path: Path) -> None:
    request = ModelRequest(REPO)
    await fetch(source, request)
    folder = tmp_path / "cache/hub/models--acme--tiny"
    (snapshot,) = (folder / "snapshots").iterdir()
    (folder / "trees").mkdir()
    entry = {"size": 300_000, "blob_id": "b" * 40, "lfs_sha256": "c" * 64, "lfs_size": 300_000}
    files = {"config.json": {"size": 2, "blob_id": "d" * 40}, "model.safetensors": entry}
    (folder / "trees" / f"{snapshot.name}.json").write_text(json.dumps({"format_version": 1, "files": files}))
    assert await source.stored(request) is not None
    os.truncate(snapshot / "config.json", 1)
    assert await source.stored(request) is None


def test_a_cut_file_of_a_cache_that_others_share_is_left_to_them(tmp_path: Path) -> None:
    folder = tmp_path / "models--acme--big"
    shared = tmp_path / "shared"
    for place in (folder / "blobs", folder / "snapshots" / "a", shared):
        place.mkdir(parents=True)
    (shared / "x").write_bytes(b"1")
    (folder / "snapshots/a/x").symlink_to(shared / "x")
    remove_cut(folder, "a", "x", 2)
    assert not (folder / "snapshots/a/x").is_symlink()
    assert (shared / "x").read_bytes() == b"1"
    remove_cut(folder, "a", "x", 2)


def test_patterns_and_other_forms_of_the_same_weights() -> None:
    names = ("config.json", "model.safetensors", "pytorch_model.bin", "original/x.pth", "onnx/model.onnx")
    assert hub_cache.by_patterns(names, ()) == ("config.json", "model.safetensors")
    assert hub_cache.by_patterns(names[2:3], ()) == ("pytorch_model.bin",)
    assert hub_cache.by_patterns(names, ("*.json", "original/")) == ("config.json", "original/x.pth")


def test_errors_are_known_by_their_class_wherever_they_are_in_the_chain() -> None:
    class GatedRepoError(Exception):
        pass

    outer = RuntimeError("wrapped")
    outer.__cause__ = GatedRepoError("403")
    assert describe(outer)["error"] == "gated"
    assert describe(OSError(28, "No space left on device"))["error"] == "disk"
    found = explain(Decoded({"error": "disk", "message": "x"}), REPO, "")
    assert "disk is full" in found.what
    assert found.remedy
