"""What is let go while the app runs: screens that were left, and launches that are long over."""

from __future__ import annotations

import gc
import weakref

from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged

from .conftest import Pilots
from .fakes import FakeLaunch


async def test_a_screen_that_was_left_is_collected_once_the_screen_rests(open_app: Pilots) -> None:
    async with open_app() as pilot:
        left = []
        gc.disable()
        try:
            for name in ("one", "two"):  # something of Textual's may hold the newest one
                pilot.app.open_launch(FakeLaunch(name, ("spark-1",)))  # type: ignore[attr-defined]
                await pilot.pause()
                left.append(weakref.ref(pilot.app.screen))
                pilot.app.pop_screen()
                await pilot.pause()
            for _ in range(60):
                await pilot.pause(0.1)
                if left[0]() is None:
                    break
        finally:
            gc.enable()
        assert left[0]() is None


async def test_only_the_newest_launches_that_are_over_stay_at_hand(open_app: Pilots) -> None:
    async with open_app() as pilot:
        launches = pilot.app.launches  # type: ignore[attr-defined]
        serving = FakeLaunch("serving", ("spark-1",))
        serving.send(StatusChanged(status=LaunchStatus.READY))
        launches.follow(serving)
        for number in range(12):
            over = FakeLaunch(f"over-{number}", ("spark-1",))
            over.send(StatusChanged(status=LaunchStatus.CANCELLED))
            launches.follow(over)
        assert launches.find("serving") is serving and launches.running() == ([], ["some-recipe"])
        assert launches.find("over-3") is None
        assert launches.find("over-4") is not None and launches.find("over-11") is over
