"""Models that one host has and another lacks: sent from host to host where hosts let each other in."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.plan.shapes import PlanStep
from sparkrun_tui.launch.record.events import LaunchStatus
from tests.launch.fakes import SGLANG_TWO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


@pytest.fixture(autouse=True)
def one_has_it(cluster: FakeCluster) -> None:
    cluster[1].models.add("org/tiny")
    cluster.hosts_reach_each_other = True
    cluster.cluster = replace(cluster.cluster, host_to_host=True)


async def seen(cluster: FakeCluster) -> PlanStep:
    launcher = cluster.launcher()
    plan = await launcher.inspect(launcher.plan(rendered(SGLANG_TWO), cluster.cluster))
    return next(step for step in plan.steps if step.phase is Phase.MODEL)


async def moved(cluster: FakeCluster) -> list[str]:
    """What was done to bring the model, in a launch that then serves."""
    launch = cluster.begin(SGLANG_TWO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    await launch.stop()
    actions = [action for host in cluster.hosts.values() for action in host.actions]
    return [action for action in actions if action.startswith(("ship", "relay"))]


@virtual_time
@pytest.mark.parametrize("here", [False, True])
async def test_a_host_that_has_it_sends_it_and_nothing_is_downloaded(cluster: FakeCluster, here: bool) -> None:
    if not here:
        cluster.local_models.clear()
    step = await seen(cluster)
    assert step.detail.startswith("rsync org/tiny") and "from spark-1; spark-1 has it" in step.detail
    (command,) = step.commands
    assert command.host == "spark-1"
    assert command.text.endswith(" 10.0.0.2:/home/me/.cache/huggingface/hub/")
    assert await moved(cluster) == ["relay org/tiny from spark-1 at 10.0.0.2"]
    assert cluster.tokens == []


@virtual_time
@pytest.mark.parametrize("here", [False, True])
async def test_what_fails_between_hosts_is_sent_from_here(cluster: FakeCluster, here: bool) -> None:
    if not here:
        cluster.local_models.clear()
    cluster[2].refuse["relay"] = "Permission denied"
    assert await moved(cluster) == ["ship org/tiny"]
    assert len(cluster.tokens) == (0 if here else 1)


@virtual_time
async def test_hosts_that_do_not_let_each_other_in_get_it_from_here(cluster: FakeCluster) -> None:
    cluster.hosts_reach_each_other = False
    assert "rsync" not in (await seen(cluster)).detail
    assert await moved(cluster) == ["ship org/tiny"]


@virtual_time
async def test_without_the_hub_the_host_that_has_it_is_enough(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    cluster.hub_down = True
    assert "from spark-1" in (await seen(cluster)).detail
    assert await moved(cluster) == ["relay org/tiny from spark-1 at 10.0.0.2"]


@virtual_time
async def test_hosts_send_nothing_by_themselves_unless_the_cluster_says_so(cluster: FakeCluster) -> None:
    cluster.cluster = replace(cluster.cluster, host_to_host=False)
    assert "rsync" not in (await seen(cluster)).detail
    assert await moved(cluster) == ["ship org/tiny"]
