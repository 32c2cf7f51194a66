"""Values in the form: what the engine refuses, and what the command has no place for."""

from __future__ import annotations

from typing import cast

from sparkrun_tui.memory.result import Level
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.plan import PlanScreen

from .conftest import Pilots, lines_with, press, screen_text

SIZES = ((120, 40), (80, 24))


def said(app: SparkrunApp) -> list[str]:
    """The messages that are shown."""
    return [notification.message for notification in app._notifications]


async def test_a_word_for_the_context_is_an_error_without_verdict_and_is_not_launched(open_app: Pilots) -> None:
    for size in SIZES:
        async with open_app(size) as pilot:
            app = cast(SparkrunApp, pilot.app)
            screen = cast(BrowseScreen, app.screen)
            await press(pilot, "o")
            screen.detail.form.select("max_model_len")
            await press(pilot, "enter", *"abc", "enter")
            assert lines_with(pilot, "✗ max_model_len must be a whole")
            assert lines_with(pilot, "? max_model_len cannot be read by the engine")
            assert screen.detail.evaluation is not None
            assert screen.detail.evaluation.level is Level.UNKNOWN
            assert "✓ starts" not in screen_text(pilot)
            await press(pilot, "l")
            assert not isinstance(app.screen, PlanScreen)
            assert [text for text in said(app) if "It cannot be launched" in text]
            await press(pilot, "u")


async def test_a_suffix_of_the_engine_is_taken(open_app: Pilots) -> None:
    async with open_app() as pilot:
        screen = cast(BrowseScreen, pilot.app.screen)
        await press(pilot, "o")
        screen.detail.form.select("max_model_len")
        await press(pilot, "enter", *"16K", "enter")
        assert lines_with(pilot, "16,384 tokens fit")
        await press(pilot, "plus")
        assert screen.detail.form.current is not None and screen.detail.form.current.value == "20480"


async def test_a_key_that_the_command_lacks_is_appended_as_a_flag_after_a_question(open_app: Pilots) -> None:
    for size in SIZES:
        async with open_app(size) as pilot:
            app = cast(SparkrunApp, pilot.app)
            screen = cast(BrowseScreen, app.screen)
            edits = app.state.edits_of(app.state.selected)
            await press(pilot, "o", "a", *"max_num_seqs=4", "enter")
            assert isinstance(app.screen, Confirm)
            assert "--max-num-seqs 4" in screen_text(pilot)
            await press(pilot, "n")
            assert not edits.kept
            await press(pilot, "a", *"max_num_seqs=4", "enter", "y")
            assert edits.kept == {"extra_flags": "--max-num-seqs 4"}
            assert screen.detail.evaluation is not None
            assert screen.detail.evaluation.command.rstrip().endswith("--max-num-seqs 4")
            await press(pilot, "a", *"enable_prefix_caching=true", "enter", "y")
            assert edits.kept == {"extra_flags": "--max-num-seqs 4 --enable-prefix-caching"}
            await press(pilot, "u", "u")
            assert not edits.kept


async def test_parallel_sizes_step_only_to_what_the_model_takes(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, app.screen)
        edits = app.state.edits_of(app.state.selected)
        await press(pilot, "o")
        screen.detail.form.select("tensor_parallel")
        await press(pilot, "plus")
        assert edits.kept == {"tensor_parallel": "2"}


async def test_one_that_has_no_effect_is_not_stepped(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, app.screen)
        key = app.state.selected
        app.state.edits_of(key).set("max_num_seqs", "4")
        screen.detail.show(app.state.recipe)
        await press(pilot, "o")
        screen.detail.form.select("max_num_seqs")
        await press(pilot, "plus")
        assert app.state.edits_of(key).kept == {"max_num_seqs": "4"}
        assert [text for text in said(app) if "append its flag" in text]


async def test_suggestions_are_tried_in_slices_between_keys(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, app.screen)
        app.state.edits_of(app.state.selected).set("gpu_memory_utilization", "0.15")
        screen.detail.show(app.state.recipe)
        evaluation = screen.detail.evaluation
        assert evaluation is not None and app.state.suggested(evaluation) is None
        assert not app.state.try_suggestions(evaluation, 0), "nothing is done in no time"
        for _ in range(100):
            await pilot.pause(0.05)
            if app.state.suggested(evaluation) is not None:
                break
        assert app.state.suggested(evaluation)
        assert lines_with(pilot, "1 gpu_memory_utilization 0.15 → 0.19")


async def test_a_secret_that_is_added_is_not_shown(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o", "a", *"api_key=hunter22hunter22", "enter")
        assert isinstance(pilot.app.screen, Confirm)
        assert "hunter22" not in screen_text(pilot) and lines_with(pilot, "--api-key")
        await press(pilot, "n", "escape", "w", "a", *"api_key=hunter22hunter22", "enter")
        assert "hunter22" not in screen_text(pilot) and lines_with(pilot, "≠ extra_flags")
