"""I1: what a running container uses stays, under whatever name it mounts the cache."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.prune import Item, Kind, offer_models, prune
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.hub.host_mounts import MOST_PATHS, led_to
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.security.test_h1_shared_stores import DEVICE, hub, mounted, services
from tests.support.stored import store_model

__all__ = ["hub"]


@pytest.fixture
def disk(hub: Path, tmp_path: Path) -> Path:
    """A disk with the cache, which is known by three other names."""
    mounted(tmp_path, DEVICE)
    disk = tmp_path / "disk"
    (disk / "hf/hub").mkdir(parents=True)
    store_model(disk / "hf/hub", "org/m")
    (tmp_path / "linked").symlink_to(disk / "hf")
    (tmp_path / "other").symlink_to(disk)
    return disk


def box(source: Path, state: str = "running") -> ContainerInfo:
    """A container of another tool that mounts `source` and names no model."""
    return ContainerInfo("id", "box", "image", state, {}, mounts=(str(source),))


@pytest.mark.parametrize("source", ["disk/hf", "linked", "linked/hub", "other", "other/hf/hub/models--org--m"])
@pytest.mark.parametrize("configured", ["disk/hf", "linked"])
async def test_a_cache_that_is_mounted_under_another_name_is_in_use(
    disk: Path, tmp_path: Path, source: str, configured: str
) -> None:
    cluster = Cluster("home", ("spark-1",), hf_cache=str(tmp_path / configured))
    hosts = services({"spark-1": [box(tmp_path / source)]})
    assert offer_models(await look(cluster, hosts)).unused == ()
    report = await prune([Item(Kind.MODEL, "spark-1", "org/m", 1)], cluster, hosts)
    assert (disk / "hf/hub/models--org--m/blobs").is_dir(), report.text
    assert "box" in report.text


async def test_a_link_to_one_model_keeps_that_model(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(disk / "hf/hub/models--org--m")
    store_model(disk / "hf/hub", "org/free")
    cluster = Cluster("home", ("spark-1",), hf_cache=str(disk / "hf"))
    view = await look(cluster, services({"spark-1": [box(tmp_path / "mine")]}))
    assert [item.name for item in offer_models(view).unused] == ["org/free"]


async def test_mounts_of_other_folders_keep_nothing(disk: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    cluster = Cluster("home", ("spark-1",), hf_cache=str(disk / "hf"))
    hosts = services({"spark-1": [box(tmp_path / "else"), box(tmp_path / "gone"), box(Path("/"))]})
    assert [item.name for item in offer_models(await look(cluster, hosts)).unused] == ["org/m"]


async def test_names_of_mounts_are_only_words(disk: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    lying = tmp_path / "a\nleads\t1\tx"
    lying.mkdir()
    paths = [f"$(touch {canary})", f"`touch {canary}`", "-f", "x'y", str(lying), str(tmp_path / "linked")]
    led = await led_to(LocalTransport(), str(disk / "hf/hub"), paths)
    found = led.to
    assert not led.unknown
    assert found[paths[-1]] == str(disk / "hf")
    assert set(found) == {str(lying), paths[-1]} and not canary.exists()
    many = await led_to(LocalTransport(), str(disk / "hf/hub"), [f"/x{n}" for n in range(MOST_PATHS * 2)])
    assert len(many.to) == 0 and len(many.unknown) == MOST_PATHS


@pytest.mark.parametrize("named", ["label", "command", "mount"])
async def test_a_launch_that_serves_a_path_of_the_cache_keeps_that_model(
    disk: Path, tmp_path: Path, named: str
) -> None:
    path = str(disk / "hf/hub/models--org--m/snapshots/abc")
    labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}model": "/elsewhere"}
    serving = ContainerInfo("id", "box", "image", "running", labels)
    if named == "label":
        serving = replace(serving, labels={**labels, f"{LABEL}model": path})
    elif named == "command":
        serving = replace(serving, command="vllm serve /elsewhere --tokenizer org/m")
    else:
        serving = replace(serving, mounts=(path,))
    cluster = Cluster("home", ("spark-1",), hf_cache=str(disk / "hf"))
    hosts = services({"spark-1": [serving]})
    assert offer_models(await look(cluster, hosts)).unused == ()
    report = await prune([Item(Kind.MODEL, "spark-1", "org/m", 1)], cluster, hosts)
    assert (disk / "hf/hub/models--org--m/blobs").is_dir(), report.text
