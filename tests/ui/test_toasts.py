"""Messages do not pile up."""

from __future__ import annotations

from textual.notifications import Notification
from textual.pilot import Pilot
from textual.widgets._toast import Toast

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.toasts import MOST, SAME, Toasts

from .conftest import Pilots, lines_with, until


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    assert isinstance(pilot.app, SparkrunApp)
    return pilot.app


async def test_what_is_said_again_at_once_is_shown_once(open_app: Pilots) -> None:
    async with open_app(toasts=True) as pilot:
        for _ in range(5):
            app_of(pilot).say("the host does not answer", "warning")
        app_of(pilot).say("another message")
        await until(pilot, lambda: lines_with(pilot, "another message"))
        assert len(lines_with(pilot, "the host does not answer")) == 1


async def test_at_most_three_messages_are_on_the_screen_and_errors_stay(open_app: Pilots) -> None:
    async with open_app(toasts=True) as pilot:
        app_of(pilot).say("that failed", "error")
        for number in range(8):
            app_of(pilot).say(f"message {number}")
        await until(pilot, lambda: lines_with(pilot, "message 7"))
        await until(pilot, lambda: len(pilot.app.screen.query(Toast)) == MOST)
        assert lines_with(pilot, "that failed") and lines_with(pilot, "message 6")
        assert not lines_with(pilot, "message 5")


async def test_of_more_errors_the_newest_are_shown(open_app: Pilots) -> None:
    async with open_app(toasts=True) as pilot:
        for number in range(5):
            app_of(pilot).say(f"error {number}", "error")
        await until(pilot, lambda: lines_with(pilot, "error 4"))
        await until(pilot, lambda: len(pilot.app.screen.query(Toast)) == MOST)
        assert not lines_with(pilot, "error 1") and lines_with(pilot, "error 2")


def test_the_same_text_later_takes_the_place_of_the_one_before() -> None:
    toasts = Toasts()
    first = Notification("again", timeout=60)
    soon = Notification("again", timeout=60, raised_at=first.raised_at + SAME / 2)
    later = Notification("again", timeout=60, raised_at=first.raised_at + SAME)
    toasts.add(first).add(soon)
    assert list(toasts) == [first]
    toasts.add(later)
    assert list(toasts) == [later]
