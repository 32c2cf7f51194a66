"""What a launch does when a link to a host is lost: nothing twice, nothing guessed."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.run.launch import Launch
from tests.launch.fakes import RAY_TWO, SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost
from tests.launch.virtual import virtual_time


@virtual_time
async def test_a_lost_link_is_unknown_and_then_what_the_host_says(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    cluster[1].lose()
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.UNKNOWN
    assert launch.state.hosts["spark-1"].link == "reconnecting"
    cluster[1].heal()
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.READY
    assert launch.state.hosts["spark-1"].link == "up"
    await launch.stop()
    assert cluster.remaining == []


@pytest.mark.parametrize("verb", ["create", "start"])
@virtual_time
async def test_a_reply_lost_on_the_way_does_nothing_twice(cluster: FakeCluster, verb: str) -> None:
    cluster[1].lose_during[verb] = 2
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert [action for action in cluster[1].actions if action.startswith("create")] == [
        f"create sparkrun-tui-{launch.launch_id}-0"
    ]
    assert len(cluster.running) == 1
    await launch.stop()


@virtual_time
async def test_a_container_that_is_still_being_made_when_it_is_asked_for_again_is_ours(cluster: FakeCluster) -> None:
    cluster[1].create_takes = 3.0
    cluster[1].lose_during["create"] = 1
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert len([action for action in cluster[1].actions if action.startswith("create")]) == 1
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_a_lost_reply_to_an_exec_does_not_start_the_engine_twice(cluster: FakeCluster) -> None:
    async def idle(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(10_000_000)
        return 0

    for host in cluster.hosts.values():
        host.program = idle
    cluster[1].lose_during["exec"] = 1
    launch = cluster.begin(RAY_TWO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert len([action for action in cluster[1].actions if action.startswith("exec")]) == 1
    await launch.stop()


@virtual_time
async def test_a_link_lost_during_a_transfer_is_shown_as_unknown_and_the_transfer_goes_on_after_it(
    cluster: FakeCluster,
) -> None:
    launch = cluster.begin(SOLO)
    seen = asyncio.create_task(_states(launch, Phase.MODEL))
    await asyncio.sleep(1.2)
    cluster[1].lose(heal_after=30.0)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    await launch.stop()
    states = await seen
    assert StepState.UNKNOWN in states
    assert states[-1] is StepState.OK


async def _states(launch: Launch, phase: Phase) -> list[StepState]:
    from sparkrun_tui.launch.record.events import StepChanged

    return [event.state async for event in launch.events() if isinstance(event, StepChanged) and event.phase is phase]


@virtual_time
async def test_a_host_that_never_comes_back_ends_the_launch_as_failed_with_the_step_unknown(
    cluster: FakeCluster,
) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await asyncio.sleep(1.2)
    cluster[2].lose()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.hosts["spark-2"].cells[Phase.MODEL].state is StepState.UNKNOWN
    assert not any("may be left" in notice.text for notice in state.notices), "nothing was started there"
