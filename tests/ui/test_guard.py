"""The memory guard on screen: its line in the plan, and what it has seen below the phases of a launch."""

from __future__ import annotations

from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.record.events import GuardSeen, GuardState, LaunchStatus, MemorySeen, Noticed, StatusChanged
from sparkrun_tui.ui.app.app import SparkrunApp

from .conftest import Pilots, lines_with, press, screen_text, settle
from .fakes import FakeBackend
from .test_launch import begin


def seen(host: str, *gib: float, stopped: float | None = None, minute: tuple[float, ...] = ()) -> GuardSeen:
    return GuardSeen(
        host=host,
        floor=4 * GIB,
        state=GuardState.WATCHING if stopped is None else GuardState.STOPPED,
        samples=tuple(int(value * GIB) for value in gib),
        now=int(gib[-1] * GIB),
        minute=tuple(int(value * GIB) for value in minute),
        stopped=None if stopped is None else int(stopped * GIB),
    )


async def look(pilot: Pilot[int]) -> None:
    cast(SparkrunApp, pilot.app).launch_poll.tick()
    await pilot.pause()


async def test_the_plan_says_what_it_does(open_app: Pilots) -> None:
    async with open_app((150, 40)) as pilot:
        await press(pilot, "p")
        await settle(pilot)
        (line,) = lines_with(pilot, "memory guard")
        assert "stops the container when less than 4.0 GiB are left" in line


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_the_samples_are_a_line_below_the_phases(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        launch = await begin(pilot, backend)
        assert not lines_with(pilot, "memory guard")
        launch.send(MemorySeen(host="spark-1", available=100 * GIB, total=120 * GIB))
        launch.send(seen("spark-1", 119, 60, 12.5, 30))
        await look(pilot)
        (line,) = lines_with(pilot, "memory guard")
        assert "█▅▁▃" in line
        assert "least 12.5 GiB, now 30.0 GiB, floor 4.0 GiB" in line
        rows = screen_text(pilot).splitlines()
        phases = next(number for number, row in enumerate(rows) if row.startswith("│") and "spark-1" in row)
        assert 0 < rows.index(line) - phases <= 3


async def test_of_several_hosts_the_one_nearest_to_its_floor_is_shown(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((120, 40), query="beta") as pilot:
        launch = await begin(pilot, backend)
        launch.send(seen("spark-1", 60, 40), seen("spark-2", 60, 9, 50))
        await look(pilot)
        (line,) = lines_with(pilot, "memory guard")
        assert "spark-2" in line and "least 9.0 GiB" in line


async def test_one_that_stopped_a_container_shows_the_minute_before(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((120, 40)) as pilot:
        launch = await begin(pilot, backend)
        launch.send(MemorySeen(host="spark-1", available=100 * GIB, total=120 * GIB), seen("spark-1", 119, 119))
        launch.send(seen("spark-1", 119, 3.2, stopped=3.2, minute=(110, 70, 30, 3.2)))
        launch.send(Noticed(level="error", text="the memory guard stopped the container", host="spark-1"))
        launch.send(StatusChanged(status=LaunchStatus.FAILED, detail="killed"))
        await look(pilot)
        line = lines_with(pilot, "memory guard  ")[0]
        assert "█▅▃▁" in line
        assert "stopped the container at 3.2 GiB, floor 4.0 GiB" in line
        # The warning below it has its own line.
        assert lines_with(pilot, "the memory guard stopped the container")
