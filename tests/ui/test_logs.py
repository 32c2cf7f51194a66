"""The tools of the log panes, by their keys: wrapping, levels, filters, warnings, times, ranges, and sizes."""

from __future__ import annotations

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.widgets.log.view import LogView

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeLaunch
from .test_launch import tick

LINES = (
    "(APIServer pid=1) INFO 12-01 10:00:00 [api.py:1] starts",
    "(APIServer pid=1) WARNING 12-01 10:00:01 [api.py:2] the first warning",
    "(APIServer pid=1) INFO 12-01 10:00:02 [api.py:3] no error so far",
    "(APIServer pid=1) ERROR 12-01 10:00:03 [api.py:4] the only error",
    "(APIServer pid=1) INFO 12-01 10:00:04 [nccl.py:5] NCCL has 2 rails",
)


async def watch(pilot: Pilot[int], *lines: str, hosts: tuple[str, ...] = ("spark-1",)) -> FakeLaunch:
    """Watch a launch that has printed these lines on its first host."""
    app = pilot.app
    assert isinstance(app, SparkrunApp)
    launch = FakeLaunch("many", hosts)
    for line in lines:
        launch.print(hosts[0], line)
    app.open_launch(launch)
    await settle(pilot)
    tick(pilot)
    await settle(pilot)
    return launch


def view(pilot: Pilot[int]) -> LogView:
    """The log that has the focus."""
    assert isinstance(pilot.app.screen, LaunchScreen)
    return pilot.app.screen.deck.focused_view


