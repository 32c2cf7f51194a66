"""What the launcher keeps of the launches of a run."""

from __future__ import annotations

from tests.launch.fakes import SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


@virtual_time
async def test_only_the_newest_launches_that_are_over_stay_in_memory(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    begun = []
    for _ in range(11):
        launch = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
        launch.cancel()
        await launch.wait_ended()
        begun.append(launch)
    serving = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await serving.wait_ready()
    assert list(launcher.launches.values()) == [*begun[-8:], serving]
    await launcher.close()
