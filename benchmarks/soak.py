"""A served launch on the demo cluster whose links break again and again: memory, open files and tasks must stay."""

from __future__ import annotations

import asyncio
import gc
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.made_recipes import home_with
from benchmarks.table import Row
from sparkrun_tui.base.disk.paths import bundled_recipes
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.remote.transport import LinkState

_WARM_UP = 10
_SETTLED = 3.0


@dataclass(frozen=True, slots=True)
class _Reading:
    rss: int
    files: int
    tasks: int


def _rss() -> int:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def _read() -> _Reading:
    """What is held once everything has settled."""
    await asyncio.sleep(_SETTLED)
    gc.collect()
    return _Reading(_rss(), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()))


async def _break_links(demo: DemoCluster, launch: Launch) -> float:
    """Break the connection to every host; seconds until all are up again and the launch is known to be ready."""
    began = time.monotonic()
    pool: Any = demo._pool  # nothing public breaks a link
    links = list(pool._links.values())
    lost = [link.generation + 1 for link in links]
    for link in links:
        link._connection.abort()

    def mended() -> bool:
        return all(
            link.generation >= before and link.status.state is LinkState.UP
            for link, before in zip(links, lost, strict=True)
        )

    async with asyncio.timeout(60):
        while not mended() or not _knows(launch):  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(0.02)
    return time.monotonic() - began


def _knows(launch: Launch) -> bool:
    return launch.state.status is LaunchStatus.READY


async def _measure(drops: int) -> tuple[_Reading, _Reading, list[float], Launch]:
    recipe = next(path for path in sorted(bundled_recipes().glob("*-2x-vllm.yaml")))
    async with DemoCluster(speed=20.0) as demo:
        launcher = Launcher(Settings(), demo.services, {})
        launch = launcher.launch(launcher.plan(render(load_recipe(recipe), {}), demo.cluster))
        await launch.wait_ready()
        times = []
        before = await _read()
        for number in range(_WARM_UP + drops):
            if number == _WARM_UP:
                before = await _read()
            times.append(await _break_links(demo, launch))
        after = await _read()
        await launch.stop()
        await launcher.close()
    return before, after, times[_WARM_UP:], launch


def run(quick: bool = False) -> list[Row]:
    """Measure, with a home of its own."""
    drops = 30 if quick else 200
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, home_with(Path(folder), 1)):
        before, after, times, launch = asyncio.run(_measure(drops))
    if launch.state.status is not LaunchStatus.STOPPED:
        raise RuntimeError(f"the launch ended as {launch.state.status}: {launch.state.detail}")
    grown = (after.rss - before.rss) / (1 << 20)
    median = sorted(times)[len(times) // 2]
    return [
        Row(f"links of 2 hosts broken {drops} times: memory grown", f"{grown:.1f} MiB", "bounded"),
        Row("the same: open files before / after", f"{before.files} / {after.files}", "the same"),
        Row("the same: tasks before / after", f"{before.tasks} / {after.tasks}", "the same"),
        Row(f"known to be ready again (worst {max(times):.1f} s)", f"{median:.2f} s", "<= 10 s"),
    ]
