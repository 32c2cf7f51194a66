"""The list of recipes: columns, sorting, favourites, marks, and panes that are resized; all of it is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.model.columns import COLUMNS, Sorting, Widths
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.columns import ColumnsScreen
from sparkrun_tui.ui.widgets.recipe_list import RecipeList

from .conftest import Pilots, lines_with, press, screen_text, settle, until

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])


def names(pilot: Pilot[int]) -> list[str]:
    """The listed recipes in order."""
    return [row.name for row in pilot.app.screen.query_one(RecipeList).rows]


def test_names_come_first_and_no_width_shows_less_than_a_smaller_one() -> None:
    before: Widths | None = None
    for width in range(16, 240):
        now = Widths.for_width(width, (), 34)
        used = now.name + sum(column.width + 1 for column in now.columns) + 4
        assert used <= width
        if before is not None:
            assert {column.key for column in before.columns} <= {column.key for column in now.columns}
        if len(now.columns) > 2:
            assert now.name >= 34
        before = now
    assert before is not None and before.columns == COLUMNS


def test_a_place_in_the_header_is_a_column() -> None:
    widths = Widths.for_width(200, (), 30)
    found = {widths.column_at(place) for place in range(widths.name + 2 + sum(c.width + 1 for c in COLUMNS) + 2)}
    assert found == {"name", "fits", *(column.key for column in COLUMNS)}
    assert widths.column_at(0) == "name" and widths.column_at(widths.name + 3) == "engine"


def test_a_column_sorts_in_its_direction_then_the_other_then_not() -> None:
    first = Sorting().chosen("size")
    assert first.text == "size-" and Sorting.read("size-") == first
    second = first.chosen("size")
    assert second.text == "size+" and second.chosen("size") == Sorting()
    assert Sorting.read("nothing-") == Sorting() and Sorting.read("") == Sorting()


@SIZES
async def test_a_click_on_a_title_sorts(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        assert names(pilot)[0] == "alpha-8b"
        widths = pilot.app.screen.query_one(RecipeList).widths
        place = next(at for at in range(200) if widths.column_at(at) == "size")
        await pilot.click("#recipes", offset=(place + 1, 0))
        await pilot.pause()
        assert names(pilot)[0] == "beta-70b" and lines_with(pilot, "size▾")
        await pilot.click("#recipes", offset=(place + 1, 0))
        await pilot.pause()
        assert names(pilot)[0] in ("alpha-8b", "gamma-sg") and lines_with(pilot, "size▴")


async def test_columns_are_chosen_and_sorted_by_keys_and_remembered(open_app: Pilots) -> None:
    async with open_app((200, 50)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        assert lines_with(pilot, "dtype") or "dtype" in screen_text(pilot)
        await press(pilot, "S")
        assert isinstance(app.screen, ColumnsScreen)
        await press(pilot, "space")
        assert [text for text in (n.message for n in app._notifications) if "always shown" in text]
        await press(pilot, "j", "space", "j", "enter")
        assert app.state.order.sorting.text == "size-" and "engine" in app.state.order.hidden
        await press(pilot, "escape")
        assert not [line for line in lines_with(pilot, "name") if "engine" in line]
        assert names(pilot)[0] == "beta-70b"
        app.persistence.keep()
    async with open_app((200, 50)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        assert app.state.order.sorting.text == "size-" and "engine" in app.state.order.hidden
        assert names(pilot)[0] == "beta-70b"


async def test_an_order_by_estimates_is_complete_in_the_end(open_app: Pilots) -> None:
    async with open_app((200, 50)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.state.order.sorting = Sorting("left", True)
        cast(BrowseScreen, app.screen).search_again()
        await pilot.pause(0.5)
        assert "so far" not in screen_text(pilot)
        left = []
        for row in app.screen.query_one(RecipeList).rows:
            figures = app.state.figures(row.key)
            if figures is not None and figures.left is not None:
                left.append(figures.left)
        assert left == sorted(left, reverse=True) and len(left) > 1


@pytest.mark.parametrize("key", ["decode", "prefill"])
async def test_speeds_are_a_column_to_sort_by(open_app: Pilots, recipe_dir: Path, key: str) -> None:
    for name, model in (("slow", "Qwen/Qwen3-8B"), ("fast", "Qwen/Qwen3-1.7B")):
        text = f"model: {model}\nruntime: vllm\ncontainer: acme/engine:1\nmax_nodes: 1\n"
        text += "defaults: {max_model_len: 4096}\n"
        text += "command: vllm serve {model} --max-model-len {max_model_len}\n"
        (recipe_dir / f"{name}.yaml").write_text(f"name: {name}\n{text}", encoding="utf-8")
    async with open_app((240, 50)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.state.order.sorting = Sorting(key, True)
        # The list is too narrow for all columns.
        app.state.order.hidden = ("engine", "dtype", "context", "left", "once", "last", "origin")
        cast(BrowseScreen, app.screen).search_again()
        await settle(pilot)
        await until(pilot, lambda: "so far" not in screen_text(pilot))
        assert names(pilot)[:2] == ["fast", "slow"]
        rows = app.screen.query_one(RecipeList).rows
        fast, slow = (getattr(app.state.figures(row.key), key) for row in rows[:2])
        assert fast > slow > 0
        unknown = [app.state.figures(row.key) for row in rows[2:]]
        assert all(figures is None or getattr(figures, key) is None for figures in unknown)
        assert [line for line in lines_with(pilot, "tokens/s") if "prompt/s" in line]


async def test_favourites_come_first_and_are_remembered(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "G", "k", "asterisk")
        chosen = names(pilot)[0]
        assert chosen != "alpha-8b" and lines_with(pilot, f"★{chosen}")
    async with open_app() as pilot:
        assert names(pilot)[0] == chosen
        app = cast(SparkrunApp, pilot.app)
        cast(BrowseScreen, app.screen).list.select(str(app.screen.query_one(RecipeList).rows[0].key))
        await press(pilot, "g", "asterisk")
        assert names(pilot)[0] == "alpha-8b"


async def test_the_search_finds_favourites(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "G", "k", "asterisk")
        chosen = names(pilot)[0]
        await press(pilot, "slash", *"is:fav")
        await until(pilot, lambda: names(pilot) == [chosen])
        await press(pilot, "enter", "asterisk")
        await until(pilot, lambda: names(pilot) == [])


async def test_marks_take_several_rows(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "space", "space")
        assert lines_with(pilot, "2 marked") and lines_with(pilot, "+alpha-8b")
        await press(pilot, "asterisk")
        assert not lines_with(pilot, "marked")
        assert len(lines_with(pilot, "★")) == 2
        await press(pilot, "g", "space", "escape")
        assert not lines_with(pilot, "1 marked")


@SIZES
async def test_panes_are_resized_hidden_and_remembered(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        listed = app.screen.query_one(RecipeList)
        before = listed.size
        await press(pilot, "greater_than_sign", "greater_than_sign")
        assert listed.size.area > before.area
        larger = listed.size
        await press(pilot, "Z")
        assert not app.screen.query_one("#detail").display and listed.size.area > larger.area
        await press(pilot, "Z", "z")
        assert not app.screen.query_one("#list-panel").display
        await press(pilot, "z")
        app.persistence.keep()
    async with open_app(size) as pilot:
        assert pilot.app.screen.query_one(RecipeList).size == larger
        for _ in range(20):
            await press(pilot, "less_than_sign")
        assert pilot.app.screen.query_one(RecipeList).size.area > 0


@pytest.mark.parametrize("width", [60, 80, 99, 100, 120, 139, 140, 160, 200, 240])
async def test_no_name_key_or_verdict_is_cut_at_any_width(open_app: Pilots, width: int) -> None:
    async with open_app((width, 40)) as pilot:
        await press(pilot, "o")
        shown = screen_text(pilot)
        for text in ("alpha-8b", "gpu_memory_utilization", "✓ starts", "tokens fit", "left"):
            assert text in shown, text
