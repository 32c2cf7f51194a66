"""A walk over all screens: a letter means one thing in every pane of a screen, and each shown key does something."""

from __future__ import annotations

import importlib
import pkgutil
from collections import defaultdict
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input

import sparkrun_tui.ui.screens
from sparkrun_tui.launch.record.events import AnyEvent, EndpointUp, LaunchStatus, StatusChanged
from sparkrun_tui.ui.actions import find
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.base import PageScreen

from .conftest import Pilots, press, settle
from .fakes import FakeLaunch
from .test_launch import DIAGNOSIS

WAYS = {
    "recipes": (),
    "search": ("slash",),
    "overrides": ("o",),
    "plan": ("p",),
    "fleet": ("f",),
    "figures of a host": ("f", "enter"),
    "history": ("h",),
    "registries": ("R",),
    "models": ("M",),
    "what if": ("w",),
    "columns": ("S",),
    "differences": ("d",),
    "cluster": ("c",),
    "help": ("question_mark",),
}
"""The keys that lead to each screen from the list of recipes."""
LAUNCHES: dict[str, tuple[AnyEvent, ...]] = {
    "launch under way": (),
    "launch that serves": (
        EndpointUp(url="http://10.0.0.1:8000/v1", model="alpha"),
        StatusChanged(status=LaunchStatus.READY),
    ),
    "launch that failed": (DIAGNOSIS, StatusChanged(status=LaunchStatus.FAILED)),
}
"""What happened in each launch that is walked."""
WALKED = {
    "BrowseScreen",
    "CompareScreen",
    "FleetScreen",
    "HistoryScreen",
    "HostPage",
    "LaunchScreen",
    "PlanScreen",
    "RegistriesScreen",
    "StoresScreen",
}
SAME = {"log.": "list."}
"""Logs and lists are moved through by the same letters."""


def panes(pilot: Pilot[int]) -> list[Widget]:
    """The panes of the screen that take the focus, without fields of text: in these letters are text."""
    return [widget for widget in pilot.app.screen.focus_chain if not isinstance(widget, Input)]


def letters(pilot: Pilot[int]) -> dict[str, str]:
    """The action of each letter that is bound now."""
    found = {}
    for key, active in pilot.app.screen.active_bindings.items():
        name = key.removeprefix("upper_")
        if len(name) == 1 and name.isalpha() and active.binding.id:
            action = active.binding.id
            for prefix, other in SAME.items():
                if action.startswith(prefix):
                    action = other + action.removeprefix(prefix)
            found[key] = action
    return found


async def go(pilot: Pilot[int], name: str) -> None:
    """Open a screen of `WAYS`, or one that watches a launch."""
    await press(pilot, *WAYS.get(name, ()))
    await settle(pilot)
    if name in LAUNCHES:
        app = cast(SparkrunApp, pilot.app)
        launch = FakeLaunch("alpha-8b", ("spark-1", "spark-2"))
        launch.print("spark-1", "WARNING: hello")
        launch.send(*LAUNCHES[name])
        app.open_launch(launch)
        await settle(pilot)
        app.launch_poll.tick()
        await settle(pilot)


SCREENS = (*sorted(WAYS), *sorted(LAUNCHES))


def test_every_class_of_full_screens_is_walked() -> None:
    """Those that need a server of a real launch have tests of their own."""
    for module in pkgutil.walk_packages(sparkrun_tui.ui.screens.__path__, "sparkrun_tui.ui.screens."):
        importlib.import_module(module.name)
    found: set[str] = set()
    todo: list[type[object]] = [PageScreen]
    while todo:
        one = todo.pop()
        todo += one.__subclasses__()
        if not one.__subclasses__():
            found.add(one.__name__)
    assert found == WALKED | {"BenchScreen", "ChatScreen", "WorkloadPage"}


@pytest.mark.parametrize("name", SCREENS)
async def test_a_letter_means_one_thing_in_every_pane(open_app: Pilots, name: str) -> None:
    async with open_app((140, 45)) as pilot:
        await go(pilot, name)
        meanings: dict[str, set[str]] = defaultdict(set)
        for pane in panes(pilot):
            pane.focus()
            await pilot.pause()
            for key, action in letters(pilot).items():
                meanings[key].add(action)
        several = {key: found for key, found in meanings.items() if len(found) > 1}
        assert not several


@pytest.mark.parametrize("name", SCREENS)
@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_every_shown_key_does_something_or_says_why_not(
    open_app: Pilots, name: str, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        await go(pilot, name)
        for active in app.screen.active_bindings.values():
            binding = active.binding
            action = find(binding.id or "")
            if action is None or not binding.show:
                continue
            node = active.node
            assert hasattr(node, f"do_{action.name}"), f"{binding.id}: {type(node).__name__} does nothing"
            reason = node.why_not(action.name) if isinstance(node, Actor) else ""
            assert not reason or reason.endswith("."), f"{binding.id}: {reason}"


@pytest.mark.parametrize("name", SCREENS)
async def test_tab_reaches_every_pane_and_escape_leads_back(open_app: Pilots, name: str) -> None:
    async with open_app((140, 45)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        first = app.screen
        await go(pilot, name)
        wanted = set(app.screen.focus_chain)
        if name != "search":
            reached = set()
            for _ in range(len(wanted) + 1):
                if app.focused is not None:
                    reached.add(app.focused)
                # In the box for searching, tab completes.
                await press(pilot, "enter" if isinstance(app.focused, Input) else "tab")
            assert not wanted or reached >= {pane for pane in wanted if not isinstance(pane, Input)}
        for _ in range(4):
            if app.screen is first and type(app.focused).__name__ == "RecipeList":
                break
            await press(pilot, "escape")
        assert app.screen is first
