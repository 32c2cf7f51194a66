"""A7: every screen and dialog of the app, with a secret of every origin behind it: none is drawn, copied or kept."""

from __future__ import annotations

import asyncio
import importlib
import pkgutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.screen import Screen

import sparkrun_tui.ui
from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.user.settings import load_settings
from sparkrun_tui.recipe.registry.registries import add_registry
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.model import backend
from sparkrun_tui.ui.model.ports import PassphraseAsked
from sparkrun_tui.ui.screens.bench import BenchScreen
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.cluster import ClusterPicker
from sparkrun_tui.ui.screens.compare import CompareScreen
from sparkrun_tui.ui.screens.dialogs.ask import AskScreen
from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen
from sparkrun_tui.ui.screens.dialogs.columns import ColumnsScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.dialogs.export import ExportScreen
from sparkrun_tui.ui.screens.dialogs.notices import NoticesScreen
from sparkrun_tui.ui.screens.dialogs.passphrase import PassphraseScreen
from sparkrun_tui.ui.screens.dialogs.snippets import SnippetsScreen
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.help import HelpScreen
from sparkrun_tui.ui.screens.history import HistoryScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.screens.load_page import HostPage, WorkloadPage
from sparkrun_tui.ui.screens.plan import PlanScreen
from sparkrun_tui.ui.screens.registries import RegistriesScreen
from sparkrun_tui.ui.screens.stores import StoresScreen
from tests.launch.fakes import FakeCluster
from tests.security.canaries import CANARIES, Machine, children_watched, furnish, holding_files, leaked, tells_all
from tests.ui.conftest import screen_text, settle

HOSTS = ("spark-1",)
SIZE = (200, 70)


def all_screens() -> set[type[Screen[object]]]:
    """Every screen and dialog that the app's code defines, but for those that others are made of."""
    for module in pkgutil.walk_packages(sparkrun_tui.ui.__path__, "sparkrun_tui.ui."):
        importlib.import_module(module.name)
    found: set[type[Screen[object]]] = set()
    left: list[type[Screen[object]]] = [Screen]
    while left:
        kind = left.pop()
        below = kind.__subclasses__()
        left += below
        own = kind.__module__.startswith("sparkrun_tui.")
        if own and not any(other.__module__.startswith("sparkrun_tui.") for other in below):
            found.add(kind)
    return found


class Walk:
    """Presses keys, and looks at all that a person gets to see after each."""

    def __init__(self, pilot: Pilot[int]) -> None:
        self.pilot = pilot
        self.app = cast(SparkrunApp, pilot.app)
        self.visited: set[type[Screen[object]]] = set()
        self.seen = ""

    async def keys(self, *keys: str) -> None:
        """Press keys one by one."""
        for key in keys:
            await self.pilot.press(key)
            self.look(f"after {key}")
        # Not longer: some of what runs beside the screens goes on as long as they are shown.
        for _ in range(10):
            await self.pilot.pause()
            if not any(worker.is_running for worker in self.app.workers):
                break
        self.look(f"after {keys}")

    def look(self, when: str) -> None:
        """What is on the screen, in messages, on the clipboard and in the terminal's title."""
        screen = self.app.screen
        self.visited.add(type(screen))
        told = [notification.message for notification in self.app._notifications]
        self.seen = "\n".join([screen_text(self.pilot), *told, self.app.clipboard, self.app.title, self.app.sub_title])
        lines = [line.strip() for line in self.seen.splitlines() if leaked(line)]
        assert lines == [], f"{type(screen).__name__} {when}"

    def on(self, kind: type[Screen[object]]) -> None:
        """Fail unless this screen is shown."""
        assert type(self.app.screen) is kind, f"{type(self.app.screen).__name__}:\n{self.seen}"

    async def until(self, met: Callable[[], bool], what: str) -> None:
        """Look again and again until something is so."""
        deadline = time.monotonic() + 20
        while not met():
            assert time.monotonic() < deadline, f"{what}:\n{self.seen}"
            await self.pilot.pause(0.1)
            self.look(what)


