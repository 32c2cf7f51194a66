"""Earlier launches: what became of each by what its hosts say, opened, filtered, launched again, deleted."""

from __future__ import annotations

import time
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.fleet.model import FleetView, Health, Workload, WorkloadRank
from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.model.ports import PastLaunch
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.dialogs.export import ExportScreen
from sparkrun_tui.ui.screens.history import HistoryScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeBackend
from .test_launch import DIAGNOSIS

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def past(launch_id: str, outcome: str, **more: object) -> PastLaunch:
    """A launch of alpha-8b on the first host."""
    given = {"recipe": "alpha-8b", "hosts": ("spark-1",), "settings": {}} | more
    recipe, hosts = cast(str, given["recipe"]), cast(tuple[str, ...], given["hosts"])
    return PastLaunch(
        launch_id,
        recipe,
        cast(str, given.get("cluster", "lab")),
        hosts,
        outcome,
        1000.0,
        1100.0,
        60.0,
        settings=cast(dict[str, str], given["settings"]),
        claimed=bool(given.get("claimed")),
        written=cast(float, given.get("written", 1100.0)),
    )


def running(launch_id: str, health: Health = Health.SERVING) -> FleetView:
    ranks = (WorkloadRank("spark-1", "id0", "c0", 0, "solo", "running", 1.0),)
    found = Workload(launch_id, "alpha-8b", "vllm", "acme/alpha-8b", "alpha", 8000, ranks, 1, health)
    return FleetView("lab", 1000.0, (), (found,))


async def open_history(pilot: Pilot[int]) -> None:
    await press(pilot, "h")
    await settle(pilot)
    assert isinstance(pilot.app.screen, HistoryScreen)


def said(pilot: Pilot[int]) -> list[str]:
    return [note.message for note in pilot.app._notifications]


@SIZES
async def test_what_became_of_a_launch_is_what_its_hosts_say(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    backend.past = [
        past("runs", "ready", recipe="one"),
        past("over", "ready", recipe="two"),
        past("stuck", "starting", recipe="three"),
        past("fresh", "starting", recipe="four", written=time.time()),
        past("other", "ready", recipe="five", hosts=("elsewhere",), cluster="attic"),
        past("broke", "failed", recipe="six"),
        past("done", "stopped", recipe="seven"),
    ]
    backend.view = running("runs")
    async with open_app(size) as pilot:
        await open_history(pilot)
        wanted = {
            "one": "✓ serving",
            "two": "– ended",
            "three": "– gone",
            "four": "▶ starting",
            "five": "? not asked",
            "six": "✗ failed",
            "seven": "– stopped",
        }
        for recipe, words in wanted.items():
            (row,) = [line for line in lines_with(pilot, f" {recipe} ") if ":" in line]
            assert words in row, recipe


async def test_a_host_that_does_not_answer_leaves_it_open(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("runs", "ready")]
    backend.unreachable = {"spark-1": "no route to host"}
    async with open_app() as pilot:
        await open_history(pilot)
        assert lines_with(pilot, "? no answer")


async def test_one_that_still_runs_is_attached(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("runs", "ready")]
    backend.alive = {"runs"}
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen) and "reopen runs" in backend.calls
        assert lines_with(pilot, "✓ ready") and lines_with(pilot, "▏following")
        await press(pilot, "t")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ChatScreen)


