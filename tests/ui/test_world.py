"""One picture of the hosts: verdicts, plan and bar say the same, with their age, and change with what runs."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.fleet.stop import Outcome, RankStopped, StopReport
from sparkrun_tui.launch.record.events import LaunchStatus, LinkChanged, MemorySeen, StatusChanged
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.plan import PlanScreen
from sparkrun_tui.ui.widgets.top_bar import TopBar

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeBackend

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    return cast(SparkrunApp, pilot.app)


def serving(*hosts: str, launch_id: str = "abcd2345", ours: bool = True) -> Workload:
    """What another session has launched on these hosts."""
    ranks = tuple(
        WorkloadRank(host, f"id{number}", f"coder-{number}", number, "head", "running", 1.0)
        for number, host in enumerate(hosts)
    )
    health = Health.SERVING if ours else Health.UNKNOWN
    return Workload(
        launch_id if ours else "", "coder", "vllm", "acme/coder", "coder", 8000, ranks, len(ranks), health, ours=ours
    )


def occupy(backend: FakeBackend, *hosts: str, ours: bool = True) -> None:
    """Let a workload hold the memory of these hosts."""
    backend.view = FleetView("lab", 1000.0, (), (serving(*hosts, ours=ours),))
    backend.free.update(dict.fromkeys(hosts, 33.0))


def leave(backend: FakeBackend) -> None:
    """Let the hosts be idle again."""
    backend.view = FleetView("lab", 1001.0, (), ())
    backend.free.clear()


def sign(pilot: Pilot[int], name: str) -> str:
    """The verdict of a recipe in the list."""
    state = app_of(pilot).state
    key = next(entry.source.path for entry in state.catalog.index.entries if entry.name == name)
    state.judge(key)
    return state.sign(key)


# What is shown.


@SIZES
async def test_the_first_screen_says_what_runs_and_one_key_opens_it(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    occupy(backend, "spark-1", "spark-2")
    async with open_app(size) as pilot:
        assert "1 running: coder" in screen_text(pilot).splitlines()[0]
        assert lines_with(pilot, "coder holds about 84 GiB on spark-1")
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, FleetScreen)
        await settle(pilot)
        assert lines_with(pilot, "✓ coder :8000")


async def test_a_click_on_what_runs_opens_the_fleet(open_app: Pilots, backend: FakeBackend) -> None:
    occupy(backend, "spark-1")
    async with open_app() as pilot:
        top = screen_text(pilot).splitlines()[0]
        await pilot.click(TopBar, offset=(top.index("running"), 0))
        await pilot.pause()
        assert isinstance(pilot.app.screen, FleetScreen)


async def test_what_another_tool_launched_is_counted_and_named(open_app: Pilots, backend: FakeBackend) -> None:
    occupy(backend, "spark-1", "spark-2", ours=False)
    async with open_app() as pilot:
        assert "1 running: coder" in screen_text(pilot).splitlines()[0]
        await press(pilot, "p")
        await settle(pilot)
        assert lines_with(pilot, "held by coder")
        assert not lines_with(pilot, "x stops")


@SIZES
async def test_hosts_that_do_not_answer_give_no_tick(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    backend.unreachable = {"spark-1": "no route to host", "spark-2": "no route to host"}
    async with open_app(size) as pilot:
        assert sign(pilot, "alpha-8b") == "supposed" and sign(pilot, "beta-70b") == "supposed"
        text = screen_text(pilot)
        assert "✓" not in text
        assert "on an idle Spark:" in text and "○ starts" in text
        assert lines_with(pilot, "spark-1 does not answer: no route to host")
        assert lines_with(pilot, "no host has answered")
        await press(pilot, "p")
        await settle(pilot)
        assert lines_with(pilot, "[x] spark-1  ✗ does not answer: no route to host")
        assert "✓ starts" not in screen_text(pilot)


async def test_the_filter_of_what_fits_still_finds_what_would_fit(open_app: Pilots, backend: FakeBackend) -> None:
    backend.unreachable = {"spark-1": "no route to host", "spark-2": "no route to host"}
    async with open_app(query="fits:yes") as pilot:
        await until(pilot, lambda: lines_with(pilot, "alpha-8b"))


async def test_one_host_that_answers_is_taken_in_place_of_one_that_does_not(
    open_app: Pilots, backend: FakeBackend
) -> None:
    backend.unreachable = {"spark-1": "no route to host"}
    async with open_app() as pilot:
        assert sign(pilot, "alpha-8b") in ("good", "tight")
        assert lines_with(pilot, "spark-2 █")
        assert sign(pilot, "beta-70b") == "supposed"


@SIZES
async def test_verdicts_say_how_old_they_are(open_app: Pilots, backend: FakeBackend, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        assert lines_with(pilot, "as of ") and not lines_with(pilot, " ago")
    backend.taken = time.time() - 200
    async with open_app(size) as pilot:
        assert lines_with(pilot, ", 3:2")  # minutes and seconds, then "ago"
        assert lines_with(pilot, " ago")


# What changes them.


async def test_a_launch_and_its_stop_change_the_verdicts_at_once(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        assert sign(pilot, "gamma-sg") != "bad"
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
        await press(pilot, "escape")
        # The other host is idle, so the recipes are judged there.
        assert app_of(pilot).state.recipe is not None
        assert lines_with(pilot, "spark-2 █")
        backend.launches[0].send(StatusChanged(status=LaunchStatus.CANCELLED))
        app_of(pilot).launch_poll.tick()
        await settle(pilot)
        assert lines_with(pilot, "spark-1 █")


async def test_a_stop_from_the_fleet_changes_the_verdicts_at_once(open_app: Pilots, backend: FakeBackend) -> None:
    occupy(backend, "spark-1", "spark-2")
    backend.stopped = StopReport((RankStopped("spark-1", 0, Outcome.STOPPED),))
    async with open_app() as pilot:
        assert sign(pilot, "alpha-8b") == "bad"
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        leave(backend)
        await press(pilot, "y")
        await settle(pilot)
        assert sign(pilot, "alpha-8b") != "bad"
        await press(pilot, "escape")
        assert "running" not in screen_text(pilot).splitlines()[0]


async def test_hosts_are_asked_again_by_and_by_and_a_small_change_costs_no_verdicts(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app() as pilot:
        app = app_of(pilot)
        before, state = backend.surveys, app.state
        key = state.selected
        known = state.evaluation(state.catalog.recipe(key))  # type: ignore[arg-type]
        backend.free["spark-1"] = 114.9
        app.host_watch._begun = 0.0
        app.host_watch.pace_changed()
        await until(pilot, lambda: backend.surveys > before)
        assert state.evaluation(state.catalog.recipe(key)) is known  # type: ignore[arg-type]
        occupy(backend, "spark-1", "spark-2")
        await app.refresh_hosts()
        assert state.evaluation(state.catalog.recipe(key)) is not known  # type: ignore[arg-type]
        assert lines_with(pilot, "coder holds about")


async def test_a_link_that_a_launch_has_lost_is_seen_in_the_bar(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
        backend.launches[0].send(LinkChanged(host="spark-1", state="reconnecting"))
        app_of(pilot).launch_poll.tick()
        await pilot.pause()
        assert "spark-1 ◌ spark-2 ●" in screen_text(pilot).splitlines()[0]
        backend.launches[0].send(LinkChanged(host="spark-1", state="up"))
        app_of(pilot).launch_poll.tick()
        await pilot.pause()
        assert "spark-1 ● spark-2 ●" in screen_text(pilot).splitlines()[0]


async def test_a_link_that_a_survey_finds_broken_is_seen_in_the_bar(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        broken = LinkStatus(LinkState.RECONNECTING, 1.0, "the host ended the connection")
        known = backend.view
        backend.view = replace(known, hosts=(HostStatus("spark-1", broken),))
        await app_of(pilot).refresh_hosts()
        await settle(pilot)
        assert "spark-1 ◌ spark-2 ●" in screen_text(pilot).splitlines()[0]
        backend.view = known
        await app_of(pilot).refresh_hosts()
        await settle(pilot)
        assert "spark-1 ● spark-2 ●" in screen_text(pilot).splitlines()[0]


async def test_the_memory_that_a_launch_measures_is_what_verdicts_count_on(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app() as pilot:
        app = app_of(pilot)
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
        launch = backend.launches[0]
        launch.send(MemorySeen(host="spark-1", available=40 << 30, total=120 << 30))
        app.launch_poll.tick()
        launch.send(MemorySeen(host="spark-1", available=5 << 30, total=120 << 30))
        app.launch_poll.tick()
        assert app.state.world.facts["spark-1"].memory_available == 5 << 30


# The plan.


@SIZES
async def test_the_emptiest_host_is_proposed_and_another_one_chosen_by_key(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    occupy(backend, "spark-1")
    async with open_app(size) as pilot:
        assert lines_with(pilot, "on spark-2" if size[0] < 100 else "spark-2 █")
        await press(pilot, "l")
        await settle(pilot)
        assert lines_with(pilot, "[ ] spark-1") and lines_with(pilot, "[x] spark-2")
        assert lines_with(pilot, "about 84 GiB held by coder")
        await press(pilot, "g", "down", "space")
        await settle(pilot)
        assert lines_with(pilot, "[x] spark-1") and lines_with(pilot, "[ ] spark-2")
        assert lines_with(pilot, "✗ memory: will not start")
        await press(pilot, "down", "space")
        await settle(pilot)
        assert lines_with(pilot, "[x] spark-2")
        await press(pilot, "enter")
        await until(pilot, lambda: bool(backend.launches))
        assert list(backend.launches[0].logs) == ["spark-2"]


async def test_hosts_are_chosen_by_a_click(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        rows = screen_text(pilot).splitlines()
        row = next(number for number, text in enumerate(rows) if "[ ] spark-2" in text)
        await pilot.click(offset=(5, row))
        await settle(pilot)
        assert lines_with(pilot, "[x] spark-2") and lines_with(pilot, "[ ] spark-1")
        await press(pilot, "enter")
        await until(pilot, lambda: bool(backend.launches))
        assert list(backend.launches[0].logs) == ["spark-2"]


async def test_too_few_hosts_cannot_be_launched(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app(query="beta") as pilot:
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "g", "down", "space")
        await settle(pilot)
        assert lines_with(pilot, "1 of 2") and lines_with(pilot, "choose 1 more host")
        await press(pilot, "enter")
        await settle(pilot)
        assert not backend.launches
        await press(pilot, "space")
        await settle(pilot)
        assert lines_with(pilot, "2 of 2") and not lines_with(pilot, "choose 1 more")


async def test_a_memory_that_is_too_small_is_launched_by_its_own_key_only(
    open_app: Pilots, backend: FakeBackend
) -> None:
    backend.free = {"spark-1": 20.0, "spark-2": 20.0}
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        assert lines_with(pilot, "✗ memory: will not start") and lines_with(pilot, "✗ will not start")
        await press(pilot, "enter")
        await settle(pilot)
        assert not backend.launches
        await press(pilot, "L")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "will not start")
        await press(pilot, "y")
        await until(pilot, lambda: bool(backend.launches))
        assert backend.calls[-1] == "launch alpha-8b {} ignored ['memory']"


async def test_the_plan_lists_the_overrides(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        app = app_of(pilot)
        app.state.edits_of(app.state.selected).update({"port": "9000", "api_key": "sk-secret"})
        app.state.forget_verdict(app.state.selected)
        app.state_changed()
        await press(pilot, "l")
        await settle(pilot)
        assert lines_with(pilot, "overrides  port 8000 → 9000")
        assert "sk-secret" not in screen_text(pilot)


async def test_what_holds_the_memory_is_stopped_first_on_one_key(open_app: Pilots, backend: FakeBackend) -> None:
    occupy(backend, "spark-1", "spark-2")
    backend.stopped = StopReport(
        (RankStopped("spark-1", 0, Outcome.STOPPED), RankStopped("spark-2", 1, Outcome.STOPPED))
    )
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        assert lines_with(pilot, "x stops coder first, then launches")
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        assert lines_with(pilot, "coder holds about 84 GiB on spark-1")
        assert lines_with(pilot, "spark-2: coder-1 (running)")
        leave(backend)
        await press(pilot, "y")
        await until(pilot, lambda: bool(backend.launches))
        assert backend.calls[-2:] == ["stop_workload abcd2345", "launch alpha-8b {}"]
        assert list(backend.launches[0].logs) == ["spark-1"]


async def test_nothing_is_launched_when_it_was_not_seen_to_stop(open_app: Pilots, backend: FakeBackend) -> None:
    occupy(backend, "spark-1", "spark-2")
    backend.stopped = StopReport((RankStopped("spark-1", 0, Outcome.UNKNOWN, "no answer in time"),))
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "y")
        await settle(pilot)
        assert isinstance(pilot.app.screen, PlanScreen) and not backend.launches
        told = [note.message for note in pilot.app._notifications]
        assert any("no answer in time" in text for text in told)


async def test_a_launch_that_still_starts_can_be_stopped_first(open_app: Pilots, backend: FakeBackend) -> None:
    backend.free = {"spark-2": 20.0}
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        await press(pilot, "enter")
        await until(pilot, lambda: bool(backend.launches))
        await settle(pilot)
        await press(pilot, "escape", "l")
        await settle(pilot)
        await press(pilot, "g", "down", "space")
        await settle(pilot)
        assert lines_with(pilot, "x stops alpha-8b first")
        await press(pilot, "x")
        await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
        await press(pilot, "y")
        await until(pilot, lambda: len(backend.launches) == 2)
        assert "stop launch-0" in backend.calls


async def test_plan_and_picture_never_contradict_each_other(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        for free in (4.0, 30.0, 95.0, 99.0, 101.0, 106.0, 115.0):
            backend.free = {"spark-1": free, "spark-2": free - 2}
            await app_of(pilot).refresh_hosts()
            await press(pilot, "l")
            await settle(pilot)
            text = screen_text(pilot)
            picture = [line for line in text.splitlines() if "✗" in line and "memory:" not in line]
            bad_picture = any("start" in line or "host" in line or "room" in line for line in picture)
            assert ("✗ memory:" in text) == bad_picture, free
            if "✓ starts" in text:
                assert "will not start" not in text
            await press(pilot, "escape")
            assert isinstance(pilot.app.screen, BrowseScreen)


async def test_the_age_of_a_plan_is_that_of_its_hosts(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "l")
        await settle(pilot)
        assert lines_with(pilot, "checked on the hosts, as of ")


async def test_a_host_that_a_survey_finds_down_loses_its_verdicts(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        assert sign(pilot, "alpha-8b") in ("good", "tight")
        backend.unreachable = {"spark-1": "gone", "spark-2": "gone"}
        await app_of(pilot).refresh_hosts()
        assert sign(pilot, "alpha-8b") == "supposed"
        backend.unreachable = {}
        await app_of(pilot).refresh_hosts()
        assert sign(pilot, "alpha-8b") in ("good", "tight")