async def test_long_lines_are_wrapped_until_the_user_cuts_them(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await watch(pilot, "word " * 30 + "the end")
        assert lines_with(pilot, "the end")
        await press(pilot, "w")
        assert not lines_with(pilot, "the end")


async def test_the_time_of_each_line_can_be_left_out(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await watch(pilot, "hello")
        before = lines_with(pilot, "hello")[0]
        await press(pilot, "T")
        assert lines_with(pilot, "hello")[0].startswith("hello") and not before.startswith("hello")


async def test_levels_are_filtered_one_after_another(open_app: Pilots) -> None:
    async with open_app((100, 30)) as pilot:
        launch = await watch(pilot, *LINES)
        await press(pilot, "L")
        shown = screen_text(pilot)
        assert "the first warning" in shown and "the only error" in shown
        assert "no error so far" not in shown and "2 of 5 lines" in shown and "warnings and errors only" in shown
        await press(pilot, "L")
        assert not lines_with(pilot, "the first warning") and lines_with(pilot, "the only error")
        launch.print("spark-1", "RuntimeError: a later one")
        launch.print("spark-1", "and more text")
        tick(pilot)
        await settle(pilot)
        assert lines_with(pilot, "a later one") and not lines_with(pilot, "and more text")
        await press(pilot, "L")
        assert lines_with(pilot, "and more text") and lines_with(pilot, "7 lines")


async def test_only_lines_with_a_pattern_are_shown(open_app: Pilots) -> None:
    async with open_app((100, 30)) as pilot:
        await watch(pilot, *LINES)
        await press(pilot, "ampersand", *"rails|first w", "enter")
        await settle(pilot)
        assert lines_with(pilot, "2 rails") and lines_with(pilot, "the first warning")
        assert not lines_with(pilot, "the only error") and lines_with(pilot, "&rails|first w")
        await press(pilot, "ampersand", "escape", "escape")
        await settle(pilot)
        assert lines_with(pilot, "the only error")


async def test_a_pattern_that_takes_others_years_takes_no_time(open_app: Pilots) -> None:
    """This test would not end with expressions that go back in the text."""
    async with open_app((100, 30)) as pilot:
        await watch(pilot, "a" * 5000 + "!", "b")
        await press(pilot, "ampersand", *"(a+)+$", "enter")
        await settle(pilot)
        assert lines_with(pilot, "0 of 2 lines")


async def test_what_is_no_pattern_is_told_and_changes_nothing(open_app: Pilots) -> None:
    async with open_app((100, 30), toasts=True) as pilot:
        await watch(pilot, *LINES)
        await press(pilot, "ampersand", *"rails(", "enter")
        await until(pilot, lambda: lines_with(pilot, "This is no pattern"))
        assert lines_with(pilot, "2 rails") and not lines_with(pilot, "the only error")


async def test_warnings_and_errors_are_gone_to_in_both_directions(open_app: Pilots) -> None:
    async with open_app((100, 24)) as pilot:
        filler = [f"filler {number}" for number in range(60)]
        await watch(pilot, *filler, LINES[1], *filler, LINES[3], *filler)
        assert not lines_with(pilot, "the first warning")
        await press(pilot, "e")
        assert lines_with(pilot, "the first warning")
        await press(pilot, "e")
        assert lines_with(pilot, "the only error")
        await press(pilot, "e")
        assert lines_with(pilot, "the first warning"), "it goes round"
        await press(pilot, "E")
        assert lines_with(pilot, "the only error")


async def test_a_log_without_warnings_says_so(open_app: Pilots) -> None:
    async with open_app((100, 24), toasts=True) as pilot:
        await watch(pilot, "hello")
        await press(pilot, "e")
        await until(pilot, lambda: lines_with(pilot, "There is no warning or error"))


async def test_a_range_of_lines_is_copied(open_app: Pilots, monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_app((100, 24)) as pilot:
        copied: list[str] = []
        monkeypatch.setattr(pilot.app, "copy", lambda text, what: copied.append(text))
        await watch(pilot, *(f"line {number} of the log" for number in range(9)), "word " * 50 + "end")
        await press(pilot, "T", "V", "k", "k")
        assert lines_with(pilot, "3 lines chosen")
        await press(pilot, "y")
        assert [row.split(" of")[0] for row in copied[0].splitlines()] == ["line 7", "line 8", ("word " * 50 + "end")]
        assert not lines_with(pilot, "chosen")
        await press(pilot, "V", "escape")
        assert isinstance(pilot.app.screen, LaunchScreen) and not view(pilot).has_range


async def test_a_selection_on_a_wrapped_row_is_what_was_under_the_mouse(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await watch(pilot, "word " * 20 + "needle " + "word " * 3)
        y = next(y for y, row in enumerate(screen_text(pilot).splitlines()) if "needle" in row)
        x = screen_text(pilot).splitlines()[y].index("needle")
        await pilot.mouse_down(offset=(x, y))
        await pilot.hover(offset=(x + 3, y))
        await pilot.hover(offset=(x + 5, y))
        await pilot.mouse_up(offset=(x + 5, y))
        await pilot.pause()
        assert "needl" in (pilot.app.screen.get_selected_text() or "")
        assert "word" not in (pilot.app.screen.get_selected_text() or "")


async def test_the_first_log_has_more_room_and_its_share_is_remembered(open_app: Pilots) -> None:
    async with open_app((140, 45)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        await watch(pilot, "hello", hosts=("spark-1", "spark-2"))
        head, worker = [one for one in app.screen.query(LogView) if one.display]
        assert head.size.width > worker.size.width + 10
        before = head.size.width
        await press(pilot, "greater_than_sign")
        assert head.size.width > before
        share = app.state.layout.head_share
        app.persistence.keep()
    async with open_app((140, 45)) as pilot:
        assert isinstance(pilot.app, SparkrunApp)
        assert pilot.app.state.layout.head_share == share


async def test_phases_are_hidden_until_they_are_wanted_again(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await watch(pilot, "hello")
        assert lines_with(pilot, "memory left")
        await press(pilot, "z")
        assert not lines_with(pilot, "memory left")
        await press(pilot, "z")
        assert lines_with(pilot, "memory left")


async def test_a_letter_in_the_filter_is_text(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await watch(pilot, "hello")
        await press(pilot, "ampersand", *"xe")
        box = pilot.app.focused
        assert isinstance(box, Input) and box.value == "xe"
