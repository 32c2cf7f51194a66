"""The overrides in sum: what differs, written as a new recipe file, copied as a command line."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.recipe.format.loader import load_file
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import text_of
from sparkrun_tui.ui.paint.launch.change_lines import change_lines
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.ask import AnswerLine, AskScreen
from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen

from .conftest import Pilots, lines_with, press, screen_text, settle

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def override(app: SparkrunApp, **values: str) -> None:
    app.state.edits_of(app.state.selected).update(values)
    app.state_changed()


@SIZES
async def test_what_is_overridden_is_shown_beside_the_recipe_s_own(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, max_model_len="4096", seed="7")
        await press(pilot, "d")
        assert isinstance(app.screen, ChangesScreen)
        assert lines_with(pilot, "- 32768") and lines_with(pilot, "+ 4096")
        assert lines_with(pilot, "seed (not in the recipe)")
        await press(pilot, "y")
        assert app.clipboard == "sparkrun-tui run alpha-8b -o max_model_len=4096 -o seed=7" or app.clipboard.endswith(
            "-o max_model_len=4096 -o seed=7"
        )
        await press(pilot, "d")
        assert isinstance(app.screen, BrowseScreen)


async def test_nothing_overridden_is_said(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "d")
        assert lines_with(pilot, "nothing is overridden")


@SIZES
async def test_a_new_recipe_file_is_written_and_listed(
    open_app: Pilots, size: tuple[int, int], recipe_dir: Path
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, max_model_len="4096")
        await press(pilot, "d", "w")
        await settle_screen(pilot, AskScreen)
        line = app.screen.query_one(AnswerLine)
        assert line.value == str(recipe_dir / "alpha-mine.yaml")
        await press(pilot, "enter")
        await settle(pilot)
        written = load_file(recipe_dir / "alpha-mine.yaml", Source(SourceKind.USER, str(recipe_dir), ""))
        assert isinstance(written, Recipe)
        assert written.defaults["max_model_len"].data == 4096
        assert "Recipes 5 of 5" in screen_text(pilot)
        assert app.state.edits_of(app.state.selected).overrides == {"max_model_len": "4096"}


async def test_a_file_is_never_overwritten(open_app: Pilots, recipe_dir: Path) -> None:
    before = (recipe_dir / "beta.yaml").read_text()
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, max_model_len="4096")
        await press(pilot, "d", "w")
        await settle_screen(pilot, AskScreen)
        app.screen.query_one(AnswerLine).value = str(recipe_dir / "beta.yaml")
        await press(pilot, "enter")
        assert lines_with(pilot, "exists already")
        app.screen.query_one(AnswerLine).value = "relative.yaml"
        await press(pilot, "enter")
        assert lines_with(pilot, "Write the full path")
        await press(pilot, "escape")
        await settle(pilot)
        assert isinstance(app.screen, ChangesScreen)
    assert (recipe_dir / "beta.yaml").read_text() == before


async def test_all_overrides_are_dropped_on_one_key_and_undone_in_the_form(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, max_model_len="4096")
        await press(pilot, "d", "U")
        assert app.state.edits_of(app.state.selected).overrides == {}
        assert lines_with(pilot, "nothing is overridden")
        await press(pilot, "escape", "o", "u")
        assert app.state.edits_of(app.state.selected).overrides == {"max_model_len": "4096"}


def test_the_user_s_own_defaults_are_told(recipe_dir: Path) -> None:
    recipe = load_file(recipe_dir / "alpha.yaml", Source(SourceKind.USER, str(recipe_dir / "alpha.yaml"), ""))
    assert isinstance(recipe, Recipe)
    shown = [text_of(line) for line in change_lines(recipe, {}, {"port": 9000, "unrelated": 1}, 60)]
    assert "port is 9000 from your settings" in shown
    assert not [line for line in shown if "unrelated" in line]


def test_the_folder_beside_the_settings_is_listed_when_it_is_there(open_app: Pilots) -> None:
    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.recipe.search.folders import own_folders

    assert paths.user_recipes() not in [folder.path for folder in own_folders(Settings())]
    paths.user_recipes().mkdir(parents=True)
    assert paths.user_recipes() in [folder.path for folder in own_folders(Settings())]


async def settle_screen(pilot: object, kind: type) -> None:
    for _ in range(100):
        await pilot.pause()  # type: ignore[attr-defined]
        if isinstance(pilot.app.screen, kind):  # type: ignore[attr-defined]
            return
    raise AssertionError(f"{kind.__name__} did not come")


OTHERS = {
    "container": "other/image:2",
    "env.LEVEL": "DEBUG",
    "env.MY_API_KEY": "canary-env-0123456789",
    "extra_flags": "--seed 3 --api-key canary-flag-0123456789",
}


@SIZES
async def test_image_variables_and_flags_of_one_launch_are_rows(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, **OTHERS)
        await press(pilot, "o", "end")
        assert lines_with(pilot, "other/im"), screen_text(pilot)
        assert lines_with(pilot, "DEBUG")
        assert "canary" not in screen_text(pilot)
        evaluation = app.state.evaluation(cast(Recipe, app.state.catalog.recipe(app.state.selected)))
        assert evaluation.recipe.container == "other/image:2"
        assert "--seed 3" in evaluation.command
        await press(pilot, "escape", "d")
        assert lines_with(pilot, "+ other/image:2")
        assert "canary" not in screen_text(pilot)
        await press(pilot, "y")
        assert "canary" not in app.clipboard
        assert app.clipboard.endswith('-- --seed 3 --api-key "${API_KEY}"')


async def test_a_key_with_parts_is_typed_into_the_form(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        await press(pilot, "o", "a", *"env.LEVEL=INFO", "enter")
        assert app.state.edits_of(app.state.selected).overrides == {"env.LEVEL": "INFO"}
        await press(pilot, "a", *"extra_flags=--seed 3", "enter")
        assert app.state.edits_of(app.state.selected).overrides["extra_flags"] == "--seed 3"
