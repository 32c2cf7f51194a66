"""What the desk keeps of the launches of a run."""

from __future__ import annotations

from tests.launch.fakes import SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


@virtual_time
async def test_only_the_newest_launches_that_are_over_stay_in_memory(cluster: FakeCluster) -> None:
    desk = cluster.desk()
    begun = []
    for _ in range(11):
        launch = desk.launch(desk.plan(rendered(SOLO), cluster.cluster))
        launch.cancel()
        await launch.wait_ended()
        begun.append(launch)
    serving = desk.launch(desk.plan(rendered(SOLO), cluster.cluster))
    await serving.wait_ready()
    assert list(desk.launches.values()) == [*begun[-8:], serving]
    await desk.close()
