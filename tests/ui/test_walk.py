"""A walk over all screens: a letter means one thing in every pane of a screen, and each shown key does something."""

from __future__ import annotations

from collections import defaultdict
from typing import cast

import pytest
from textual.pilot import Pilot
from textual.widget import Widget
from textual.widgets import Input

from sparkrun_tui.ui.actions import find
from sparkrun_tui.ui.actor import Actor
from sparkrun_tui.ui.app.app import SparkrunApp

from .conftest import Pilots, press, settle

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


@pytest.mark.parametrize("name", sorted(WAYS))
async def test_a_letter_means_one_thing_in_every_pane(open_app: Pilots, name: str) -> None:
    async with open_app((140, 45)) as pilot:
        await press(pilot, *WAYS[name])
        await settle(pilot)
        meanings: dict[str, set[str]] = defaultdict(set)
        for pane in panes(pilot):
            pane.focus()
            await pilot.pause()
            for key, action in letters(pilot).items():
                meanings[key].add(action)
        several = {key: found for key, found in meanings.items() if len(found) > 1}
        assert not several


@pytest.mark.parametrize("name", sorted(WAYS))
@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_every_shown_key_does_something_or_says_why_not(
    open_app: Pilots, name: str, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        await press(pilot, *WAYS[name])
        await settle(pilot)
        for active in app.screen.active_bindings.values():
            binding = active.binding
            action = find(binding.id or "")
            if action is None or not binding.show:
                continue
            node = active.node
            assert hasattr(node, f"do_{action.name}"), f"{binding.id}: {type(node).__name__} does nothing"
            reason = node.why_not(action.name) if isinstance(node, Actor) else ""
            assert not reason or reason.endswith("."), f"{binding.id}: {reason}"


@pytest.mark.parametrize("name", sorted(WAYS))
async def test_tab_reaches_every_pane_and_escape_leads_back(open_app: Pilots, name: str) -> None:
    async with open_app((140, 45)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        first = app.screen
        await press(pilot, *WAYS[name])
        await settle(pilot)
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
