"""Draws screenshots/*.svg anew: the app on its demo cluster, driven by keys, at the sizes people have."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

os.environ["TEXTUAL_ANIMATIONS"] = "none"
_HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))

from textual.pilot import Pilot  # noqa: E402

from sparkrun_tui.base.settings import Settings  # noqa: E402
from sparkrun_tui.engines.plan import Phase  # noqa: E402
from sparkrun_tui.launch.record.events import LaunchStatus  # noqa: E402
from sparkrun_tui.ui.app.app import SparkrunApp  # noqa: E402
from sparkrun_tui.ui.app.session import Session  # noqa: E402
from sparkrun_tui.ui.screens.launch import LaunchScreen  # noqa: E402

_PATIENCE = 180.0
QUERY = "fits:yes nodes:2"


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    end = asyncio.get_running_loop().time() + _PATIENCE
    while not condition():
        if asyncio.get_running_loop().time() > end:
            raise TimeoutError("the demo did not come as far as the picture needs")
        await pilot.pause(0.1)


async def settled(pilot: Pilot[int]) -> None:
    """Wait for what was begun."""
    await pilot.pause(0.6)


def save(pilot: Pilot[int], name: str) -> None:
    """Write what is on the screen."""
    pilot.app.save_screenshot(f"{name}.svg", path=str(_HERE))
    print(f"screenshots/{name}.svg")


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    """The app, typed."""
    assert isinstance(pilot.app, SparkrunApp)
    return pilot.app


async def opened(pilot: Pilot[int]) -> None:
    """Recipes are read, the demo cluster has answered."""
    app = app_of(pilot)
    await until(pilot, lambda: app.loaded and app.state.cluster is not None)
    await until(pilot, lambda: all(mark.state == "up" for mark in app.state.marks.values()))
    await settled(pilot)


async def small() -> None:
    """80x24: list above detail."""
    app = SparkrunApp(Session(Settings(), demo=True, query=""))
    async with app.run_test(size=(80, 24)) as pilot:
        await opened(pilot)
        save(pilot, "browse-80x24")
        await pilot.press("o", "j", "j")
        await settled(pilot)
        save(pilot, "overrides-80x24")


async def story() -> None:
    """120x36: the main job from the first look to the answer of the model."""
    app = SparkrunApp(Session(Settings(), demo=True, query=QUERY))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await until(pilot, lambda: bool(app.screen.query_one("#recipes").rows))  # type: ignore[attr-defined]
        await settled(pilot)
        save(pilot, "browse")
        await pilot.press("o")
        app.screen.query_one("#form").select("gpu_memory_utilization")  # type: ignore[attr-defined]
        await pilot.press("left", "left")
        await settled(pilot)
        save(pilot, "overrides")
        await pilot.press("R", "escape", "p")
        await settled(pilot)
        save(pilot, "plan")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LaunchScreen))
        screen = app.screen
        assert isinstance(screen, LaunchScreen)
        launch = screen.launch
        await until(pilot, lambda: any(row.cells.get(Phase.LOAD) for row in launch.state.hosts.values()))
        await settled(pilot)
        save(pilot, "launch")
        await until(pilot, lambda: launch.state.status is LaunchStatus.READY)
        await settled(pilot)
        save(pilot, "serving")
        await pilot.press("t", "enter")
        await pilot.pause(4.0)
        save(pilot, "test-prompt")
        await pilot.press("escape", "escape", "f")
        await pilot.pause(3.0)
        save(pilot, "fleet")
        await pilot.press("question_mark")
        await settled(pilot)
        save(pilot, "help")
        await pilot.press("escape")
        await app.backend.stop(launch)


async def failure() -> None:
    """120x36: a context that does not fit, the launch that fails of it, and the repair."""
    app = SparkrunApp(Session(Settings(), demo=True, query="llama-3.3-70b"))
    async with app.run_test(size=(120, 36)) as pilot:
        await opened(pilot)
        await pilot.press("o")
        app.screen.query_one("#form").select("max_model_len")  # type: ignore[attr-defined]
        await pilot.press("enter", *"900000", "enter")
        await settled(pilot)
        save(pilot, "does-not-fit")
        await pilot.press("escape", "p")
        await settled(pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, LaunchScreen))
        screen = app.screen
        assert isinstance(screen, LaunchScreen)
        await until(pilot, lambda: screen.launch.state.status is LaunchStatus.FAILED)
        await settled(pilot)
        save(pilot, "failure")


def main() -> None:
    """All pictures, in a home of their own."""
    with tempfile.TemporaryDirectory() as home:
        for kind in ("CONFIG", "CACHE", "STATE", "DATA"):
            os.environ[f"XDG_{kind}_HOME"] = f"{home}/{kind.lower()}"
        os.environ["HOME"] = home
        asyncio.run(small())
        asyncio.run(story())
        asyncio.run(failure())


if __name__ == "__main__":
    main()
