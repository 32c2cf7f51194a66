"""Completing the query line by tab, in the box and as values."""

from __future__ import annotations

import pytest

from sparkrun_tui.recipe.search.completion import QueryCompleter
from sparkrun_tui.ui.model.completing import begin, turn
from sparkrun_tui.ui.widgets.form.choices import Choices
from sparkrun_tui.ui.widgets.recipe_list import RecipeList
from sparkrun_tui.ui.widgets.search_box import SearchBox

from .conftest import Pilots, lines_with, press, screen_text

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


@SIZES
async def test_tab_completes_a_key_then_its_values(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        box = pilot.app.screen.query_one(SearchBox)
        await press(pilot, "slash", *"run", "tab")
        assert box.value == "runtime:"
        await press(pilot, "tab")
        assert lines_with(pilot, "runtime:vllm") and lines_with(pilot, "runtime:sglang")
        await press(pilot, "tab", "tab")
        assert box.value == "runtime:sglang"
        assert "Recipes 1 of 4" in screen_text(pilot)
        await press(pilot, "shift+tab")
        assert box.value == "runtime:vllm"
        await press(pilot, "escape")
        assert not pilot.app.screen.query_one(Choices).display
        assert box.value == "runtime:vllm"


async def test_typing_on_takes_the_choices_away(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"fits:", "tab")
        assert len(pilot.app.screen.query(Choices).filter("#choices")) == 1
        assert lines_with(pilot, "fits:tight") and lines_with(pilot, "fits:unknown")
        rows = pilot.app.screen.query_one(RecipeList).size.height
        await press(pilot, "t")
        assert not lines_with(pilot, "fits:unknown")
        assert pilot.app.screen.query_one(RecipeList).size.height == rows
        await press(pilot, "tab")
        assert pilot.app.screen.query_one(SearchBox).value == "fits:tight "


async def test_where_nothing_completes_tab_goes_on(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"alph", "tab")
        assert isinstance(pilot.app.focused, RecipeList)
        assert pilot.app.screen.query_one(SearchBox).value == "alph"


async def test_leaving_the_box_takes_the_choices_away(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"is:", "tab", "enter")
        assert isinstance(pilot.app.focused, RecipeList)
        assert not pilot.app.screen.query_one(Choices).display


def test_what_all_choices_share_is_put_first() -> None:
    completer = QueryCompleter(())
    first = begin(completer, "has:e qwen", 5)
    assert first is not None and first.line == "has:e qwen"
    assert [choice.text for choice in first.choices] == ["has:env", "has:executor_config"]
    second = turn(first, 1)
    assert (second.line, second.cursor) == ("has:env qwen", 7)
    assert turn(second, 1).line == "has:executor_config qwen"
    assert turn(turn(second, 1), 1).line == "has:env qwen"
    assert turn(first, -1).line == "has:executor_config qwen"


def test_the_only_choice_is_taken() -> None:
    found = begin(QueryCompleter(()), "-has:pre", 8)
    assert found is not None and found.line == "-has:pre_exec " and not found.choices
    assert begin(QueryCompleter(()), "nothing", 7) is None
