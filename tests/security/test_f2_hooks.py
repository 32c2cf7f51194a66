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


@virtual_time
async def test_a_flood_of_lines_leaves_the_app_its_turns(cluster: FakeCluster) -> None:
    cluster.results["collect"] = Result(Outcome.EXITED, 0, "\n" * LINES, "\n" * 10)
    launch = cluster.begin(SOLO + "post_commands: [collect]\n")
    longest = 0.0
    task = asyncio.ensure_future(launch.wait_ready())
    ended = asyncio.Event()

    async def turns() -> None:
        nonlocal longest
        before = time.thread_time()
        while not ended.is_set():
            await asyncio.sleep(0)
            now = time.thread_time()
            longest, before = max(longest, now - before), now

    await task
    ticking = asyncio.ensure_future(turns())
    while all("done" not in notice.text for notice in launch.state.notices):
        buffer = launch.logs.get("spark-1")
        if buffer is not None and buffer.end >= LINES:
            break
        await asyncio.sleep(0.05)
    ended.set()
    await ticking
    assert launch.state.status is LaunchStatus.READY
    assert launch.logs["spark-1"].end >= LINES
    assert longest < 0.3
    await launch.stop()
