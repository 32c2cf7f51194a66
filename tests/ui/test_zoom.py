"""The detail alone on the screen, and the list back."""

from __future__ import annotations

import pytest

from sparkrun_tui.ui.widgets.recipe_list import RecipeList
from sparkrun_tui.ui.widgets.tab_line import TabLine
from sparkrun_tui.ui.widgets.text_pane import TextPane

from .conftest import Pilots, lines_with, press, screen_text

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def focused(widget: object, kind: type) -> bool:
    return isinstance(widget, kind)


@SIZES
async def test_the_detail_takes_the_screen_and_escape_brings_the_list_back(
    open_app: Pilots, size: tuple[int, int]
) -> None:
    async with open_app(size) as pilot:
        before = pilot.app.screen.query_one("#part").size
        await press(pilot, "m", "z")
        assert not lines_with(pilot, "Recipes 4 of 4")
        after = pilot.app.screen.query_one("#part").size
        assert after.width > before.width or after.height > before.height
        assert focused(pilot.app.focused, TextPane)
        await press(pilot, "escape")
        assert lines_with(pilot, "Recipes 4 of 4")
        assert focused(pilot.app.focused, RecipeList)


async def test_searching_brings_the_list_back(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "z", "slash", *"beta")
        assert "Recipes 1 of 4" in screen_text(pilot)


@pytest.mark.parametrize("width", [100, 110, 120, 160, 200])
async def test_every_part_has_its_tab_at_any_width(open_app: Pilots, width: int) -> None:
    async with open_app((width, 40)) as pilot:
        tabs = pilot.app.screen.query_one("#wide-tabs", TabLine)
        shown = "".join(text for text, _ in tabs.line(0))
        assert len(shown.rstrip()) <= tabs.size.width
        for start in ("[Command]", "Mem", "Sou", "Pro"):
            assert start in shown
