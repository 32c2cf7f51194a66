"""Fleet, history, clusters, help, palette, questions: by keys, at small and usual sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from rich.cells import cell_len

from sparkrun_tui.base.user.settings import Settings, load_settings
from sparkrun_tui.fleet.load import Load
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.fleet.stop import Outcome, RankStopped, StopReport
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import text_of
from sparkrun_tui.ui.model.ports import KeyQuestion, PassphraseAsked, PastLaunch
from sparkrun_tui.ui.paint.hosts.fleet_lines import fleet_rows
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.cluster import ClusterPicker
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.help import HelpScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen

from .conftest import BETA, Pilots, lines_with, press, screen_text, settle
from .fakes import FakeBackend

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def rank(host: str, number: int) -> WorkloadRank:
    return WorkloadRank(
        host, f"id{number}", f"alpha-{number}", number, "head" if not number else "worker", "running", 1.0
    )


def fleet() -> FleetView:
    up = LinkStatus(LinkState.UP, 1.0)
    down = LinkStatus(LinkState.UNREACHABLE, 1.0, "no route to host")
    ranks = (rank("spark-1", 0), rank("spark-2", 1))
    workload = Workload("abc", "alpha-8b", "vllm", "acme/alpha-8b", "alpha", 8000, ranks, 2, Health.SERVING)
    foreign = Workload("", "", "", "", "", None, (rank("spark-1", 0),), 1, Health.UNKNOWN, ours=False)
    hosts = (HostStatus("spark-1", up), HostStatus("spark-2", down))
    return FleetView("lab", 1000.0, hosts, (workload, foreign))


@SIZES
async def test_the_fleet_shows_workloads_and_hosts_that_do_not_answer(
    open_app: Pilots, backend: FakeBackend, size: tuple[int, int]
) -> None:
    backend.view = fleet()
    async with open_app(size) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        assert lines_with(pilot, "alpha-8b :8000")
        assert lines_with(pilot, "unreachable")
        assert lines_with(pilot, "└ rank 1")


async def test_the_fleet_tells_the_rate_between_two_readings(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    backend.metrics = {"abc": Metrics(100.0, 2.0, 1.0, 0.12, 1000.0)}
    async with open_app((120, 40)) as pilot:
        await press(pilot, "f")
        await settle(pilot)
        (row,) = lines_with(pilot, "alpha-8b :8000")
        assert "2 running  1 waiting  KV 12 %" in row and "tok/s" not in row
        backend.metrics = {"abc": Metrics(110.0, 2.0, 0.0, 0.13, 1410.0)}
        await press(pilot, "r")
        await settle(pilot)
        (row,) = lines_with(pilot, "alpha-8b :8000")
        assert "41 tok/s  2 running  0 waiting  KV 13 %" in row
        backend.metrics = {}
        await press(pilot, "r")
        await settle(pilot)
        (row,) = lines_with(pilot, "alpha-8b :8000")
        assert "tok/s" not in row and "serving" in row


def test_what_has_no_room_of_a_load_is_left_out_whole_from_the_right() -> None:
    view = fleet()
    found = {"abc": Load(41.4, 2.0, 1.0, 0.12)}
    rows = {width: text_of(fleet_rows(view, 200.0, width, found)[1].line) for width in range(40, 160)}
    assert rows[159].endswith("41 tok/s  2 running  1 waiting  KV 12 %")
    assert all(cell_len(row) <= width for width, row in rows.items())
    ends = {row.rpartition("  ")[2].strip() for width, row in rows.items() if width >= 76}
    assert ends <= {"3:19", "41 tok/s", "2 running", "1 waiting", "KV 12 %"}
    starting = replace(view, workloads=(replace(view.workloads[0], health=Health.STARTING),))
    assert text_of(fleet_rows(starting, 200.0, 120, found)[1].line).endswith("starting")


async def test_a_workload_is_attached_tried_copied_and_stopped(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "y")
        assert pilot.app.clipboard == "http://spark-1:8000/v1"
        await press(pilot, "v")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)
        assert "attach abc" in backend.calls
        await press(pilot, "escape", "t")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ChatScreen)
        await press(pilot, "escape", "x")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)
        assert lines_with(pilot, "spark-2: alpha-1 (running)")
        await press(pilot, "y")
        await settle(pilot)
        assert "stop_workload abc" in backend.calls


async def test_foreign_containers_are_only_shown(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "down", "x")
        await settle(pilot)
        assert not isinstance(pilot.app.screen, Confirm)
        assert lines_with(pilot, "another tool's")


async def test_history_opens_an_earlier_launch_and_copies_its_command(open_app: Pilots, backend: FakeBackend) -> None:
    backend.past = [
        PastLaunch("old1", "alpha-8b", "lab", ("spark-1",), "failed", 1000.0, 1100.0, None, "no memory", {"port": "9"})
    ]
    async with open_app() as pilot:
        await press(pilot, "h")
        await settle(pilot)
        assert lines_with(pilot, "✗ failed") and lines_with(pilot, "no memory")
        await press(pilot, "y")
        assert pilot.app.clipboard == "sparkrun-tui run alpha-8b -H spark-1 -o port=9"
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_without_a_cluster_the_demo_is_offered(
    open_app: Pilots, backend: FakeBackend, settings: Settings
) -> None:
    async with open_app(settings=replace(settings, clusters=())) as pilot:
        assert isinstance(pilot.app.screen, ClusterPicker)
        await press(pilot, "enter")
        await settle(pilot)
        assert isinstance(pilot.app.screen, BrowseScreen)
        assert "demo: demo-1 ● demo-2 ●" in screen_text(pilot).splitlines()[0]
        assert "DEMO" in screen_text(pilot).splitlines()[0]


async def test_demo_is_said_on_every_screen(open_app: Pilots) -> None:
    async with open_app(demo=True) as pilot:
        for key in ("p", "f", "h"):
            await press(pilot, key)
            await settle(pilot)
            assert "DEMO" in screen_text(pilot).splitlines()[0]
            await press(pilot, "escape")


async def test_a_cluster_can_be_added(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "c", "a")
        await pilot.pause()
        await press(pilot, *"den", "enter", *"one", "comma", "space", *"one", "enter")
        assert lines_with(pilot, "host is named twice") and load_settings().cluster("den") is None
        await press(pilot, "enter", *"one", "comma", *"two", "enter")
        await settle(pilot)
        assert "den: one ● two ●" in screen_text(pilot).splitlines()[0]
        assert load_settings().cluster("den") is not None


@SIZES
async def test_help_lists_the_keys_of_the_screen_below(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "question_mark")
        assert isinstance(pilot.app.screen, HelpScreen)
        assert lines_with(pilot, "Review the plan, then launch this recipe.")
        await press(pilot, "G")
        assert lines_with(pilot, "✓ good")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_the_palette_runs_actions_and_finds_recipes(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "ctrl+p", *"history")
        await settle(pilot)
        await pilot.pause(0.3)
        await press(pilot, "enter")
        await settle(pilot)
        assert "Earlier launches" in screen_text(pilot)


async def test_an_unknown_host_key_is_asked_about(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        assert backend.ask is not None
        app = cast(SparkrunApp, pilot.app)
        answers: list[bool] = []

        async def ask() -> None:
            assert backend.ask is not None
            answers.append(await backend.ask.host_key(KeyQuestion("spark-1", "ssh-ed25519", "SHA256:abc")))

        app.background(ask(), "test")
        await pilot.pause()
        assert lines_with(pilot, "SHA256:abc")
        await press(pilot, "y")
        await settle(pilot)
        assert answers == [True]


async def test_what_a_host_says_at_the_login_is_shown_once_and_a_link_each_time(
    open_app: Pilots, backend: FakeBackend
) -> None:
    async with open_app() as pilot:
        assert backend.ask is not None
        for number in range(2):
            backend.ask.host_says("spark-1", "Authorised use only.", "")
            backend.ask.host_says("spark-2", "Visit it.", f"https://login.example.org/a/{number}")
        await pilot.pause()
        said = [notification.message for notification in pilot.app._notifications]
        assert len([text for text in said if "spark-1 says: Authorised use only." in text]) == 1
        for number in range(2):
            link = f"browser: https://login.example.org/a/{number}\nVisit it."
            assert len([text for text in said if link in text]) == 1


async def test_a_passphrase_is_not_shown(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        answers: list[str | None] = []

        async def ask() -> None:
            assert backend.ask is not None
            answers.append(await backend.ask.passphrase(PassphraseAsked("spark-1", "/home/me/.ssh/id")))

        app.background(ask(), "test")
        await pilot.pause()
        await press(pilot, *"hunter")
        assert not lines_with(pilot, "hunter")
        await press(pilot, "enter")
        await settle(pilot)
        assert answers == ["hunter"]


async def test_keys_of_the_settings_replace_those_of_the_table(open_app: Pilots, settings: Settings) -> None:
    async with open_app(settings=replace(settings, keys={"app.fleet": "f2", "no.such": "x"})) as pilot:
        await press(pilot, "f")
        assert isinstance(pilot.app.screen, BrowseScreen)
        await press(pilot, "f2")
        assert "lab" in screen_text(pilot) and not isinstance(pilot.app.screen, BrowseScreen)


async def test_why_an_action_cannot_run_is_said(open_app: Pilots, settings: Settings) -> None:
    async with open_app(query="broken") as pilot:
        await press(pilot, "l")
        said = [notification.message for notification in pilot.app._notifications]
        assert "! This recipe cannot be read: see its problems." in said


async def test_without_a_cluster_recipes_for_several_hosts_are_judged_on_as_many_as_they_want(
    open_app: Pilots, settings: Settings, recipe_dir: Path
) -> None:
    (recipe_dir / "twins.yaml").write_text(BETA.replace("name: beta-70b", "name: twins\nmin_nodes: 2"))
    async with open_app(settings=replace(settings, clusters=())) as pilot:
        await press(pilot, "escape")
        while not lines_with(pilot, "twins") or "·" in lines_with(pilot, "twins")[0]:
            await pilot.pause(0.02)
        [row] = [line for line in lines_with(pilot, "twins") if "vllm" in line]
        assert "✗" not in row


async def test_ctrl_c_tells_how_to_leave_and_ends_nothing(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "ctrl+c")
        said = [notification.message for notification in pilot.app._notifications]
        assert any("ctrl+q quits" in text for text in said) and pilot.app.is_running


async def test_a_stop_that_is_not_certain_is_not_told_as_one(open_app: Pilots, backend: FakeBackend) -> None:
    backend.view = fleet()
    backend.stopped = StopReport((RankStopped("spark-2", 1, Outcome.UNKNOWN, "no answer in time"),), ("spark-3",))
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "x")
        await settle(pilot)
        await press(pilot, "y")
        await settle(pilot)
        (told,) = [note.message for note in pilot.app._notifications]
        assert "spark-2: unknown, no answer in time" in told and "not known on spark-3" in told
        assert "is stopped" not in told and "alpha-8b: stopped" not in told
