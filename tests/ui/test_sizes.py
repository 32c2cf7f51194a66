"""Small screens and many hosts: nothing that matters is out of reach."""

from __future__ import annotations

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged, StepChanged, StepState
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import text_of
from sparkrun_tui.ui.model.ports import PassphraseAsked, PastLaunch
from sparkrun_tui.ui.paint.hosts.fleet_lines import name_width
from sparkrun_tui.ui.paint.launch.phases import LastTime, table
from sparkrun_tui.ui.screens.help import help_lines, keys_now
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.widgets.log.view import LogView
from sparkrun_tui.ui.widgets.tab_line import TabLine

from .conftest import Pilots, lines_with, press, screen_text, settle
from .fakes import FakeBackend, FakeLaunch
from .test_launch import DIAGNOSIS, tick

EIGHT = tuple(f"spark-{number}" for number in range(1, 9))


async def test_eight_hosts_are_all_in_sight_at_80x24_and_their_logs_are_merged(open_app: Pilots) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        launch = FakeLaunch("many", EIGHT)
        for host in EIGHT:
            launch.print(host, f"hello of {host}")
        app.open_launch(launch)
        await settle(pilot)
        rows = screen_text(pilot)
        assert all(f"○ {host}" in rows and f"hello of {host}" in rows for host in EIGHT)
        screen = app.screen
        assert isinstance(screen, LaunchScreen)
        assert "no room" in screen.why_not("layout")
        await press(pilot, "3")
        assert lines_with(pilot, "━ spark-3") and not lines_with(pilot, "hello of spark-4")
        await press(pilot, "escape")
        assert isinstance(app.focused, LogView) and lines_with(pilot, "━ all hosts")


async def test_panes_come_back_when_there_is_room_for_them(open_app: Pilots) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        app.open_launch(FakeLaunch("many", EIGHT))
        await settle(pilot)
        assert lines_with(pilot, "all hosts")
        await pilot.resize_terminal(200, 50)
        await pilot.pause()
        await pilot.pause()
        assert lines_with(pilot, "spark-2 ─") and not lines_with(pilot, "all hosts")
        assert isinstance(app.focused, LogView) and app.focused.title in EIGHT


