"""H1: what the labels of a container say leads to the end of no container that is not of that launch."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.choose import choose
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.docker.types import ContainerInfo
from tests.launch.fakes import FakeCluster, FakeContainer
from tests.launch.virtual import virtual_time

LAUNCH = "abcd2345"
NAMES = ("postgres", "sparkrun-tui-zzzz2345", "sparkrun_12ab_head", "")


async def attached(cluster: FakeCluster, name: str, **claims: str) -> Launch:
    """A container on the first host that claims to be of a launch by scripts on both hosts; others have its name."""
    labels = {"launch": LAUNCH, "nodes": "2", "hosts": "spark-1,spark-2", "port": "8000", "recipe": "r", **claims}
    given = {f"{LABEL}{key}": value for key, value in labels.items()}
    evil = ContainerInfo("evil", name, "image", "running", given, started=1.0)
    cluster[1].containers["evil"] = FakeContainer(evil, {})
    for host, identity in ((cluster[1], "db-1"), (cluster[2], "db-2")):
        theirs = ContainerInfo(identity, name, "postgres:16", "running", {}, started=1.0)
        host.containers[identity] = FakeContainer(theirs, {})
    view = await survey(cluster.cluster, cluster.services)
    return await cluster.launcher().attach(choose(view, LAUNCH), cluster.cluster)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("engine", ["eugr-vllm", "vllm", ""])
@virtual_time
async def test_a_stop_leaves_containers_alone_whose_name_a_launch_claims(
    cluster: FakeCluster, name: str, engine: str
) -> None:
    launch = await attached(cluster, name, engine=engine)
    await launch.wait_ready()
    state = await launch.stop()
    assert state.status is LaunchStatus.STOPPED
    assert cluster.remaining == [name, name]
    assert all(
        host.containers[identity].info.running for host, identity in ((cluster[1], "db-1"), (cluster[2], "db-2"))
    )


@virtual_time
async def test_neither_does_the_end_of_such_a_launch(cluster: FakeCluster) -> None:
    """An ended launch is cleared away without a question."""
    launch = await attached(cluster, "postgres", hosts="spark-1", nodes="1")
    cluster[1].end(cluster[1].containers["evil"], 1)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert cluster.remaining == ["postgres", "postgres"]


@virtual_time
async def test_containers_that_its_scripts_made_are_removed_on_every_host(cluster: FakeCluster) -> None:
    name = f"sparkrun-tui-{LAUNCH}"
    launch = await attached(cluster, name)
    await launch.wait_ready()
    await launch.stop()
    assert cluster.remaining == []


@pytest.mark.parametrize("hosts", ["spark-1,spark-1", "spark-1,spark-2,spark-2", ",".join(["spark-2"] * 64)])
@virtual_time
async def test_a_host_that_is_named_for_many_ranks_is_not_asked_for_each(cluster: FakeCluster, hosts: str) -> None:
    with pytest.raises(LaunchError, match="for two ranks"):
        await attached(cluster, "evil", hosts=hosts, nodes="64")
