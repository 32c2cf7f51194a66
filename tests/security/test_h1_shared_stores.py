"""H1: a cache on a disk of the network is the cache of several hosts: what one of them uses stays on all."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.prune import Item, Kind, offer_models, prune
from sparkrun_tui.remote.docker.types import ContainerInfo, ImageListed
from sparkrun_tui.remote.hub.host_store import HostStore
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.docker import FakeDocker
from tests.support.stored import leave_part, store_model

NAS, DEVICE = "nas:/models", "/dev/nvme0n1p2"
HOSTS = ("spark-1", "spark-2")


class Daemon(FakeDocker):
    """A daemon of a host, which may have a container and may not answer."""

    def __init__(self, name: str, containers: dict[str, list[ContainerInfo] | None]) -> None:
        self._name = name
        self._containers = containers

    async def containers(self, labels: object = ()) -> list[ContainerInfo]:
        found = self._containers[self._name]
        if found is None:
            raise HostError("its Docker does not answer", host=self._name)
        return found

    async def inspect(self, container: str) -> None:
        return None

    async def images(self) -> list[ImageListed]:
        return []


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    hub = tmp_path / "cache/hub"
    hub.mkdir(parents=True)
    mounted(tmp_path, NAS)
    return hub


def mounted(folder: Path, source: str) -> None:
    """Let the disks of all hosts be mounted from `source`."""
    program = folder / "bin/df"
    program.write_text(f"#!/bin/sh\necho '{source} 1000 500 500 50% /models'\n")
    program.chmod(0o755)


def serving(state: str = "running", *, label: bool = True) -> ContainerInfo:
    labels = {f"{LABEL}launch": "abcd2345", f"{LABEL}model": "org/m"} if label else {}
    return ContainerInfo("id", "box", "image", state, labels)


def services(containers: dict[str, list[ContainerInfo] | None]) -> Services:
    return replace(
        FakeCluster(*HOSTS).services,
        connector=LocalTransport,
        docker=lambda transport: Daemon(transport.name, containers),
        workstation=None,
    )


def cluster(hub: Path) -> Cluster:
    return Cluster("lab", HOSTS, hf_cache=str(hub.parent))


async def offered(hub: Path, containers: dict[str, list[ContainerInfo] | None], *names: str) -> tuple[set[str], str]:
    """The hosts from which the model may be removed, and why it stays on others."""
    offer = offer_models(await look(cluster(hub), services(containers)), names)
    items = (*offer.first, *offer.unused, *offer.named)
    return {item.host for item in items}, "; ".join(stays.text for stays in offer.stays)


@pytest.mark.parametrize("names", [(), ("org/m",)])
async def test_what_another_host_serves_is_not_offered(hub: Path, names: tuple[str, ...]) -> None:
    store_model(hub, "org/m")
    hosts, why = await offered(hub, {"spark-1": [], "spark-2": [serving()]}, *names)
    assert hosts == set()
    assert not names or "abcd2345 on spark-2" in why


@pytest.mark.parametrize("names", [(), ("org/m",)])
async def test_what_runs_on_a_silent_host_is_not_known(hub: Path, names: tuple[str, ...]) -> None:
    store_model(hub, "org/m")
    leave_part(hub / "models--org--m")
    hosts, why = await offered(hub, {"spark-1": [], "spark-2": None}, *names)
    assert hosts == set()
    assert not names or "what runs on spark-2 is not known" in why


async def test_disks_of_their_own_are_judged_each_by_its_host(hub: Path, tmp_path: Path) -> None:
    store_model(hub, "org/m")
    mounted(tmp_path, DEVICE)
    hosts, _ = await offered(hub, {"spark-1": [], "spark-2": [serving()]})
    assert hosts == {"spark-1"}


async def test_nothing_goes_that_another_host_has_begun_to_serve(hub: Path) -> None:
    folder = store_model(hub, "org/m")
    containers: dict[str, list[ContainerInfo] | None] = {"spark-1": [], "spark-2": []}
    hosts, _ = await offered(hub, containers, "org/m")
    assert hosts == set(HOSTS)
    containers["spark-2"] = [serving()]
    item = Item(Kind.MODEL, "spark-1", "org/m", 1)
    report = await prune([item], cluster(hub), services(containers))
    assert [pruned.gone for pruned in report.items] == [False]
    assert "abcd2345 on spark-2" in report.items[0].why
    assert (folder / "refs/main").is_file()
    containers["spark-2"] = []
    assert (await prune([item], cluster(hub), services(containers))).complete
    assert not folder.exists()


@pytest.mark.parametrize(
    ("source", "network"),
    [
        (NAS, True),
        ("//nas/models", True),
        ("me@nas:/models", True),
        ("10.0.0.1@tcp:/fs", True),
        (DEVICE, False),
        ("tmpfs", False),
        ("rpool/home", False),
        ("", False),
    ],
)
def test_disks_of_a_network_are_known_by_what_is_mounted(source: str, network: bool) -> None:
    assert HostStore("/hub", 0.0, "me", "boot", source=source).on_network is network
