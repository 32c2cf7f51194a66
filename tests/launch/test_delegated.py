"""Launches delegated to foreign scripts on the head: what becomes of the script when links break or minds change."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from tests.launch.fakes import FakeCluster, rendered
from tests.launch.virtual import virtual_time

EUGR = """\
name: delegated
model: org/tiny
runtime: eugr-vllm
container: registry.test/engine:1
min_nodes: 2
defaults: {port: 8000, tensor_parallel: 2, served_model_name: tiny}
command: vllm serve {model} --port {port} -tp {tensor_parallel} --served-model-name {served_model_name}
"""


def begin(cluster: FakeCluster) -> Launch:
    """Launch it; the script takes ten seconds, then makes a container on every host."""
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(EUGR), cluster.cluster)

    async def containers() -> None:
        for rank, host in enumerate(cluster.hosts.values()):
            docker = cluster.services.docker(cluster.services.connector(host.name))
            labels = {f"io.sparkrun-tui.{key}": value for key, value in _labels(rank).items()}
            await docker.start(await docker.create(plan.serve.delegated, {"Image": "i", "Labels": labels}))
        cluster.processes = "sleep infinity python3 /usr/bin/vllm serve org/tiny "

    cluster.script_lines = [f"line {number}" for number in range(10)]
    cluster.on_script = containers
    return launcher.launch(plan)


def _labels(rank: int) -> dict[str, str]:
    return {"port": "8000", "rank": str(rank), "served": "tiny"}


def printed(launch: Launch) -> list[str]:
    log = launch.logs.get("spark-1")
    return [line.text for line in log.since(0) if line.text.startswith("line ")] if log is not None else []


async def halfway(launch: Launch) -> None:
    """Until the script has printed some of its lines."""
    for _ in range(300):
        if len(printed(launch)) > 3:
            return
        await asyncio.sleep(0.1)


@virtual_time
async def test_a_link_lost_during_the_script_costs_neither_it_nor_a_line(cluster: FakeCluster) -> None:
    launch = begin(cluster)
    await halfway(launch)
    cluster[1].lose()
    await asyncio.sleep(3)
    cluster[1].heal()
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert printed(launch) == [f"line {number}" for number in range(10)]
    assert cluster[1].actions.count("script") == 1
    assert cluster[1].job is None, "nothing of it is left on the host"
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_leaving_during_the_script_lets_it_go_on(cluster: FakeCluster) -> None:
    launch = begin(cluster)
    await halfway(launch)
    await launch.detach()
    await asyncio.sleep(20)
    assert "end script" not in cluster[1].actions
    assert len(cluster.running) == 2


@virtual_time
@pytest.mark.parametrize("lost", [False, True])
async def test_giving_up_during_the_script_ends_it(cluster: FakeCluster, lost: bool) -> None:
    launch = begin(cluster)
    await halfway(launch)
    if lost:
        cluster[1].lose(heal_after=3)
    launch.cancel()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.CANCELLED
    assert "end script" in cluster[1].actions and cluster[1].job is None
    await asyncio.sleep(20)
    assert cluster.remaining == []


@virtual_time
async def test_a_script_that_fails_is_the_cause_and_leaves_nothing(cluster: FakeCluster) -> None:
    cluster.script_code = 3
    launch = begin(cluster)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.detail == "run-recipe.sh ended with exit code 3: line 9"
    assert printed(launch)[-1] == "line 9"
    assert cluster.remaining == [] and cluster[1].job is None


@virtual_time
@pytest.mark.parametrize("serving", [False, True])
async def test_an_engine_that_leaves_its_sleeping_container_has_ended(cluster: FakeCluster, serving: bool) -> None:
    launch = begin(cluster)
    if serving:
        await launch.wait_ready()
    else:
        await halfway(launch)
        await asyncio.sleep(9)
    cluster.processes = "sleep infinity "
    cluster[1].servers.clear()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "the engine has ended" in state.detail
    assert cluster.remaining == []
