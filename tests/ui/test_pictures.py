"""The pictures that README and docs/screens show are what the app shows: `./dev screenshots` accepts new ones.

Each is the app on its demo cluster, driven by keys, at a size that people have.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Awaitable, Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest
import pytest_textual_snapshot
from syrupy.location import PyTestLocation
from syrupy.types import SnapshotIndex
from textual.pilot import Pilot
from textual.widgets import Input, TextArea

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.widgets.form.field_list import FieldList
from tests.support.demo_time import demo_time

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "screenshots"

Step = Callable[[Pilot[int]], Awaitable[None]]
Compare = Callable[..., bool]


class PictureExtension(pytest_textual_snapshot.SVGImageExtension):
    """A picture is kept where README takes it from, so that there is one copy."""

    @classmethod
    def dirname(cls, *, test_location: PyTestLocation) -> str:
        return str(PICTURES)

    @classmethod
    def _get_file_basename(cls, *, test_location: PyTestLocation, index: SnapshotIndex) -> str:
        found = re.fullmatch(r"\w+\[(?P<name>[\w-]+)\]", test_location.snapshot_name)
        assert found is not None, f"a test of pictures is parametrized by their names, not {test_location.nodename}"
        return found["name"]


@pytest.fixture
def compare(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Iterator[Compare]:
    """Compares with a picture of `screenshots/`, in a demo whose time and chance are the same every time."""
    monkeypatch.setattr(pytest_textual_snapshot, "SVGImageExtension", PictureExtension)
    monkeypatch.setattr(secrets, "choice", Random(1).choice)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)
    monkeypatch.setattr(TextArea, "_toggle_cursor_blink_visible", lambda self: None)
    with demo_time():
        yield request.getfixturevalue("snap_compare")


async def until(pilot: Pilot[int], condition: Callable[[], bool]) -> None:
    """Wait until `condition` holds."""
    end = asyncio.get_running_loop().time() + 180.0
    while not condition():
        assert asyncio.get_running_loop().time() < end, "the demo did not come as far as the picture needs"
        await pilot.pause(0.1)


async def settled(pilot: Pilot[int]) -> None:
    """Wait for what was begun."""
    await pilot.pause(0.6)


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    """The app, typed."""
    assert isinstance(pilot.app, SparkrunApp)
    return pilot.app


def launch_screen(pilot: Pilot[int]) -> LaunchScreen:
    """The screen in sight, which watches a launch."""
    assert isinstance(pilot.app.screen, LaunchScreen)
    return pilot.app.screen


async def open_recipes(pilot: Pilot[int]) -> None:
    """Recipes are read, the demo cluster has answered."""
    app = app_of(pilot)
    await until(pilot, lambda: app.loaded and app.state.cluster is not None)
    await until(pilot, lambda: all(mark.state == "up" for mark in app.state.marks.values()))
    await settled(pilot)


async def step_in_overrides(pilot: Pilot[int]) -> None:
    await pilot.press("o", "j", "j")
    await settled(pilot)


async def take_less_memory(pilot: Pilot[int]) -> None:
    await pilot.press("o")
    pilot.app.screen.query_one(FieldList).select("gpu_memory_utilization")
    await pilot.press("left", "left")
    await settled(pilot)


async def open_plan(pilot: Pilot[int]) -> None:
    await pilot.press("U", "escape", "p")
    await settled(pilot)


async def launch(pilot: Pilot[int]) -> None:
    """The weights are being read."""
    await pilot.press("enter")
    await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
    watched = launch_screen(pilot).launch
    await until(pilot, lambda: any(row.cells.get(Phase.LOAD) for row in watched.state.hosts.values()))
    await pilot.pause(2.0)


async def wait_until_it_serves(pilot: Pilot[int]) -> None:
    watched = launch_screen(pilot).launch
    await until(pilot, lambda: watched.state.status is LaunchStatus.READY)
    await settled(pilot)


async def ask_the_model(pilot: Pilot[int]) -> None:
    await pilot.press("t")
    await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
    await settled(pilot)
    await pilot.press("enter")
    chat = pilot.app.screen
    assert isinstance(chat, ChatScreen)
    await until(pilot, lambda: not chat.conversation.is_busy)
    await settled(pilot)


async def look_at_the_fleet(pilot: Pilot[int]) -> None:
    """Long enough for lines that have something to show."""
    await pilot.press("escape", "escape", "f")
    await pilot.pause(200.0)


async def open_help(pilot: Pilot[int]) -> None:
    await pilot.press("question_mark")
    await settled(pilot)


async def look_at_the_workload(pilot: Pilot[int]) -> None:
    await pilot.press("escape", "enter")
    await pilot.pause(40.0)


async def ask_for_too_much_context(pilot: Pilot[int]) -> None:
    await pilot.press("o")
    pilot.app.screen.query_one(FieldList).select("max_model_len")
    await pilot.press("enter", *"900000", "enter")
    await settled(pilot)


async def launch_what_does_not_fit(pilot: Pilot[int]) -> None:
    await pilot.press("escape", "p")
    await settled(pilot)
    await pilot.press("L")
    await until(pilot, lambda: isinstance(pilot.app.screen, Confirm))
    await pilot.press("y")
    await until(pilot, lambda: isinstance(pilot.app.screen, LaunchScreen))
    watched = launch_screen(pilot).launch
    await until(pilot, lambda: watched.state.status is LaunchStatus.FAILED)
    await settled(pilot)


def opened_by(*keys: str) -> Step:
    """What a few keys open."""

    async def drive(pilot: Pilot[int]) -> None:
        await pilot.press(*keys)
        await settled(pilot)

    return drive


async def compare_two_values(pilot: Pilot[int]) -> None:
    await pilot.press("w", "a", *"max_model_len=65536", "enter")
    await settled(pilot)


async def change_and_sum_up(pilot: Pilot[int]) -> None:
    await pilot.press("escape", "escape", "o")
    pilot.app.screen.query_one(FieldList).select("gpu_memory_utilization")
    await pilot.press("left", "left", "escape", "d")
    await settled(pilot)


async def look_at_the_models(pilot: Pilot[int]) -> None:
    await pilot.press("escape", "M")
    await pilot.pause(20.0)


async def look_at_the_host(pilot: Pilot[int]) -> None:
    await pilot.press("escape", "f", "enter")
    await pilot.pause(120.0)


async def find_warnings(pilot: Pilot[int]) -> None:
    await pilot.press("z", "ampersand", *"rank|cache", "enter")
    await settled(pilot)


async def look_at_the_code(pilot: Pilot[int]) -> None:
    await pilot.press("ampersand", "escape", "escape", "z", "s")
    await settled(pilot)


async def look_back(pilot: Pilot[int]) -> None:
    await pilot.press("n", "escape", "h")
    await pilot.pause(3.0)


async def look_at_the_bench(pilot: Pilot[int]) -> None:
    await pilot.press("f")
    await pilot.pause(5.0)
    await pilot.press("b")
    await settled(pilot)


SMALL: Sequence[tuple[str, Step]] = (
    ("browse-80x24", open_recipes),
    ("overrides-80x24", step_in_overrides),
)
STORY: Sequence[tuple[str, Step]] = (
    ("browse", open_recipes),
    ("overrides", take_less_memory),
    ("plan", open_plan),
    ("launch", launch),
    ("serving", wait_until_it_serves),
    ("chat", ask_the_model),
    ("fleet", look_at_the_fleet),
    ("help", open_help),
    ("workload", look_at_the_workload),
)
LOOK: Sequence[tuple[str, Step]] = (
    ("", open_recipes),
    ("what-if", compare_two_values),
    ("differences", change_and_sum_up),
    ("columns", opened_by("escape", "S")),
    ("clusters", opened_by("escape", "c")),
    ("registries", opened_by("escape", "R")),
    ("models", look_at_the_models),
    ("host", look_at_the_host),
    ("entering", opened_by("escape", "escape", "R", "a")),
)
AFTER: Sequence[tuple[str, Step]] = (
    ("", open_recipes),
    ("", opened_by("p")),
    ("", launch),
    ("", wait_until_it_serves),
    ("logs", find_warnings),
    ("snippets", look_at_the_code),
    ("question", opened_by("escape", "x")),
    ("history", look_back),
    ("bench", look_at_the_bench),
)
FAILURE: Sequence[tuple[str, Step]] = (
    ("", open_recipes),
    ("does-not-fit", ask_for_too_much_context),
    ("failure", launch_what_does_not_fit),
)


def names(story: Sequence[tuple[str, Step]]) -> list[str]:
    """The pictures of a story, in order."""
    return [name for name, _ in story if name]


def up_to(story: Sequence[tuple[str, Step]], picture: str) -> Step:
    """What has to be done until a picture can be taken."""

    async def drive(pilot: Pilot[int]) -> None:
        for name, step in story:
            await step(pilot)
            if name == picture:
                return

    return drive


@pytest.mark.parametrize("name", names(SMALL))
def test_small(compare: Compare, name: str) -> None:
    app = SparkrunApp(Session(Settings(), demo=True))
    assert compare(app, terminal_size=(80, 24), run_before=up_to(SMALL, name))


@pytest.mark.parametrize("name", names(STORY))
def test_story(compare: Compare, name: str) -> None:
    app = SparkrunApp(Session(Settings(), demo=True, query="fits:yes nodes:2"))
    assert compare(app, terminal_size=(120, 36), run_before=up_to(STORY, name))


@pytest.mark.parametrize("name", names(LOOK))
def test_looking(compare: Compare, name: str) -> None:
    app = SparkrunApp(Session(Settings(), demo=True, query="llama-3.3-70b"))
    assert compare(app, terminal_size=(120, 36), run_before=up_to(LOOK, name))


@pytest.mark.parametrize("name", names(AFTER))
def test_after(compare: Compare, name: str) -> None:
    app = SparkrunApp(Session(Settings(), demo=True, query="fits:yes nodes:2"))
    assert compare(app, terminal_size=(120, 36), run_before=up_to(AFTER, name))


@pytest.mark.parametrize("name", names(FAILURE))
def test_failure(compare: Compare, name: str) -> None:
    app = SparkrunApp(Session(Settings(), demo=True, query="llama-3.3-70b"))
    assert compare(app, terminal_size=(120, 36), run_before=up_to(FAILURE, name))


def test_every_picture_is_of_a_test() -> None:
    drawn = {name for story in (SMALL, STORY, LOOK, AFTER, FAILURE) for name in names(story)}
    assert {path.stem for path in PICTURES.glob("*.svg")} == drawn


def test_readme_shows_pictures_that_there_are() -> None:
    shown = re.findall(r"screenshots/([\w-]+)\.svg", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert shown
    assert [name for name in shown if not (PICTURES / f"{name}.svg").exists()] == []


async def test_a_task_of_the_app_begins_after_it_is_made() -> None:
    """Not at once, as Textual has it from Python 3.12 on: a handshake of asyncssh would never end."""
    begun: list[str] = []

    async def work() -> None:
        begun.append("task")

    app = SparkrunApp(Session(Settings(), demo=True))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        task = asyncio.get_running_loop().create_task(work())
        assert begun == []
        await task
