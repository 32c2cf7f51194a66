"""Cancelling a launch on the demo cluster: from the key to what is shown, and until nothing is left on any host."""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

from textual.pilot import Pilot

from benchmarks.made_recipes import home_with
from benchmarks.table import Row
from sparkrun_tui.base.disk.paths import bundled_recipes
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.model.backend import LocalBackend
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen
from sparkrun_tui.ui.widgets.panel import Panel

_RECIPE = "gpt-oss-120b-2x-eugr"
_PHASES = (Phase.IMAGE, Phase.MODEL, Phase.LOAD)
_POLL = 0.005


class _Backend(LocalBackend):
    """The real engine, whose demo cluster can be looked at."""

    demo: DemoCluster

    async def open_demo(self) -> Cluster:
        """A cluster that is watched."""
        cluster = await super().open_demo()
        assert self._demo is not None
        self.demo = self._demo
        return cluster


async def _until(condition: Callable[[], bool], began: float = 0.0) -> float:
    """Wait until a condition holds; milliseconds since `began`."""
    async with asyncio.timeout(180):
        while not condition():  # noqa: ASYNC110 - what is looked at tells nobody
            await asyncio.sleep(_POLL)
    return (time.perf_counter() - began) * 1000


def _works(demo: DemoCluster) -> bool:
    """Whether anything is left of a launch on the hosts: containers, jobs, a lease."""
    return any(
        host.containers or host.lease or any(job.code is None for job in host.jobs.values()) for host in demo.site.hosts
    )


def _runs(launch: Launch, phase: Phase) -> bool:
    cells = [row.cells.get(phase) for row in launch.state.hosts.values()]
    return any(cell is not None and cell.state is StepState.RUNNING for cell in cells)


def _shown(screen: LaunchScreen, word: str) -> bool:
    return word in str(screen.query_one("#phases-panel", Panel).title_text)


async def _begin(app: SparkrunApp, pilot: Pilot[Any]) -> LaunchScreen:
    recipe = load_recipe(bundled_recipes() / f"{_RECIPE}.yaml")
    app.open_plan(render(recipe, {}))
    await pilot.pause()
    plan = app.screen
    assert isinstance(plan, PlanScreen)
    await _until(lambda: not plan.why_not("launch"))
    await pilot.press("enter")
    await _until(lambda: isinstance(app.screen, LaunchScreen))
    assert isinstance(app.screen, LaunchScreen)
    return app.screen


async def _cancelled_in(phase: Phase, demo: DemoCluster, app: SparkrunApp, pilot: Pilot[Any]) -> tuple[float, ...]:
    """Milliseconds from the key: to `cancelling` shown, to no container, to `cancelled` shown, to nothing left."""
    screen = await _begin(app, pilot)
    launch: Any = screen.launch
    await _until(lambda: _runs(launch, phase))
    await asyncio.sleep(0.5)
    await pilot.press("ctrl+c")
    await pilot.pause()
    began = time.perf_counter()
    app.simulate_key("y")
    told = asyncio.create_task(_until(lambda: _shown(screen, "cancelling") or _shown(screen, "cancelled"), began))
    still = asyncio.create_task(_until(lambda: not any(host.containers for host in demo.site.hosts), began))
    over = asyncio.create_task(_until(lambda: _shown(screen, "cancelled"), began))
    gone = asyncio.create_task(_until(lambda: launch.finished and not _works(demo), began))
    figures = await asyncio.gather(told, still, over, gone)
    assert launch.state.status is LaunchStatus.CANCELLED
    app.pop_screen()
    await pilot.pause()
    return tuple(figures)


async def _measure(rounds: int) -> dict[Phase, list[tuple[float, ...]]]:
    figures: dict[Phase, list[tuple[float, ...]]] = {phase: [] for phase in _PHASES}
    backend = _Backend(Settings())
    session: Any = Session(Settings(), demo=True, backend=backend)
    app = SparkrunApp(session)
    async with app.run_test(size=(120, 40)) as pilot:
        await _until(lambda: app.loaded and app.state.cluster is not None)
        await pilot.pause(0.3)
        for _ in range(rounds):
            for phase in _PHASES:
                figures[phase].append(await _cancelled_in(phase, backend.demo, app, pilot))
                for host in backend.demo.site.hosts:
                    host.images.clear()
                    host.models.clear()
    return figures


def run(quick: bool = False) -> list[Row]:
    """Measure, with a home of its own."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, home_with(Path(folder), 1)):
        figures = asyncio.run(_measure(1 if quick else 4))
    rows = []
    goals = ("<= 100 ms", "<= 15 s", "", "<= 5 s")
    whats = ("shown as cancelling", "containers gone", "shown as cancelled", "nothing left on any host")
    for phase, found in figures.items():
        for what, goal, column in zip(whats, goals, zip(*found, strict=True), strict=True):
            if what == "containers gone" and phase is not Phase.LOAD:
                continue
            name = f"cancelled in {phase.value}: {what} (worst {max(column):.0f} ms)"
            rows.append(Row(name, f"{statistics.median(column):.0f} ms", goal))
    return rows
