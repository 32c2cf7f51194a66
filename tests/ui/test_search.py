"""The search box: filters offered as one types, chips, and what was not understood."""

from __future__ import annotations

from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.widgets.filter_chips import FilterChips
from sparkrun_tui.ui.widgets.recipe_list import RecipeList
from sparkrun_tui.ui.widgets.search_box import SearchBox

from .conftest import Pilots, lines_with, press, screen_text

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def rows(pilot: Pilot[int]) -> int:
    """How many recipes are listed."""
    return len(pilot.app.screen.query_one(RecipeList).rows)


@SIZES
async def test_keys_are_offered_as_one_types(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "slash", *"fi")
        assert lines_with(pilot, "fits:") and lines_with(pilot, "on the chosen cluster")
        assert rows(pilot) > 0, "a half-typed key empties no list"
        await press(pilot, "tab")
        assert pilot.app.screen.query_one(SearchBox).value == "fits:"
        await press(pilot, "escape")
        assert pilot.app.screen.query_one(SearchBox).value == ""


async def test_tab_in_the_empty_box_lists_all_keys(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", "tab")
        assert isinstance(pilot.app.focused, SearchBox)
        assert lines_with(pilot, "runtime:") and lines_with(pilot, "nodes:")


@SIZES
async def test_filters_become_chips_that_a_click_removes(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        screen = cast(BrowseScreen, pilot.app.screen)
        screen.search_for("runtime:vllm -fits:no")
        await pilot.pause()
        assert lines_with(pilot, "[runtime vllm ×] [not fits no ×]")
        await pilot.click(FilterChips, offset=(3, 0))
        await pilot.pause()
        assert pilot.app.screen.query_one(SearchBox).value == "-fits:no"
        assert lines_with(pilot, "[not fits no ×] on the chosen cluster")
        await press(pilot, "escape")
        assert not pilot.app.screen.query_one(FilterChips).display


@pytest.mark.parametrize(
    ("query", "said", "count"),
    [
        ("parms:>30b", "no such filter: parms: did you mean `params`?", 4),
        ("params:big", "params:big is not a number", 4),
        ("fits:maybe", "fits:maybe is unknown", 4),
        ("size:>30b", "[params >30b ×]", 1),
        ("params>30b", "[params >30b ×]", 1),
        ("host:2", "[nodes 2 ×]", 1),
        ("nothing:here", "nothing: is not a filter and is searched as a word", 0),
    ],
)
async def test_what_was_not_understood_stands_below_the_box(
    open_app: Pilots, query: str, said: str, count: int
) -> None:
    for size in ((80, 24), (120, 40)):
        async with open_app(size) as pilot:
            screen = cast(BrowseScreen, pilot.app.screen)
            screen.search_for(query)
            await pilot.pause()
            assert rows(pilot) == count
            shown = screen_text(pilot).splitlines()
            box = next(number for number, line in enumerate(shown) if query in line)
            assert said[:30] in shown[box + 1]
            screen.search_for("")


async def test_an_unfinished_fits_says_that_it_is(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, pilot.app.screen)
        screen.search_for("fits:unknown")
        await pilot.pause(0.5)
        assert "so far" not in screen_text(pilot), "all are judged by now"
        app.state.forget_verdicts()
        screen._judging = True
        screen.search_again()
        await pilot.pause()
        assert lines_with(pilot, "so far") and lines_with(pilot, "fits: is being worked out, 0 of 4")
        assert rows(pilot) == 0, "what is not judged yet is not unknown"
