"""What a hook on a host prints is kept in slices: a host that prints millions of lines does not stop the app."""

from __future__ import annotations

import asyncio
import time

from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import SOLO, FakeCluster
from tests.launch.virtual import virtual_time

LINES = 100_000
"""A host may send two MiB on each of two streams, hence forty times as many."""


class _Turns:
    """The longest time in which nothing else had a turn, from when it is begun."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        self._task = asyncio.create_task(self._run(time.thread_time()))

    async def end(self) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self, before: float) -> None:
        # Virtual time goes on once this has ended.
        for _ in range(20):
            now = time.thread_time()
            self.longest, before = max(self.longest, now - before), now
            await asyncio.sleep(0)


@virtual_time
async def test_a_flood_of_lines_leaves_the_app_its_turns(cluster: FakeCluster) -> None:
    turns = _Turns()

    class Results(dict[str, Result]):
        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            turns.begin()
            return super().get(key, default)

    flood = Result(Outcome.EXITED, 0, "\n" * LINES, "\n" * 10)
    cluster.results = Results(collect=flood)
    launch = cluster.begin(SOLO + "post_commands: [collect]\n")
    state = await launch.wait_ready()
    await asyncio.sleep(10)
    await turns.end()
    assert state.status is LaunchStatus.READY
    assert launch.logs["spark-1"].end >= LINES
    assert turns.longest < 0.5
    await launch.stop()