async def test_the_phases_of_a_launch_that_is_at_rest_follow_the_width(open_app: Pilots) -> None:
    async with open_app(size=(120, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        app.open_launch(FakeLaunch("two", EIGHT[:2]))
        await settle(pilot)
        assert "compile" in lines_with(pilot, "graphs")[0]
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        (header,) = lines_with(pilot, "graphs")
        assert all(word in header for word in ("image", "model", "comp.", "ready"))
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert "compile" in lines_with(pilot, "graphs")[0]


async def test_the_cause_of_a_failure_leaves_room_for_logs_at_80x24(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        launch = FakeLaunch("two", EIGHT[:2])
        for host in EIGHT[:2]:
            launch.print(host, *(f"line {number} of {host}" for number in range(9)))
        app.open_launch(launch)
        launch.send(DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED))
        tick(pilot)
        await settle(pilot)
        assert len(lines_with(pilot, "of spark-")) >= 4


def test_phases_and_the_amount_left_are_told_in_80_columns() -> None:
    launch = FakeLaunch("one", ("spark-1",))
    launch.send(StepChanged(host="spark-1", phase=Phase.CHECK, state=StepState.OK, time=1001.0))
    rows = [text_of(row) for row in table(launch.state, 1002.0, 77, activity=True)]
    assert "…" not in rows[0] and all(word in rows[0] for word in ("image", "model", "comp.", "graphs", "ready"))


def test_earlier_times_are_whole_in_80_columns() -> None:
    phases = {Phase.LOAD: 4.2, Phase.COMPILE: 61.9, Phase.GRAPHS: 0.3, Phase.READY: 754.0}
    rows = [text_of(line) for line in table(LaunchState(), 0.0, 78, activity=False, last=LastTime(phases, 821.0))]
    assert "…" not in rows[-1]
    assert all(word in rows[-1] for word in ("4 s", "1:01", "0 s", "13 m", "13:41 in total"))


async def test_history_tells_whole_names_in_80_columns(open_app: Pilots, backend: FakeBackend) -> None:
    name = "nemotron-3-super-120b-nvfp4-2x"
    backend.past = [PastLaunch("a", name, "lab", ("spark-1",), "ready", 1000.0, None, 65.0)]
    async with open_app(size=(80, 24)) as pilot:
        await press(pilot, "h")
        await settle(pilot)
        assert name in lines_with(pilot, "– ended")[0]
        assert lines_with(pilot, "took")


async def test_help_names_all_keys_of_an_action(open_app: Pilots) -> None:
    async with open_app() as pilot:
        rows = [text_of(row) for row in help_lines(keys_now(pilot.app.screen), 90)]
        assert any(row.startswith("  s 1…9 ") for row in rows)


def test_the_column_of_hosts_is_as_wide_as_they_are() -> None:
    assert name_width(None, 80) == 8


async def test_what_is_being_edited_stays_in_sight_when_the_screen_gets_narrow(open_app: Pilots) -> None:
    async with open_app(size=(120, 40)) as pilot:
        await press(pilot, "o", "j")
        await pilot.resize_terminal(80, 24)
        await settle(pilot)
        assert lines_with(pilot, "[Overrides") and lines_with(pilot, "tensor_parallel")
        assert pilot.app.focused is not None and pilot.app.focused.id == "form"
        await pilot.resize_terminal(120, 40)
        await settle(pilot)
        assert lines_with(pilot, "[Command]") and pilot.app.focused.id == "form"


async def test_why_hosts_are_down_is_told_in_full_where_clusters_are_chosen(
    open_app: Pilots, backend: FakeBackend
) -> None:
    backend.unreachable = {"spark-2": "cannot be reached: " + "no route to host " * 6}
    async with open_app(size=(80, 24)) as pilot:
        await press(pilot, "c")
        await settle(pilot)
        rows = screen_text(pilot)
        assert "✗ spark-2: cannot be reached" in rows and rows.count("no route") + rows.count("route to") >= 6
        assert "Is it switched on?" in rows


async def test_a_long_path_of_a_key_is_told_in_full(open_app: Pilots) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        asked = PassphraseAsked("spark-1", "/home/somebody/" + "deep/" * 20 + "id_ed25519")
        app.background(app.launches.passphrase(asked), "ask")
        while not lines_with(pilot, "Key passphrase"):
            await pilot.pause(0.05)
        assert lines_with(pilot, "id_ed25519") and lines_with(pilot, "in to spark-1")
        await press(pilot, "escape")


async def test_the_value_before_is_never_cut_to_another_one(open_app: Pilots) -> None:
    async with open_app(size=(112, 40)) as pilot:
        await press(pilot, "o", "j", "j", "j", "left")
        seen = 0
        for width in range(112, 132):
            await pilot.resize_terminal(width, 40)
            await pilot.pause()
            for row in lines_with(pilot, "gpu_memory_u"):
                if "◂" in row:
                    seen += 1
                    assert "◂ 0.80 " in row or "◂0.80 " in row, row
        assert seen, "it was in sight at some width"


async def test_no_tab_is_cut_beside_the_list(open_app: Pilots) -> None:
    async with open_app(size=(100, 30)) as pilot:
        tabs = pilot.app.screen.query_one("#narrow-tabs", TabLine)
        panes = pilot.app.screen.query_one("#detail")
        seen = set()
        for width in range(60, 44, -1):
            panes.styles.width = width
            await pilot.pause()
            shown = text_of(tabs.line(0))
            assert "…" not in shown and "[Overview]" in shown and "Memory" in shown
            seen.update(word for word in ("Overrides", "Values", "Problems", "Issues") if word in shown)
        assert seen == {"Overrides", "Values", "Problems", "Issues"}, "whole words where there is room, else short ones"


async def test_a_click_on_a_shorter_word_opens_its_tab(open_app: Pilots) -> None:
    async with open_app(size=(100, 30)) as pilot:
        pilot.app.screen.query_one("#detail").styles.width = 48
        await pilot.pause()
        tabs = pilot.app.screen.query_one("#narrow-tabs", TabLine)
        await pilot.click(tabs, offset=(text_of(tabs.line(0)).index("Values") + 1, 0))
        await settle(pilot)
        assert "[Overrides]" in text_of(tabs.line(0))
