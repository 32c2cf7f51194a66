"""The memory guard in the demo: its samples, and a launch that takes too much."""

from __future__ import annotations

import asyncio

from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import GuardState, LaunchStatus
from sparkrun_tui.remote.guard.guards import Guard
from tests.demo import samples


async def test_a_launch_is_guarded_and_its_guard_goes_with_it(demo: DemoCluster, launcher: Launcher) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    guard = Guard(demo.services.connector("spark-1"), launch.launch_id)
    record = await guard.read()
    assert record is not None and record.floor == 4 * GIB and not record.silent
    assert record.last is not None and record.last.available < record.samples[0].available
    stopped = await launch.stop()
    seen = stopped.hosts["spark-1"].guard
    assert seen is not None and seen.least is not None and seen.least < 115 * GIB and seen.readings
    assert await guard.read() is None


async def test_what_takes_too_much_is_stopped_and_explained(demo: DemoCluster, launcher: Launcher) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    await launch.wait_ready()
    (container,) = demo.site.hosts[0].containers.values()
    container.memory = 130 * GIB
    async with asyncio.timeout(20):
        state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.title.startswith("The guard stopped the container")
    seen = state.hosts["spark-1"].guard
    assert seen is not None and seen.state is GuardState.STOPPED and seen.minute
