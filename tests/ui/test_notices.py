"""Warnings of a launch: the newest in sight, all of them one key away, and in the report."""

from __future__ import annotations

from sparkrun_tui.launch.record.events import LaunchStatus, Noticed, StatusChanged
from sparkrun_tui.launch.record.report import report
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import text_of, width_of
from sparkrun_tui.ui.paint.launch.notices import newest_line, notice_lines
from sparkrun_tui.ui.screens.dialogs.notices import NoticesScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen

from .conftest import Pilots, lines_with, press, settle
from .fakes import FakeLaunch
from .test_launch import tick

LEFT = Noticed(
    level="warning", text="containers may be left on spark-1 (no answer); stop them: docker rm -f x", time=5.0
)
NOTE = Noticed(level="note", text="took over a lease", host="spark-2", time=6.0)


async def test_the_newest_warning_is_in_sight_and_all_are_one_key_away(open_app: Pilots) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        launch = FakeLaunch("one", ("spark-1", "spark-2"))
        app.open_launch(launch)
        await settle(pilot)
        assert isinstance(app.screen, LaunchScreen)
        assert app.screen.why_not("notices")
        launch.send(LEFT, NOTE)
        tick(pilot)
        await settle(pilot)
        assert lines_with(pilot, "! containers may be left on spark-1") and lines_with(pilot, "all 2: !")
        assert lines_with(pilot, "○ spark-2"), "no host lost its line"
        await press(pilot, "exclamation_mark")
        assert isinstance(app.screen, NoticesScreen)
        assert lines_with(pilot, "docker rm -f x") and lines_with(pilot, "· spark-2: took over a lease")
        await press(pilot, "escape")
        assert isinstance(app.screen, LaunchScreen)


def test_notes_alone_take_no_line() -> None:
    assert newest_line([NOTE], 80) is None
    assert newest_line([], 80) is None


def test_notices_are_told_in_full_and_safely() -> None:
    foreign = Noticed(level="error", text="bad \x1b]0;x\x07news " + "and more " * 30, host="h\x1b[2J", time=5.0)
    rows = notice_lines([foreign], 60)
    assert all(width_of(row) <= 60 for row in rows) and len(rows) > 3
    assert "\x1b" not in "".join(text_of(row) for row in rows)
    line = newest_line([foreign], 60)
    assert line is not None and width_of(line) == 60


def test_the_report_has_the_warnings() -> None:
    launch = FakeLaunch("one", ("spark-1",))
    launch.send(LEFT, NOTE)
    text = report(launch.state, (), {}, str)
    assert "containers may be left" in text and "lease" not in text


async def test_why_it_is_degraded_stands_beside_the_word(open_app: Pilots) -> None:
    async with open_app(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        launch = FakeLaunch("one", ("spark-1", "spark-2"))
        app.open_launch(launch)
        launch.send(StatusChanged(status=LaunchStatus.DEGRADED, detail="spark-2 does not answer"))
        tick(pilot)
        await settle(pilot)
        assert lines_with(pilot, "! degraded: spark-2 does not answer")
