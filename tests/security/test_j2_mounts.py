"""J2: a container whose mounts may be the cache keeps its models, also where neither list nor path says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.cli.text.stores import host_lines
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.services import Services
from sparkrun_tui.launch.stores.look import look
from sparkrun_tui.launch.stores.prune import Item, Kind, offer_models, prune
from sparkrun_tui.remote.docker.types import (
    MOST_CONTAINERS,
    ContainerInfo,
    VolumeListed,
    containers_from_list,
    volumes_from,
)
from sparkrun_tui.remote.hub.host_mounts import led_to
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.launch.fakes import FakeCluster
from tests.security.test_h1_shared_stores import DEVICE, NAS, Daemon, hub, mounted
from tests.support.stored import store_model

__all__ = ["hub"]

PODMAN = {"Id": "id", "Names": ["/box"], "Image": "i", "State": "running", "Mounts": ["/root/.cache/huggingface"]}


class Storing(Daemon):
    """A daemon with volumes, which says of a container what only a whole look says."""

    def __init__(self, containers: list[ContainerInfo], volumes: Sequence[VolumeListed], whole: ContainerInfo | None):
        super().__init__("spark-1", {"spark-1": list(containers)})
        self._volumes, self._whole = volumes, whole

    async def volumes(self) -> Sequence[VolumeListed]:
        return self._volumes

    async def inspect(self, container: str) -> ContainerInfo | None:  # type: ignore[override]
        return self._whole


@pytest.fixture
def cluster(hub: Path, tmp_path: Path) -> Cluster:
    mounted(tmp_path, DEVICE)
    store_model(hub, "org/m")
    return Cluster("home", ("spark-1",), hf_cache=str(hub.parent))


def services(
    *containers: ContainerInfo, volumes: Sequence[VolumeListed] = (), whole: ContainerInfo | None = None
) -> Services:
    daemon = Storing(list(containers), volumes, whole)
    return replace(
        FakeCluster("spark-1").services, connector=LocalTransport, docker=lambda transport: daemon, workstation=None
    )


async def kept(cluster: Cluster, hosts: Services) -> str:
    """Why the model stays where it is asked for by name; empty where it went."""
    assert offer_models(await look(cluster, hosts)).unused == ()
    report = await prune([Item(Kind.MODEL, "spark-1", "org/m", 1)], cluster, hosts)
    (pruned,) = report.items
    assert pruned.gone is False, report.text
    return pruned.why


async def goes(cluster: Cluster, hosts: Services) -> bool:
    return [item.name for item in offer_models(await look(cluster, hosts)).unused] == ["org/m"]


def box(**fields: object) -> ContainerInfo:
    return replace(ContainerInfo("id", "box", "image", "running", {}), **fields)  # type: ignore[arg-type]


async def test_a_container_that_is_older_than_a_thousand_others_may_use_any_model(cluster: Cluster) -> None:
    newer = [ContainerInfo(f"n{number}", "n", "i", "exited", {}) for number in range(MOST_CONTAINERS)]
    hosts = services(*newer)
    assert "1,000 containers or more" in await kept(cluster, hosts)
    view = await look(cluster, hosts)
    assert view.hosts[0].images == ()
    assert "what its containers use is not known" in "\n".join(host_lines(view))


@pytest.mark.parametrize(
    ("volume", "why"),
    [
        (None, "what its volume models is is not known"),
        (VolumeListed("models", "some-plugin"), "what its volume models is is not known"),
        (VolumeListed("models", "local", DEVICE), "may be the disk of the cache"),
        (VolumeListed("models", "local", "{hub}"), "mounts the cache"),
        (VolumeListed("models", "local", "{hub}/.."), "mounts the cache"),
    ],
)
async def test_a_volume_may_be_the_cache(cluster: Cluster, hub: Path, volume: VolumeListed | None, why: str) -> None:
    volumes = []
    if volume is not None:
        volumes = [replace(volume, device=volume.device.replace("{hub}", str(hub)))]
    assert why in await kept(cluster, services(box(volumes=("models",)), volumes=volumes))


async def test_a_volume_of_the_network_may_be_the_cache_of_the_network(cluster: Cluster, tmp_path: Path) -> None:
    volumes = [VolumeListed("models", "local", ":/export")]
    hosts = services(box(volumes=("models",)), volumes=volumes)
    assert await goes(cluster, hosts)
    mounted(tmp_path, NAS)
    assert "may be the disk of the cache" in await kept(cluster, hosts)


async def test_a_volume_of_docker_s_own_keeps_nothing(cluster: Cluster) -> None:
    assert await goes(cluster, services(box(volumes=("data",)), volumes=[VolumeListed("data", "local")]))


@pytest.mark.parametrize(
    ("path", "stays"),
    [
        ("/home/bob/.cache/huggingface", True),
        ("/home/bob/No such file", True),
        ("/srv/hidden/hf", True),
        ("/root/.docker/config.json", False),
        ("/root/.ssh", False),
        ("/home/bob/settings.yaml", False),
    ],
)
async def test_a_mount_that_cannot_be_looked_into_may_be_the_cache(
    cluster: Cluster, tmp_path: Path, path: str, stays: bool
) -> None:
    program = tmp_path / "bin/stat"
    program.write_text(
        f'#!/bin/sh\nfor last; do :; done\ncase $last in "{path}")'
        ' echo "stat: cannot stat \'$last\': Permission denied" >&2; exit 1 ;; esac\nexec /usr/bin/stat "$@"\n'
    )
    program.chmod(0o755)
    hosts = services(box(mounts=(path,)))
    if stays:
        assert "may not look" in await kept(cluster, hosts)
    else:
        assert await goes(cluster, hosts)


async def test_a_folder_around_another_place_of_the_disk_is_around_the_cache(tmp_path: Path) -> None:
    for folder in ("home/hf/hub", "data/hf/hub", "other", "proc/self", "a b/hub"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "proc/self/mountinfo").write_text(
        "20 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        f"21 20 8:2 / {tmp_path}/data rw - ext4 /dev/sdb rw\n"
        f"22 20 8:2 /hf {tmp_path}/home/hf rw - ext4 /dev/sdb rw\n"
        f"23 20 8:3 / {tmp_path}/other rw - ext4 /dev/sdc rw\n"
        f"24 20 8:2 /hf {tmp_path}/a\\040b rw - ext4 /dev/sdb rw\n"
    )
    hub = str(tmp_path / "home/hf/hub")
    paths = [str(tmp_path / name) for name in ("data", "data/hf", "home/hf", "other")]
    led = await led_to(LocalTransport(), hub, paths, root=str(tmp_path))
    assert [led.to[path] for path in paths] == [hub, hub, str(tmp_path / "home/hf"), paths[-1]]


async def test_what_podman_does_not_list_is_asked_for(cluster: Cluster, hub: Path) -> None:
    (listed,) = containers_from_list(Decoded([PODMAN]))
    assert "what it mounts is not known" in await kept(cluster, services(listed))
    assert "mounts the cache" in await kept(cluster, services(listed, whole=box(mounts=(str(hub),))))
    assert await goes(cluster, services(listed, whole=box(mounts=("/srv/else",))))


async def test_what_is_not_asked_for_its_restart_may_come_back(cluster: Cluster) -> None:
    ended = ContainerInfo("e", "e", "i", "exited", {f"{LABEL}launch": "abcd2345", f"{LABEL}model": "x/y"})
    many = [replace(ended, id=f"e{number}", name=f"e{number}") for number in range(80)]
    last = replace(ended, id="last", labels={**ended.labels, f"{LABEL}model": "org/m"})
    assert "perhaps kept over a restart" in await kept(cluster, services(*many, last))


def test_volumes_are_read_as_docker_says_them() -> None:
    said = {
        "Volumes": [
            {"Name": "a", "Driver": "local", "Options": None},
            {"Name": "b", "Driver": "local", "Options": {"type": "none", "o": "bind", "device": "/srv/hf"}},
        ]
    }
    assert volumes_from(Decoded(said)) == [VolumeListed("a", "local"), VolumeListed("b", "local", "/srv/hf")]
    assert volumes_from(Decoded({"Volumes": None})) == []
