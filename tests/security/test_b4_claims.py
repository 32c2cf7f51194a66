"""A container with the labels of a launch that is another's is not believed, and its labels lead to no other host."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.choose import choose
from sparkrun_tui.fleet.grouping import FoundContainer, group
from sparkrun_tui.fleet.load import readings
from sparkrun_tui.fleet.model import FleetView, Health
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.remote.docker.types import ContainerInfo
from tests.launch.fakes import SGLANG_TWO, FakeCluster, FakeContainer, rendered
from tests.launch.virtual import virtual_time

LAUNCH = "abcd2345"
REAL = {"launch": LAUNCH, "rank": "0", "nodes": "2", "hosts": "spark-1,spark-2", "port": "8000", "recipe": "r"}


def container(name: str, **labels: str) -> ContainerInfo:
    given = {f"{LABEL}{key}": value for key, value in {**REAL, **labels}.items()}
    return ContainerInfo(f"id-{name}", name, "image", "running", given, started=1.0)


OURS = FoundContainer("spark-1", container("ours-0")), FoundContainer("spark-2", container("ours-1", rank="1"))
IMPOSTORS = {
    "same rank on the same host": FoundContainer("spark-1", container("evil", port="6666")),
    "same rank on another host": FoundContainer("spark-3", container("evil", port="6666")),
    "alone, it says": FoundContainer("spark-3", container("evil", port="6666", hosts="spark-3", nodes="1")),
    "a rank that was free": FoundContainer("spark-3", container("evil", rank="2", hosts="spark-3", port="6666")),
    "other hosts": FoundContainer("spark-3", container("evil", rank="5", hosts="spark-1,spark-2,spark-3")),
}


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("evil", IMPOSTORS.values(), ids=IMPOSTORS.keys())
def test_containers_that_contradict_each_other_serve_nothing(evil: FoundContainer, first: bool) -> None:
    (workload,) = group([evil, *OURS] if first else [*OURS, evil])
    assert workload.health is Health.UNKNOWN and workload.port is None
    assert (
        "one of them is not of this launch" in workload.detail and "spark-3" in workload.detail + evil.host + "spark-3"
    )


def test_those_that_agree_are_one_launch() -> None:
    (workload,) = group(OURS)
    assert (workload.health, workload.port) == (Health.STARTING, 8000)


async def _beside(cluster: FakeCluster, host: int, **labels: str) -> str:
    """Serve a pair, let it go, and put an impostor beside it."""
    desk = cluster.launcher()
    launch = desk.launch(desk.plan(rendered(SGLANG_TWO), cluster.cluster))
    await launch.wait_ready()
    await launch.detach()
    known = next(item for item in cluster[1].containers.values())
    changed = {**known.info.labels, **{f"{LABEL}{key}": value for key, value in labels.items()}}
    info = replace(known.info, id="evil", name="evil", labels=changed)
    cluster[host].containers["evil"] = FakeContainer(info, {})
    return launch.launch_id


@virtual_time
async def test_an_impostor_is_neither_asked_nor_taken_up(cluster: FakeCluster) -> None:
    for host in (1, 2):
        launch_id = await _beside(cluster, host, port="6666")
        view = await survey(cluster.cluster, cluster.services)
        workload = choose(view, launch_id)
        assert (workload.health, workload.port) == (Health.UNKNOWN, None)
        assert await readings(view, cluster.services) == {}
        with pytest.raises(LaunchError, match="claim"):
            await cluster.launcher().attach(workload, cluster.cluster)
        for each in cluster.hosts.values():
            each.containers.clear()


@dataclass(frozen=True, slots=True)
class Rank:
    host: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Found:
    launch_id: str
    ranks: tuple[Rank, ...]


@virtual_time
async def test_labels_lead_to_no_host_that_the_cluster_does_not_have(cluster: FakeCluster) -> None:
    await _beside(cluster, 1, launch=LAUNCH, rank="0", hosts="spark-1,root@elsewhere.example", nodes="2")
    asked: list[str] = []
    connector = cluster.services.connector

    def watched(name: str):  # type: ignore[no-untyped-def]
        asked.append(name)
        return connector(name)

    services = replace(cluster.services, connector=watched)
    desk = cluster.launcher()
    desk.services = services
    with pytest.raises(LaunchError, match=r"root@elsewhere\.example, which is not among the hosts"):
        await desk.attach(Found(LAUNCH, (Rank("spark-1", "evil"),)), cluster.cluster)
    view = await survey(cluster.cluster, services)
    assert isinstance(view, FleetView) and set(asked) <= set(cluster.cluster.hosts)


@virtual_time
async def test_a_host_that_is_called_otherwise_than_at_the_launch_is_the_one_it_was_found_on(
    cluster: FakeCluster,
) -> None:
    await _beside(cluster, 1, launch=LAUNCH, rank="0", hosts="me@spark-1", nodes="1")
    desk = cluster.launcher()
    launch = await desk.attach(Found(LAUNCH, (Rank("spark-1", "evil"),)), cluster.cluster)
    assert launch.plan.host_names == ("spark-1",)
    await desk.close()
