"""The override form offers what a value or a key can become while it is typed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from textual.pilot import Pilot

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.widgets.form.choices import Choices
from sparkrun_tui.ui.widgets.form.field_list import FieldEditor, FieldList

from .conftest import Pilots, lines_with, press

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def kept(pilot: Pilot[int]) -> Mapping[str, str]:
    app = pilot.app
    assert isinstance(app, SparkrunApp)
    return app.state.edits_of(app.state.selected).kept


def choices(pilot: Pilot[int]) -> Choices:
    return pilot.app.screen.query_one("#form-choices", Choices)


async def edit(pilot: Pilot[int], key: str) -> FieldEditor:
    await press(pilot, "o")
    pilot.app.screen.query_one(FieldList).select(key)
    await press(pilot, "enter")
    return pilot.app.screen.query_one(FieldEditor)


@SIZES
async def test_values_are_offered_and_taken_while_the_command_follows(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        editor = await edit(pilot, "kv_cache_dtype")
        assert choices(pilot).display and lines_with(pilot, "bfloat16")
        await press(pilot, *"fp8_e", "tab")
        assert editor.value == "fp8_e4m3"
        assert kept(pilot) == {}, "not before it is accepted"
        await press(pilot, "down")
        assert editor.value == "fp8_e5m2"
        await press(pilot, "up", "enter")
        assert kept(pilot) == {"kv_cache_dtype": "fp8_e4m3"}
        assert not choices(pilot).display and pilot.app.focused is pilot.app.screen.query_one(FieldList)


async def test_typing_on_narrows_the_choices_and_escape_drops_all(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await edit(pilot, "kv_cache_dtype")
        await press(pilot, "b")
        assert lines_with(pilot, "bfloat16") and not lines_with(pilot, "fp8_e5m2")
        await press(pilot, "tab")
        assert lines_with(pilot, "--kv-cache-dtype bfloat16")
        await press(pilot, "escape")
        assert kept(pilot) == {} and not choices(pilot).display
        assert lines_with(pilot, "--kv-cache-dtype auto")


async def test_a_click_takes_a_choice_and_typing_goes_on(open_app: Pilots) -> None:
    async with open_app() as pilot:
        editor = await edit(pilot, "kv_cache_dtype")
        await press(pilot, *"fp8_")
        await pilot.click("#form-choices", offset=(3, 1))
        await pilot.pause()
        assert editor.has_focus and editor.value.startswith("fp8_")
        taken = editor.value
        await press(pilot, "enter")
        assert kept(pilot) == {"kv_cache_dtype": taken}


async def test_where_there_are_no_choices_tab_keeps_the_value_and_goes_to_the_next_field(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await edit(pilot, "port")
        await press(pilot, *"9000", "tab")
        form = pilot.app.screen.query_one(FieldList)
        assert kept(pilot) == {"port": "9000"}
        assert form.has_focus and form.current is not None and form.current.key == "host"


@SIZES
async def test_a_key_is_completed_then_its_value(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "o", "a", *"tool_call", "tab")
        editor = pilot.app.screen.query_one(FieldEditor)
        assert editor.value == "tool_call_parser="
        assert lines_with(pilot, "tool_call_parser=hermes") or lines_with(pilot, "tool_call_parser=deepseek")
        await press(pilot, *"herm", "tab", "enter", "y")
        assert kept(pilot) == {"extra_flags": "--tool-call-parser hermes"}


async def test_enter_on_a_key_asks_for_its_value(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o", "a", *"seed", "enter")
        editor = pilot.app.screen.query_one(FieldEditor)
        assert editor.has_focus and editor.value == "seed=" and kept(pilot) == {}
        await press(pilot, "7", "enter", "y")
        assert kept(pilot) == {"extra_flags": "--seed 7"}


async def test_a_flag_may_be_typed_for_a_key(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o", "a", *"--max-num-seqs=8", "enter", "y")
        assert kept(pilot) == {"extra_flags": "--max-num-seqs 8"}


async def test_what_is_no_key_is_told_and_stays_to_be_mended(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "o", "a", *"two words=1", "enter")
        assert lines_with(pilot, "two words is not a valid key")
        assert pilot.app.screen.query_one(FieldEditor).has_focus and kept(pilot) == {}
        await press(pilot, "escape")
        assert not lines_with(pilot, "is not a valid key") and kept(pilot) == {}


async def test_choices_of_the_search_can_be_clicked(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"fits:", "tab")
        await pilot.click("#choices", offset=(3, 1))
        await pilot.pause()
        assert lines_with(pilot, "fits:tight")
        assert pilot.app.focused is pilot.app.screen.query_one("#search")
