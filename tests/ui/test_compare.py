"""What if: recipes and sets of overrides side by side, by keys, and what is kept of them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.kept_sets import forget_set, keep_set, kept_sets
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.compare import CompareScreen

from .conftest import Pilots, lines_with, press, screen_text

SIZES = pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 50)])


@SIZES
async def test_a_value_is_added_compared_kept_and_used(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        key = app.state.selected
        await press(pilot, "w")
        screen = cast(CompareScreen, app.screen)
        assert isinstance(screen, CompareScreen) and lines_with(pilot, "its own values")
        await press(pilot, "a", *"max_model_len=zzz", "enter")
        assert lines_with(pilot, "max_model_len must be a whole number")
        await press(pilot, *["backspace"] * 3, *"16K", "enter")
        assert [side.title for side in screen.sides] == ["its own values", "max_model_len=16K"]
        assert lines_with(pilot, "≠ context") and lines_with(pilot, "≠ max_model_len")
        assert lines_with(pilot, "  model"), "what is alike has no sign"
        await press(pilot, "w", *"short", "enter")
        recipe = app.state.recipe
        assert isinstance(recipe, Recipe) and kept_sets(recipe) == {"short": {"max_model_len": "16K"}}
        assert not app.state.edits_of(key).kept, "nothing is changed before it is used"
        await press(pilot, "enter")
        assert isinstance(app.screen, BrowseScreen)
        assert app.state.edits_of(key).kept == {"max_model_len": "16K"}
        await press(pilot, "u")
        assert not app.state.edits_of(key).kept
        await press(pilot, "escape", "w")
        assert lines_with(pilot, "▸short")
        await press(pilot, "x")
        assert kept_sets(recipe) == {} and not lines_with(pilot, "▸short")


async def test_marked_recipes_are_compared(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "space", "space", "w")
        assert lines_with(pilot, "alpha-8b") and lines_with(pilot, "▸beta-70b")
        assert lines_with(pilot, "≠ model") and lines_with(pilot, "≠ hosts") and lines_with(pilot, "≠ weights")
        await press(pilot, "left")
        assert lines_with(pilot, "▸alpha-8b")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, BrowseScreen)


async def test_overrides_stand_beside_the_recipe_s_own_values(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.state.edits_of(app.state.selected).set("gpu_memory_utilization", "0.9")
        await press(pilot, "w")
        assert lines_with(pilot, "overrides now")
        assert [line for line in lines_with(pilot, "≠ gpu_memory_utilization") if "0.80" in line and "0.9" in line]
        await press(pilot, "a", *"max_num_seqs=4", "enter")
        assert lines_with(pilot, "--max-num-seqs 4"), "a value without a place becomes a flag"


async def test_many_sides_scroll_with_the_chosen_one(open_app: Pilots) -> None:
    async with open_app((60, 20)) as pilot:
        await press(pilot, "w")
        for length in ("8K", "16K", "24K", "28K", "30K"):
            await press(pilot, "a", *f"max_model_len={length}", "enter")
        assert lines_with(pilot, "▸max_model_len=30K")
        await press(pilot, "a")
        assert "at most" in " ".join(n.message for n in pilot.app._notifications)
        await press(pilot, *["left"] * 5)
        assert lines_with(pilot, "▸its own values")
        for line in screen_text(pilot).splitlines():
            assert len(line) <= 60


def test_damaged_sets_count_as_missing(recipe_dir: Path) -> None:
    from sparkrun_tui.recipe.format.loader import load_recipe

    recipe = load_recipe(recipe_dir / "alpha.yaml")
    keep_set(recipe, "one", {"port": "1"})
    keep_set(recipe, "two", {"port": "2"})
    assert kept_sets(recipe) == {"one": {"port": "1"}, "two": {"port": "2"}}
    forget_set(recipe, "one")
    assert list(kept_sets(recipe)) == ["two"]
    [file] = (paths.state_dir() / "sets").iterdir()
    file.write_text("[1, 2")
    assert kept_sets(recipe) == {}
