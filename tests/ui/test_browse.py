"""Finding a recipe, seeing whether it fits, changing it: by keys and clicks, wide and narrow."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sparkrun_tui.launch.sizing.headers_here import HeadersHere
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.widgets.form.field_list import FieldEditor, FieldList
from sparkrun_tui.ui.widgets.recipe_list import RecipeList
from tests.support.made_cache import hub_here, put_model

from .conftest import ALPHA, Pilots, lines_with, press, screen_text, settle
from .fakes import FakeBackend

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 50)])


@SIZES
async def test_recipes_and_the_first_one_s_detail_are_shown(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        text = screen_text(pilot)
        assert "Recipes 4 of 4" in text
        assert "alpha-8b" in text and "beta-70b" in text and "broken" in text
        assert "acme/alpha-8b · " in text and "vLLM 0.14" in text
        assert "█" in text and "░" in text
        assert "lab" in text.splitlines()[0]
        assert "l launch" in text.splitlines()[-1]


async def test_typing_in_the_search_box_narrows_and_is_never_stolen(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"beta")
        assert "Recipes 1 of 4" in screen_text(pilot)
        assert isinstance(pilot.app.screen, BrowseScreen)
        await press(pilot, "enter")
        assert isinstance(pilot.app.focused, RecipeList)
        await press(pilot, "escape")
        assert "Recipes 4 of 4" in screen_text(pilot)


async def test_letters_that_are_keys_elsewhere_are_text_in_the_search_box(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"qlphcfx")
        box = pilot.app.screen.query_one("#search")
        assert box.value == "qlphcfx"  # type: ignore[attr-defined]
        assert len(pilot.app.screen_stack) == 1


async def test_filters_work_in_the_search_box(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"runtime:sglang")
        assert "Recipes 1 of 4" in screen_text(pilot)
        assert "gamma-sg" in screen_text(pilot)


async def test_the_first_query_can_be_given(open_app: Pilots) -> None:
    async with open_app(query="gamma") as pilot:
        assert "Recipes 1 of 4" in screen_text(pilot)


async def test_a_broken_recipe_is_shown_with_its_place(open_app: Pilots) -> None:
    async with open_app((200, 50), query="broken") as pilot:
        text = screen_text(pilot)
        assert "this recipe cannot be read" in text
        assert "broken.yaml:" in text
        await press(pilot, "p")
        assert isinstance(pilot.app.screen, BrowseScreen), "a recipe that cannot be read has no plan"


async def test_stepping_a_field_renders_the_command_again(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o")
        form = pilot.app.screen.query_one(FieldList)
        form.select("max_model_len")
        await press(pilot, "right")
        assert lines_with(pilot, "--max-model-len 36864")
        assert "1 changed" in screen_text(pilot)
        await press(pilot, "u")
        assert lines_with(pilot, "--max-model-len 32768")
        await press(pilot, "ctrl+r")
        assert lines_with(pilot, "--max-model-len 36864")
        await press(pilot, "U")
        assert lines_with(pilot, "--max-model-len 32768")


async def test_each_keystroke_in_a_field_shows_in_the_command(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o")
        pilot.app.screen.query_one(FieldList).select("port")
        await press(pilot, "enter", "9", "1")
        assert isinstance(pilot.app.focused, FieldEditor)
        assert lines_with(pilot, "--port 91")
        await press(pilot, "2", "3")
        assert lines_with(pilot, "--port 9123")
        await press(pilot, "escape")
        assert lines_with(pilot, "--port 8000")
        assert isinstance(pilot.app.focused, FieldList)


async def test_a_typed_value_is_kept_and_can_be_reset(open_app: Pilots) -> None:
    async with open_app((160, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        await press(pilot, "o")
        app.screen.query_one(FieldList).select("port")
        await press(pilot, "enter", *"9000", "enter")
        key = app.state.selected
        assert app.state.edits_of(key).kept == {"port": "9000"}
        assert lines_with(pilot, "◂ 8000")
        await press(pilot, "r")
        assert app.state.edits_of(key).kept == {}


async def test_a_wrong_value_is_marked_with_what_is_wrong(open_app: Pilots) -> None:
    async with open_app((160, 40)) as pilot:
        await press(pilot, "o")
        pilot.app.screen.query_one(FieldList).select("port")
        await press(pilot, "enter", *"99999", "enter")
        assert lines_with(pilot, "✗ port must be at most 65535")


async def test_a_key_can_be_added(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        await press(pilot, "o", "a", *"max_num_seqs", "equals_sign", *"16", "enter", "y")
        assert app.state.edits_of(app.state.selected).kept == {"extra_flags": "--max-num-seqs 16"}
        assert lines_with(pilot, "extra_flags")


async def test_a_choice_goes_round_its_known_values(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o")
        pilot.app.screen.query_one(FieldList).select("kv_cache_dtype")
        await press(pilot, "right")
        assert lines_with(pilot, "--kv-cache-dtype bfloat16")


async def test_the_verdict_follows_the_overrides(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        before = app.state.verdict(app.state.selected)
        await press(pilot, "o")
        app.screen.query_one(FieldList).select("max_model_len")
        await press(pilot, "enter", *"99000000", "enter")
        assert before in ("good", "tight")
        assert app.state.verdict(app.state.selected) == "bad"
        async with asyncio.timeout(20):
            # Suggestions are tried a few milliseconds at a time, once typing rests.
            while not lines_with(pilot, "1 max_model_len 99000000 →"):
                await asyncio.sleep(0.05)
                await pilot.pause()
        await press(pilot, "s")
        assert app.state.verdict(app.state.selected) in ("good", "tight")
        await press(pilot, "o", "u")
        assert app.state.verdict(app.state.selected) == "bad"


async def test_narrow_screens_show_parts_as_tabs(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        assert "[Overview]" in screen_text(pilot)
        await press(pilot, "right_square_bracket")
        assert "[Overrides]" in screen_text(pilot)
        await press(pilot, "right_square_bracket")
        assert "[Memory]" in screen_text(pilot)
        await press(pilot, "right_square_bracket")
        assert "[Command]" in screen_text(pilot) and "vllm serve" in screen_text(pilot)
        await press(pilot, "o")
        assert "[Overrides]" in screen_text(pilot)
        assert isinstance(pilot.app.focused, FieldList)


async def test_a_tab_can_be_clicked(open_app: Pilots) -> None:
    async with open_app((80, 24)) as pilot:
        await pilot.click("#narrow-tabs", offset=(33, 0))
        await pilot.pause()
        assert "[Command]" in screen_text(pilot)


async def test_a_click_selects_a_recipe(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await pilot.click("#recipes", offset=(5, 2))
        await pilot.pause()
        assert "acme/beta-70b" in screen_text(pilot)


async def test_hosts_that_do_not_answer_have_another_dot(open_app: Pilots, backend: FakeBackend) -> None:
    backend.unreachable["spark-2"] = "no route to host"
    async with open_app() as pilot:
        assert "spark-1 ● spark-2 ✗" in screen_text(pilot).splitlines()[0]


async def test_the_file_is_read_again_after_the_editor(
    open_app: Pilots, recipe_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/alpha-8b/alpha-9b/' \"$1\"\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    monkeypatch.setattr(SparkrunApp, "suspend", _no_suspend)
    async with open_app() as pilot:
        await press(pilot, "e")
        await settle(pilot)
        assert "acme/alpha-9b" in screen_text(pilot)


def _no_suspend(self: SparkrunApp):  # type: ignore[no-untyped-def]
    from contextlib import nullcontext

    return nullcontext()


async def test_copy_takes_the_command(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "y")
        assert pilot.app.clipboard.startswith("vllm serve acme/alpha-8b")


async def test_back_and_quit(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "f")
        assert len(pilot.app.screen_stack) == 2
        await press(pilot, "q")
        assert len(pilot.app.screen_stack) == 1
        await press(pilot, "q")
        await pilot.pause()
        assert pilot.app.return_value == 0


async def test_a_model_can_be_looked_up(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await press(pilot, "i")
        await settle(pilot)
        assert backend.calls[-1] == "look_up acme/alpha-8b"
        said = [notification.message for notification in pilot.app._notifications]
        assert "acme/alpha-8b: estimate updated from the model's headers" in said


async def test_long_names_lose_their_middle_and_keep_their_lit_letters(open_app: Pilots, recipe_dir: Path) -> None:
    name = "nemotron-3-super-120b-a12b-nvfp4-with-a-long-context-2x-vllm"
    (recipe_dir / "long.yaml").write_text(ALPHA.replace("name: alpha-8b", f"name: {name}"))
    async with open_app((120, 40)) as pilot:
        [row] = [line for line in lines_with(pilot, "nemotr") if "8B" in line and "1+" in line]
        assert "…" in row and "2x-vllm" in row
        await press(pilot, "slash", *"2x-v")
        strips = pilot.app.screen._compositor.render_strips()
        lit = {part.text for strip in strips for part in strip if part.style and part.style.underline}
        assert "2x-v" in lit
    async with open_app((200, 40)) as pilot:
        assert lines_with(pilot, name)


async def test_headers_that_lie_here_are_read_once_the_cursor_rests(
    open_app: Pilots, backend: FakeBackend, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_model(hub_here(), "acme/alpha-8b")
    monkeypatch.setattr(backend, "read_here", HeadersHere().read, raising=False)
    async with open_app((120, 40)) as pilot:
        await press(pilot, "m")
        async with asyncio.timeout(20):
            while not lines_with(pilot, "headers of the files in"):
                await asyncio.sleep(0.05)
                await pilot.pause()