@pytest.fixture
def machine(private_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A furnished machine, its hosts in memory."""
    cluster = FakeCluster(*HOSTS)
    for host in cluster.hosts.values():
        host.program = tells_all
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    monkeypatch.setattr(backend, "real_services", lambda ask: cluster.services)
    monkeypatch.setenv("HF_TOKEN", CANARIES["hub"])
    monkeypatch.setenv("SERVICE_TOKEN", CANARIES["environ"])
    found = furnish(private_home, tmp_path, HOSTS)
    add_registry(str(found.repository), "local")
    return found


async def test_no_screen_lets_a_secret_out(machine: Machine, tmp_path: Path) -> None:
    app = SparkrunApp(Session(load_settings()))
    with children_watched(machine.started):
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await settle(pilot)
            walk = Walk(pilot)
            walk.look("opened")
            await _recipes(walk)
            await _overrides(walk)
            await _plan_and_launch(walk)
            await _fleet(walk)
            await _rest(walk)
            assert walk.visited >= {*all_screens(), CommandPalette}, "a screen that is not walked is not tested"
    assert leaked("\n".join(machine.started)) == []
    assert holding_files(machine.home, machine.allowed) == {}
    assert holding_files(tmp_path, machine.allowed) == {}


async def _recipes(walk: Walk) -> None:
    """Every recipe, every part of its detail, its command in both forms, and what can be copied of it."""
    walk.on(BrowseScreen)
    for name in ("keyed", "literal", "sg", "foreign", "shared"):
        await walk.keys("slash", *name, "enter")
        assert walk.app.state.selected, walk.seen
        for _ in range(7):
            await walk.keys("right_square_bracket")
        await walk.keys("v", "y", "v", "escape", "escape")


async def _overrides(walk: Walk) -> None:
    """A typed secret in the form, in what differs, and in the question for a new file."""
    await walk.keys("slash", *"keyed", "enter")
    walk.app.state.edits_of(walk.app.state.selected).update({"api_key": CANARIES["typed"]})
    walk.app.state_changed()
    await settle(walk.pilot)
    walk.look("typed")
    await walk.keys("o", *["j"] * 12, *["k"] * 12)
    await walk.keys("d")
    walk.on(ChangesScreen)
    await walk.keys("e")
    walk.on(ExportScreen)
    await walk.keys("y", "right", "y", "right", "y", "right", "y", "escape")
    await walk.keys("y", "w")
    walk.on(AskScreen)
    await walk.keys("escape", "escape")
    await walk.keys("w")
    walk.on(CompareScreen)
    await walk.keys(*["down"] * 12, "y", "escape", "S")
    walk.on(ColumnsScreen)
    await walk.keys("down", "escape")


async def _plan_and_launch(walk: Walk) -> None:
    """The plan, all its commands, a launch of it to the end, and what is said, copied and saved there."""
    await walk.keys("p")
    walk.on(PlanScreen)
    await walk.keys("d", "y", "d", *["right", "down"] * 6)
    await walk.keys("enter")
    await walk.until(lambda: type(walk.app.screen) is LaunchScreen, "launched")
    screen = cast(LaunchScreen, walk.app.screen)
    await walk.until(lambda: str(screen.launch.state.status) in ("ready", "failed"), "serving")
    assert str(screen.launch.state.status) == "ready", walk.seen
    assert "args: --api-key •••" in walk.seen
    assert "plain •••" in walk.seen
    await walk.keys("v", "w", "m", "1", "enter", "S", "y")
    await walk.keys("exclamation_mark")
    walk.on(NoticesScreen)
    await walk.keys("escape", "t")
    walk.on(ChatScreen)
    await walk.keys(*"hello", "enter")
    chat = cast(ChatScreen, walk.app.screen)
    await walk.until(lambda: not chat.conversation.is_busy, "answered")
    await walk.keys("tab", "y", "Y", "s")
    walk.on(SnippetsScreen)
    await walk.keys("y", "right", "y", "right", "y", "right", "y", "right", "y", "escape", "o")
    walk.on(AskScreen)
    await walk.keys("escape", "n")
    walk.on(Confirm)
    await walk.keys("escape", "escape")
    await walk.keys("escape", "escape")


async def _fleet(walk: Walk) -> None:
    """What runs, taken up again, and the question before it is stopped."""
    await walk.keys("f")
    walk.on(FleetScreen)
    await walk.until(lambda: "keyed" in walk.seen, "survey")
    await walk.keys("y", "b")
    walk.on(BenchScreen)
    await walk.keys("y", "m")
    walk.on(AskScreen)
    await walk.keys("escape", "escape", "enter")
    walk.on(WorkloadPage)
    await walk.until(
        lambda: "plain •••" in walk.seen or "none in its last lines" in walk.seen, "the warnings of its log"
    )
    await walk.keys("y", "enter")
    await walk.until(lambda: type(walk.app.screen) is LaunchScreen, "attached")
    await walk.keys("escape", "right_square_bracket")
    walk.on(HostPage)
    await walk.keys("escape", "x")
    walk.on(Confirm)
    await walk.keys("escape", "m")
    walk.on(StoresScreen)
    await walk.keys("v", "right_square_bracket", "V", "y", "escape", "escape")


async def _rest(walk: Walk) -> None:
    """Earlier launches, registries, clusters, help, the palette, and a passphrase."""
    await walk.keys("escape", "h")
    walk.on(HistoryScreen)
    await walk.keys("slash", *"keyed", "enter", "p")
    walk.on(PlanScreen)
    await walk.keys("escape", "l")
    walk.on(Confirm)
    await walk.keys("escape", "y", "r", "enter", "r", "escape")
    await walk.keys("v")
    await walk.until(lambda: "plain •••" in walk.seen, "replay")
    await walk.keys("escape", "escape", "escape")
    await walk.keys("R")
    walk.on(RegistriesScreen)
    await walk.until(lambda: "mine" in walk.seen, "registries")
    await walk.keys("down", "down", "a")
    walk.on(AskScreen)
    await walk.keys("escape", "escape")
    await walk.keys("c")
    walk.on(ClusterPicker)
    await walk.keys("escape", "question_mark")
    walk.on(HelpScreen)
    await walk.keys("escape", "ctrl+p", *"keyed")
    walk.on(CommandPalette)
    await walk.keys("escape")
    asked = PassphraseAsked("spark-1", "/home/me/.ssh/id")
    walk.app.background(walk.app.launches.passphrase(asked), "ask")
    await walk.until(lambda: type(walk.app.screen) is PassphraseScreen, "asked")
    await walk.keys(*CANARIES["typed"].replace("-", ""))
    await walk.keys("escape")
    await asyncio.sleep(0)


async def test_what_an_app_attaches_to_later_shows_no_secret(machine: Machine) -> None:
    """Another run of the app, that was told nothing, finds the launch and reads its log."""
    for attaching in (False, True):
        app = SparkrunApp(Session(load_settings()))
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await settle(pilot)
            walk = Walk(pilot)
            if attaching:
                await walk.keys("f")
                await walk.until(lambda w=walk: "keyed" in w.seen, "survey")  # type: ignore[misc]
                await walk.keys("v")
            else:
                await walk.keys("slash", *"keyed", "enter")
                walk.app.state.edits_of(walk.app.state.selected).update({"api_key": CANARIES["typed"]})
                walk.app.state_changed()
                await walk.keys("p", "enter")
            await walk.until(lambda a=app: type(a.screen) is LaunchScreen, "shown")  # type: ignore[misc]
            await walk.until(lambda w=walk: "plain •••" in w.seen, "log")  # type: ignore[misc]
