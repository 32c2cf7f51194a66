"""A launch on screen: phases, logs, failure with repairs, endpoint, stop; driven by a launch that the test scripts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.vllm.executor import GO_WITHOUT
from sparkrun_tui.launch.record.events import (
    STOP,
    Diagnosed,
    EndpointUp,
    LaunchStatus,
    LinkChanged,
    Noticed,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.recipe.model import Problem, Recipe, Severity, Source, SourceKind
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.model.ports import PastLaunch
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen
from sparkrun_tui.ui.widgets.log.view import LogView

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeBackend, FakeLaunch

DIAGNOSIS = Diagnosed(
    host="spark-1",
    title="KV cache too small for the context",
    explanation="vLLM needs 9.1 GiB for one request; 6.6 GiB are there.",
    evidence="ValueError: To serve at least one request",
    repairs=(
        Repair("shorter", "the longest that fits", "max_model_len", "16384"),
        Repair("Free memory on the host", "something else takes 20 GiB"),
    ),
)


async def begin(pilot: Pilot[int], backend: FakeBackend) -> FakeLaunch:
    """Launch the recipe under the cursor, through its plan."""
    await press(pilot, "l")
    await settle(pilot)
    assert isinstance(pilot.app.screen, PlanScreen)
    await press(pilot, "enter")
    await settle(pilot)
    assert isinstance(pilot.app.screen, LaunchScreen)
    return backend.launches[-1]


def tick(pilot: Pilot[int]) -> None:
    """Look for changes now instead of waiting for the clock."""
    cast(SparkrunApp, pilot.app).launch_poll.tick()


async def test_the_plan_is_shown_before_anything_is_done(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "p")
        await settle(pilot)
        text = screen_text(pilot)
        assert "Plan: alpha-8b on lab" in text
        for phase in ("check", "image", "model", "start", "ready"):
            assert phase in text
        assert not backend.launches
        await press(pilot, "right")
        assert "# spark-1" in screen_text(pilot)
        await press(pilot, "d")
        assert "docker" in screen_text(pilot)
        await press(pilot, "escape", "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_checks_of_hosts_can_be_waved_through_after_a_question(open_app: Pilots, backend: FakeBackend) -> None:
    backend.found = (Problem(Severity.ERROR, "memory", "spark-1 has 3.0 GiB left"),)
    async with open_app() as pilot:
        await press(pilot, "p")
        await settle(pilot)
        assert lines_with(pilot, "✗ spark-1 has 3.0 GiB left")
        await press(pilot, "enter")
        await settle(pilot)
        assert not backend.launches
        await press(pilot, "L")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)
        await press(pilot, "y")
        await settle(pilot)
        assert backend.calls[-1] == "launch alpha-8b {} ignored ['memory']"


async def test_overrides_travel_into_the_launch(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "o")
        pilot.app.screen.detail.form.select("port")  # type: ignore[attr-defined]
        await press(pilot, "enter", *"9000", "enter", "escape")
        await begin(pilot, backend)
        assert backend.calls[-1] == "launch alpha-8b {'port': '9000'}"


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_phases_and_progress_are_shown(open_app: Pilots, backend: FakeBackend, size: tuple[int, int]) -> None:
    async with open_app(size, query="beta") as pilot:
        launch = await begin(pilot, backend)
        assert list(launch.logs) == ["spark-1", "spark-2"]
        launch.send(
            LinkChanged(host="spark-1", state="up"),
            StepChanged(host="spark-1", phase=Phase.IMAGE, state=StepState.SKIPPED, detail="here"),
            Progressed(host="spark-1", phase=Phase.MODEL, done=71 << 30, total=100 << 30, rate=200 << 20),
            StepChanged(host="spark-2", phase=Phase.IMAGE, state=StepState.FAILED, detail="denied"),
        )
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "✓ here")
        assert lines_with(pilot, "▶ 71 %")
        assert lines_with(pilot, "71.0 GiB of 100.0 GiB")
        assert lines_with(pilot, "✗")


async def test_the_last_time_stands_below(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [
        PastLaunch("o1", "alpha-8b", "lab", ("spark-1",), "failed", 1.0, 2.0, None),
        PastLaunch("o2", "alpha-8b", "lab", ("spark-1",), "stopped", 1.0, 2.0, 686.0, phases={Phase.LOAD: 75.0}),
    ]
    async with open_app() as pilot:
        await begin(pilot, backend)
        assert lines_with(pilot, "last time")[0].split() == ["│", "last", "time", "1:15", "11:26", "in", "total", "│"]


async def test_logs_follow_pause_and_count_what_is_pending(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", *(f"line {number}" for number in range(100)))
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "line 99") and lines_with(pilot, "following")
        await press(pilot, "space")
        launch.print("spark-1", *(f"later {number}" for number in range(7)))
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "line 99"), "what is read does not move"
        assert not lines_with(pilot, "later")
        assert lines_with(pilot, "7 new")
        await press(pilot, "G")
        assert lines_with(pilot, "later 6") and lines_with(pilot, "following")
        await press(pilot, "k")
        assert lines_with(pilot, "paused")


async def test_search_in_a_log_goes_from_match_to_match(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", *(f"needle {n}" if n % 50 == 7 else f"hay {n}" for n in range(400)))
        tick(pilot)
        await press(pilot, "slash", *"needle", "enter")
        view = pilot.app.screen.query_one(LogView)
        assert view.finder is not None and len(view.finder.matches) == 8
        assert view.at_line == 357
        assert lines_with(pilot, "needle 357") and lines_with(pilot, "8 of 8 found")
        await press(pilot, "N")
        assert view.at_line == 307
        await press(pilot, "n", "n")
        assert view.at_line == 7, "it goes round"


async def test_logs_are_merged_tiled_or_one(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app(query="beta") as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", "first", time=1000.0)
        launch.print("spark-2", "second", time=1001.0)
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "━ spark-1") == lines_with(pilot, "─ spark-2"), "side by side"
        await press(pilot, "m")
        assert lines_with(pilot, "all hosts")
        assert lines_with(pilot, "spark-1 first") and lines_with(pilot, "spark-2 second")
        await press(pilot, "2")
        assert lines_with(pilot, "━ spark-2") and not lines_with(pilot, "─ spark-1")
        await press(pilot, "enter")
        assert lines_with(pilot, "─ spark-1") and lines_with(pilot, "━ spark-2")


async def test_of_many_logs_a_few_are_painted_at_a_time(open_app: Pilots) -> None:
    """A key waits for one painting; none of the logs is left behind."""
    hosts = tuple(f"spark-{number}" for number in range(1, 9))
    launch = FakeLaunch("many", hosts)
    async with open_app(size=(160, 60)) as pilot:
        pilot.app.open_launch(launch)  # type: ignore[attr-defined]
        await pilot.pause()
        views = pilot.app.screen.deck.shown  # type: ignore[attr-defined]
        assert len(views) == 8
        for host in hosts:
            launch.print(host, f"{host} speaks")
        tick(pilot)
        assert 0 < sum(view.has_news for view in views) < 8
        await until(pilot, lambda: not any(view.has_news for view in views))
        await pilot.pause()
        text = screen_text(pilot)
        assert all(f"{host} speaks" in text for host in hosts)
        launch.print("spark-8", "one alone")
        tick(pilot)
        assert not any(view.has_news for view in views)


async def test_a_failure_shows_its_cause_and_a_repair_on_one_key(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.send(DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await pilot.pause()
        text = screen_text(pilot)
        assert "spark-1 · KV cache too small for the context" in text
        assert "To serve at least one request" in text
        assert "max_model_len 32768 → 16384" in text
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "max_model_len 32768 → 16384") and len(backend.launches) == 1
        await press(pilot, "y")
        await until(pilot, lambda: len(backend.launches) == 2)
        assert backend.calls[-1] == "launch alpha-8b {'max_model_len': '16384'}"


async def test_a_repair_by_hand_cannot_be_applied(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.send(DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await pilot.pause()
        await press(pilot, "2", "enter")
        assert isinstance(pilot.app.screen, LaunchScreen)
        await press(pilot, "y")
        assert "KV cache too small" in pilot.app.clipboard


async def test_the_endpoint_can_be_copied_and_asked(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        await press(pilot, "t")
        assert isinstance(pilot.app.screen, LaunchScreen), "there is no endpoint yet"
        launch.send(EndpointUp(url="http://10.0.0.1:8000/v1", model="alpha"), StatusChanged(status=LaunchStatus.READY))
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "http://10.0.0.1:8000/v1")
        assert "1 running" in screen_text(pilot).splitlines()[0]
        await press(pilot, "y")
        assert pilot.app.clipboard == "http://10.0.0.1:8000/v1"
        await press(pilot, "t", "enter")
        await settle(pilot)
        assert lines_with(pilot, "Hello from the model.")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_going_without_ray_is_one_key(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        found = replace(DIAGNOSIS, title="the image has no Ray", repairs=(GO_WITHOUT,))
        launch.send(found, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await pilot.pause()
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: len(backend.launches) == 2)
        assert backend.calls[-1] == "launch alpha-8b {'distributed_executor_backend': 'mp'}"


async def test_escape_leaves_the_launch_running(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await begin(pilot, backend)
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert not [call for call in backend.calls if call.startswith(("stop", "cancel"))]


async def test_one_key_copies_and_saves_the_report(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        launch = await begin(pilot, backend)
        await press(pilot, "r")
        await settle(pilot)
        app = cast(SparkrunApp, pilot.app)
        assert app.clipboard.startswith("# alpha-8b: starting") and "spark-1" not in app.clipboard
        said = [notification.message for notification in pilot.app._notifications]
        assert any("saved the report in\n/state/reports/one.md" in text for text in said)
        launch.send(DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await settle(pilot)
        await press(pilot, "y")
        await settle(pilot)
        assert "KV cache too small for the context" in app.clipboard


async def test_history_replays_and_reports(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [PastLaunch("abcd2345", "alpha-8b", "lab", ("spark-1",), "ready", 1000.0, None, 65.0)]
    async with open_app((80, 24)) as pilot:
        await press(pilot, "h")
        await settle(pilot)
        await press(pilot, "r")
        await settle(pilot)
        assert cast(SparkrunApp, pilot.app).clipboard.startswith("# ")
        await press(pilot, "v")
        await settle(pilot)
        assert backend.calls[-1] == "replay abcd2345" and isinstance(pilot.app.screen, LaunchScreen)


async def test_a_start_that_hangs_is_said_once_with_the_key_that_stops_it(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app((80, 24)) as pilot:
        launch = await begin(pilot, backend)
        launch.send(Noticed(level="note", text="no news for 1:30: loading", seq=6))
        tick(pilot)
        await settle(pilot)
        for _ in range(2):
            launch.send(Noticed(level="warning", text="no news for 5:00: hung", offers=STOP, seq=7))
            tick(pilot)
            await settle(pilot)
        said = [notification.message for notification in pilot.app._notifications]
        assert [text for text in said if "no news" in text] == [
            "! alpha-8b: no news for 5:00: hung\nPress x to stop it."
        ]
        await press(pilot, "x", "y")
        await settle(pilot)
        assert backend.calls[-1] == f"cancel {launch.launch_id}"


async def test_stopping_asks_once_and_no_is_the_default(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.send(EndpointUp(url="http://h:8000", model="alpha"), StatusChanged(status=LaunchStatus.READY))
        tick(pilot)
        await press(pilot, "x")
        assert isinstance(pilot.app.screen, Confirm)
        assert "spark-1" in screen_text(pilot)
        await press(pilot, "enter")
        assert launch.state.status is LaunchStatus.READY
        await press(pilot, "x", "y")
        await settle(pilot)
        assert backend.calls[-1] == "stop launch-0"


async def test_ctrl_c_cancels_after_a_question_and_forces_the_second_time(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app() as pilot:
        await begin(pilot, backend)
        await press(pilot, "ctrl+c")
        assert isinstance(pilot.app.screen, Confirm)
        await press(pilot, "y")
        await settle(pilot)
        assert backend.calls[-1] == "cancel launch-0"
        await press(pilot, "ctrl+c")
        await settle(pilot)
        assert backend.calls[-1] == "cancel launch-0 force"


async def test_leaving_the_app_while_a_launch_starts_asks(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await begin(pilot, backend)
        await press(pilot, "ctrl+q")
        assert isinstance(pilot.app.screen, Confirm)
        await press(pilot, "n")
        assert isinstance(pilot.app.screen, LaunchScreen)
        assert "alpha-8b was still starting on spark-1" in cast(SparkrunApp, pilot.app).launches.farewell()


async def test_hostile_log_lines_stay_text(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", "plain [/foo] and [link=http://x]y", "[bold red]not markup")
        tick(pilot)
        await pilot.pause()
        assert lines_with(pilot, "plain [/foo] and [link=http://x]y")
        assert lines_with(pilot, "[bold red]not markup")


async def test_a_recipe_from_a_registry_asks_before_its_first_launch(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        recipe = app.state.recipe
        assert isinstance(recipe, Recipe)
        foreign = replace(recipe, source=Source(SourceKind.REGISTRY, recipe.source.path, "acme"))
        rendered = replace(app.state.evaluation(recipe).rendered, recipe=foreign)
        for number in (1, 2):
            app.open_plan(rendered)
            await settle(pilot)
            await press(pilot, "enter")
            await settle(pilot)
            if number == 1:
                assert isinstance(app.screen, Confirm)
                assert lines_with(pilot, "comes from the registry acme")
                await press(pilot, "y")
                await settle(pilot)
            assert isinstance(app.screen, LaunchScreen), "the second time it is known"
            assert len(backend.launches) == number


async def test_the_whole_logs_are_saved_and_it_is_said_where(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", "first", "second")
        await press(pilot, "S")
        await settle(pilot)
        assert backend.calls[-1] == f"export_logs {launch.launch_id}"
        said = [notification.message for notification in pilot.app._notifications][-1]
        count, _, folder = said.partition(":\n")
        assert count == "saved 2 lines in one file"
        assert (Path(folder) / "spark-1.log").read_text().count("\n") == 3


async def test_logs_are_saved_from_the_palette_too(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        launch = await begin(pilot, backend)
        launch.print("spark-1", "first")
        await press(pilot, "ctrl+p", *"save logs")
        await settle(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert backend.calls[-1] == f"export_logs {launch.launch_id}"
