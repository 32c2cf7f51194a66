"""The benchmark of a workload: begun by a key, followed, compared with earlier results."""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import pytest

from sparkrun_tui.launch.bench.benchmark import Status
from sparkrun_tui.launch.bench.measuring import Progress
from sparkrun_tui.launch.bench.result import Point, Spread
from sparkrun_tui.launch.bench.store import keep
from sparkrun_tui.launch.record.events import EndpointUp, LaunchStatus, StatusChanged
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.bench import BenchScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.launch import LaunchScreen
from tests.launch.test_bench import MEASURED, RESULT
from tests.support.bench_client import install_stand_in

from .conftest import Pilots, lines_with, press, screen_text, settle
from .fakes import FakeBackend, FakeLaunch
from .test_screens import fleet

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])
ALPHA = replace(RESULT, measured=replace(MEASURED, recipe="alpha-8b"))


@SIZES
async def test_a_workload_is_measured_by_a_key(open_app: Pilots, backend: FakeBackend, size: tuple[int, int]) -> None:
    backend.view = fleet()
    install_stand_in()
    async with open_app(size) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "b")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BenchScreen)
        assert lines_with(pilot, "Nothing was measured yet")
        await press(pilot, "m", "ctrl+u", *"1,x", "enter", "enter", "enter", "enter", "enter")
        assert lines_with(pilot, "Requests at once: `x` is not a whole number")
        pilot.app.screen.query_one("#answer-0").focus()
        await press(pilot, "ctrl+u", *"1,2")
        await press(pilot, "enter", "enter", "enter", "enter", "enter")
        await settle(pilot)
        assert backend.calls[-1] == "benchmark alpha-8b (1, 2) (2048,) (128,)"
        begun = backend.benchmarks["abc"]
        begun.progress = Progress(4, 9, "prompts of 2,048 tokens, answers of 128, 2 at once", 21.5)
        begun.status = Status.MEASURING
        begun.revision += 1
        await pilot.pause(0.4)
        assert lines_with(pilot, "4 of 9 requests, 21.5 tokens/s") and lines_with(pilot, "2 at once")
        await press(pilot, "m")
        assert isinstance(pilot.app.screen, BenchScreen)
        keep(ALPHA)
        begun.status, begun.result = Status.DONE, ALPHA
        begun.revision += 1
        await pilot.pause(0.4)
        await settle(pilot)
        assert lines_with(pilot, "✓ measured") and lines_with(pilot, "500 ms")
        await press(pilot, "end")
        assert lines_with(pilot, "4 at once, 2,048 / 128")
        assert all(len(line) <= size[0] for line in screen_text(pilot).splitlines())


async def test_the_client_is_installed_only_once_the_user_agrees(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "b", "m", "enter", "enter", "enter", "enter", "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)
        assert lines_with(pilot, "Install llama-benchy 0.4.0?")
        await press(pilot, "escape")
        await settle(pilot)
        assert not backend.benchmarks
        await press(pilot, "m", "enter", "enter", "enter", "enter", "enter")
        await settle(pilot)
        await press(pilot, "y")
        await settle(pilot)
        assert "abc" in backend.benchmarks


async def test_results_stand_beside_earlier_ones_of_the_recipe(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    faster = Point(1, 2048, 128, 0, Spread(0.4, 0.01), Spread(25.0, 0.1), Spread(25.0, 0.1))
    for number, (name, points) in enumerate([("aaaa2345", RESULT.points), ("bbbb2345", ()), ("cccc2345", (faster,))]):
        keep(replace(ALPHA, id=name, started=ALPHA.started + number, points=points))
    keep(replace(RESULT, id="dddd2345", started=ALPHA.started + 9))  # another recipe's
    async with open_app((120, 40)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "b")
        await settle(pilot)
        assert lines_with(pilot, "400 ms") and lines_with(pilot, "Since bbbb2345")
        await press(pilot, "right_square_bracket")
        assert lines_with(pilot, "Since aaaa2345") and lines_with(pilot, "+25.0%")
        await press(pilot, "left_square_bracket")
        assert lines_with(pilot, "Since bbbb2345")
        await press(pilot, "y")
        assert "| AT ONCE | PROMPT |" in app.clipboard and "| 1 | 2,048 | 128 | 400 ms |" in app.clipboard


async def test_a_failed_benchmark_says_why_and_what_to_do(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    install_stand_in()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "b", "m", "enter", "enter", "enter", "enter", "enter")
        await settle(pilot)
        begun = backend.benchmarks["abc"]
        begun.status, begun.problem, begun.remedy = Status.FAILED, "nothing was measured: [red]no", "Name a tokenizer."
        begun.revision += 1
        await pilot.pause(0.4)
        assert lines_with(pilot, "✗ nothing was measured: [red]no") and lines_with(pilot, "Name a tokenizer.")


async def test_a_launch_that_serves_is_measured_from_its_screen(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "v")
        await settle(pilot)
        launch = cast(LaunchScreen, pilot.app.screen).launch
        assert isinstance(launch, FakeLaunch)
        await press(pilot, "b")
        assert not isinstance(pilot.app.screen, BenchScreen)  # it does not serve yet
        launch.send(EndpointUp(url="http://spark-1:8000/v1", model="alpha"), StatusChanged(status=LaunchStatus.READY))
        await settle(pilot)
        await press(pilot, "b")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BenchScreen)
