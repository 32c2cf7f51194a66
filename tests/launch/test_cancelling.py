"""Cancelling and stopping a launch, at any moment and with hosts that are gone."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.launch.record.events import LaunchStatus
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster
from tests.launch.virtual import virtual_time

MOMENTS = [0.0, 0.002, 0.01, 0.5, 1.5, 2.5, 3.2, 3.4, 4.0, 6.0, 9.0, 13.2, 13.5, 14.5]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("text", [SOLO, SGLANG_TWO])
@virtual_time
async def test_cancelling_at_any_moment_leaves_no_container(cluster: FakeCluster, text: str, moment: float) -> None:
    for host in cluster.hosts.values():
        host.images.clear()
    launch = cluster.begin(text)
    await asyncio.sleep(moment)
    launch.cancel()
    began = asyncio.get_running_loop().time()
    state = await launch.wait_ended()
    assert state.status in (LaunchStatus.CANCELLED, LaunchStatus.STOPPED)
    assert cluster.remaining == []
    assert [host.lease for host in cluster.hosts.values()] == ["", ""]
    assert asyncio.get_running_loop().time() - began < 25


@virtual_time
async def test_a_container_that_is_being_made_while_it_is_cancelled_does_not_stay(cluster: FakeCluster) -> None:
    cluster[1].create_takes = 2.0
    launch = cluster.begin(SOLO)
    cluster[1].on_create = launch.cancel
    assert (await launch.wait_ended()).status is LaunchStatus.CANCELLED
    await asyncio.sleep(10)
    assert cluster.remaining == []


@virtual_time
async def test_cancelling_with_one_host_gone_cleans_the_other_and_names_what_may_be_left(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await asyncio.sleep(6)
    assert len(cluster.running) == 2
    cluster[2].lose()
    began = asyncio.get_running_loop().time()
    launch.cancel()
    state = await launch.wait_ended()
    assert asyncio.get_running_loop().time() - began <= 20
    assert state.status is LaunchStatus.CANCELLED
    assert cluster[1].containers == {}
    assert any("may be left on spark-2" in notice.text for notice in state.notices)


@virtual_time
async def test_a_second_cancel_does_not_wait_for_a_host_that_is_gone(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await asyncio.sleep(6)
    cluster[2].lose()
    launch.cancel()
    await asyncio.sleep(1)
    began = asyncio.get_running_loop().time()
    launch.cancel()
    await launch.wait_ended()
    assert asyncio.get_running_loop().time() - began <= 3
    assert cluster[1].containers == {}


@virtual_time
async def test_forcing_a_stop_cuts_the_grace_short(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    stopping = asyncio.create_task(launch.stop())
    await asyncio.sleep(0.2)
    launch.force()
    await stopping
    assert cluster.remaining == []
    assert any(action.startswith("kill") for action in cluster[1].actions)