@SIZES
async def test_one_that_is_over_is_plainly_the_past(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    backend.past = [past("over", "ready")]
    async with open_app(size) as pilot:
        await open_history(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)
        assert lines_with(pilot, "– no longer there; ran from")
        assert lines_with(pilot, "as it was recorded")
        text = screen_text(pilot)
        assert "following" not in text and "Endpoint" not in text and "✓ ready" not in text
        assert "test prompt" not in text and "x stop" not in text
        for key in ("t", "x", "ctrl+c"):
            await press(pilot, key)
            await settle(pilot)
            assert isinstance(pilot.app.screen, LaunchScreen), key
        assert any("Nothing of it runs" in text for text in said(pilot))
        assert not [call for call in backend.calls if call.startswith(("stop", "cancel"))]


async def test_entries_show_their_overrides_without_secrets(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [
        past("a", "failed", settings={"max_model_len": "16384"}),
        past("b", "failed", settings={"port": "9000", "api_key": "sk-very-secret"}),
    ]
    async with open_app() as pilot:
        await open_history(pilot)
        assert lines_with(pilot, "max_model_len=16384") and lines_with(pilot, "port=9000")
        assert "sk-very-secret" not in screen_text(pilot)
    async with open_app((80, 24)) as pilot:
        await open_history(pilot)
        assert lines_with(pilot, "─ max_model_len=16384 ─")


async def test_the_list_is_filtered_by_any_of_its_words(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [
        past("a", "failed", settings={"max_model_len": "16384"}),
        past("b", "stopped", recipe="beta-70b"),
    ]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "slash", *"16384")
        assert lines_with(pilot, "alpha-8b") and not lines_with(pilot, "beta-70b")
        assert lines_with(pilot, "Earlier launches 1 of 2")
        await press(pilot, "enter")
        assert lines_with(pilot, "alpha-8b")
        await press(pilot, "escape")
        assert lines_with(pilot, "beta-70b") and isinstance(pilot.app.screen, HistoryScreen)
        await press(pilot, "slash", *"stopped", "enter")
        assert lines_with(pilot, "beta-70b") and not lines_with(pilot, "alpha-8b")
        await press(pilot, "slash", *"zzz", "enter")
        assert lines_with(pilot, "none of 2 matches: esc clears the filter")
        await press(pilot, "escape", "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_one_is_launched_again_after_one_confirmation(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", settings={"max_model_len": "16384"})]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "l")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "alpha-8b on spark-1") and lines_with(pilot, "max_model_len 32768 → 16384")
        assert not lines_with(pilot, "Other than then")
        await press(pilot, "y")
        await until(pilot, lambda: bool(backend.launches))
        assert backend.calls[-1] == "launch alpha-8b {'max_model_len': '16384'}"
        assert isinstance(pilot.app.screen, LaunchScreen)
        app = cast(SparkrunApp, pilot.app)
        assert not app.state.edits_of(app.state.selected).kept, "the form keeps its own values"


async def test_what_is_other_than_then_is_said_first(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", cluster="attic", hosts=("elsewhere",))]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "l")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "cluster lab, in place of attic")
        assert lines_with(pilot, "on spark-1, in place of elsewhere")
        await press(pilot, "n")
        await settle(pilot)
        assert isinstance(pilot.app.screen, HistoryScreen) and not backend.launches


async def test_a_failed_check_stops_a_launch_again_in_its_plan(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped")]
    backend.free = {"spark-1": 20.0, "spark-2": 20.0}
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "l")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "y")
        await settle(pilot)
        assert isinstance(pilot.app.screen, PlanScreen) and not backend.launches
        assert lines_with(pilot, "✗ memory: will not start")


async def test_a_repair_of_an_earlier_failure_launches_it_again(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "failed", settings={"port": "9000"})]
    backend.ending = (DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED, time=1100.0))
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "enter")
        await settle(pilot)
        assert lines_with(pilot, "✗ failed; ran 1970-01-01")
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "max_model_len 32768 → 16384") and lines_with(pilot, "port 8000 → 9000")
        await press(pilot, "y")
        await until(pilot, lambda: bool(backend.launches))
        assert backend.calls[-1] == "launch alpha-8b {'port': '9000', 'max_model_len': '16384'}"


async def test_the_plan_of_launching_again_has_its_overrides(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", settings={"max_model_len": "16384"})]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "p")
        await settle(pilot)
        assert isinstance(pilot.app.screen, PlanScreen)
        assert lines_with(pilot, "overrides  max_model_len 32768 → 16384")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, HistoryScreen)


async def test_a_secret_that_was_not_kept_is_asked_for(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", settings={"api_key": "•••"})]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "l")
        await settle(pilot)
        assert any("api_key was not kept" in text for text in said(pilot))
        assert isinstance(pilot.app.screen, HistoryScreen)


async def test_what_only_labels_describe_is_not_launched_again(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", claimed=True)]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "l")
        await settle(pilot)
        assert any("launched elsewhere" in text for text in said(pilot))
        assert not [call for call in backend.calls if call.startswith("recipe_of")]


async def test_one_is_deleted_after_a_confirmation(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped"), past("b", "stopped", recipe="beta-70b")]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "enter")
        await settle(pilot)
        assert "forget a" not in backend.calls
        await press(pilot, "D")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "y")
        await settle(pilot)
        assert "forget a" in backend.calls
        assert not lines_with(pilot, "alpha-8b") and lines_with(pilot, "beta-70b")


async def test_a_launch_is_written_for_another_tool_with_its_overrides(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [past("a", "stopped", settings={"port": "9123"}), past("b", "stopped", claimed=True)]
    async with open_app() as pilot:
        await open_history(pilot)
        await press(pilot, "e")
        await until(pilot, lambda: isinstance(pilot.app.screen, ExportScreen))
        await press(pilot, "right", "right", "y")
        assert "port: 9123" in pilot.app.clipboard and "kind: Deployment" in pilot.app.clipboard
        await press(pilot, "escape", "down", "e")
        assert isinstance(pilot.app.screen, HistoryScreen)
        assert "only labels of its containers say how" in said(pilot)[-1]
