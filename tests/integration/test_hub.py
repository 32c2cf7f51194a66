"""The Hub stand-in serves the real huggingface_hub as the real Hub would, and fails on request."""

from __future__ import annotations

import subprocess

import pytest
from cluster import Host, models
from cluster.hub_client import Hub
from cluster.workstation import Workstation
from fetching import download, give_model


def test_a_snapshot_comes_as_the_hub_has_it_and_rsync_carries_it_on(
    hosts: list[Host], hub: Hub, workstation: Workstation
) -> None:
    give_model(workstation, hosts, models.CHECKPOINT)
    names = sorted(path.name for path in (hub.directory / models.CHECKPOINT).iterdir())
    for host in hosts:
        snapshot = "/root/.cache/huggingface/hub/models--tiny-lab--tiny-chat/snapshots/*"
        assert host.run(f"ls {snapshot}").split() == names
        received = host.path(host.run(f"ls {snapshot}/model-00002-of-00002.safetensors").strip())
        original = hub.file(models.CHECKPOINT, "model-00002-of-00002.safetensors")
        assert host.run(f"sha256sum {snapshot}/{original.name}").split()[0] == _sha256(str(original))
        assert received.is_symlink()


def _sha256(path: str) -> str:
    return subprocess.run(["sha256sum", path], capture_output=True, text=True, check=True).stdout.split()[0]


def test_only_the_files_of_a_pattern_are_downloaded(hub: Hub, workstation: Workstation) -> None:
    hub.heal()
    snapshot = download(models.GGUF, "*-Q8_0.gguf")
    assert sorted(path.name for path in snapshot.iterdir()) == ["tiny-chat-Q8_0.gguf", "tiny-chat-UD-Q8_0.gguf"]
    assert not any("F16" in request.path for request in hub.requests())


def test_a_gated_repository_needs_a_token(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RuntimeError, match="GatedRepoError"):
        download(models.GATED)
    with pytest.raises(RuntimeError, match="RepositoryNotFoundError"):
        download("tiny-lab/no-such-model")
    monkeypatch.setenv("HF_TOKEN", "hf_not_a_real_token")
    assert (download(models.GATED) / "config.json").exists()
    assert any(request.token for request in hub.requests())


def test_a_dropped_download_is_finished_all_the_same(hub: Hub, workstation: Workstation) -> None:
    name = "model-00001-of-00002.safetensors"
    hub.fault(drop_after=500_000, times=1)
    snapshot = download(models.CHECKPOINT, name)
    assert _sha256(str(snapshot / name)) == _sha256(str(hub.file(models.CHECKPOINT, name)))
    assert sum(request.path.startswith("/content/") for request in hub.requests()) == 2
