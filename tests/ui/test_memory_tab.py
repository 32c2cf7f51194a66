"""Proposals on their numbers, the memory in figures, the plot of context against memory, the command as arguments."""

from __future__ import annotations

from typing import cast

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import ContextCurve, HostMemory, HostPicture, Part
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.ink import Line, text_of, width_of
from sparkrun_tui.ui.paint.recipe.command_view import argv_lines
from sparkrun_tui.ui.paint.recipe.context_plot import plot_lines, tokens_word
from sparkrun_tui.ui.paint.recipe.memory_bar import gib
from sparkrun_tui.ui.paint.recipe.memory_tab import memory_lines, table
from sparkrun_tui.ui.screens.browse import BrowseScreen
from tests.memory.models import DENSE, facts

from .conftest import Pilots, lines_with, press, screen_text

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])
LINEAR = tuple((n * 1000, n * GIB) for n in range(1, 11))


def texts(lines: list[Line]) -> list[str]:
    return [text_of(line) for line in lines]


def picture(free: int | None = 10 * GIB) -> HostPicture:
    host = HostMemory("spark-1", 120 * GIB, None, False, "probed now")
    parts = (
        Part("weights", 40 * GIB, 39 * GIB, 41 * GIB, "headers"),
        Part("kv", 1000, 1000, 1000, "what the budget leaves"),
    )
    return HostPicture(host, parts, 100 * GIB, free, 4 * GIB, 8 * GIB)


@SIZES
async def test_a_number_applies_its_suggestion_and_undo_takes_it_back(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        screen = cast(BrowseScreen, pilot.app.screen)
        await press(pilot, "o")
        screen.detail.form.select("gpu_memory_utilization")
        await press(pilot, "enter", *"0.17", "enter", "escape")
        offered = screen.detail.suggestions
        assert len(offered) > 1
        await press(pilot, "m")
        second = offered[1].changes[0]
        assert lines_with(pilot, f"2 {second.key} {second.old or 'unset'} → {second.new}"[:28])
        before = screen.detail.evaluation
        await press(pilot, "2")
        overrides = app.state.edits_of(app.state.selected).overrides
        assert overrides[second.key] == second.new
        after = screen.detail.evaluation
        assert before and after and after.estimate != before.estimate
        await press(pilot, "o", "u")
        assert app.state.edits_of(app.state.selected).overrides == {"gpu_memory_utilization": "0.17"}


async def test_a_number_without_a_proposal_says_so(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "7")
        said = [notification.message for notification in pilot.app._notifications]
        assert [text for text in said if "suggest" in text]
        app = cast(SparkrunApp, pilot.app)
        assert not app.state.has_overrides(app.state.selected)


@SIZES
async def test_the_memory_tab_tells_every_part_with_its_source(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "m")
        assert lines_with(pilot, "[Memory]")
        assert lines_with(pilot, "probed at")
        screen = cast(BrowseScreen, pilot.app.screen)
        part = screen.detail.query_one("#part")
        shown = texts(list(part.lines))  # type: ignore[attr-defined]
        for word in ("weights", "KV cache", "budget", "left", "memory by context", "▲ now: 32,768 tokens"):
            assert [text for text in shown if word in text], word
        part.focus()
        await press(pilot, "G")
        assert lines_with(pilot, "longest that fits") or lines_with(pilot, "alpha.yaml")


@SIZES
async def test_the_command_is_shown_as_arguments_and_back(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await press(pilot, "v")
        rows = [row.strip("│╭╮╯╰─ ▐") for row in screen_text(pilot).splitlines()]
        assert any(row.endswith("--max-model-len") for row in rows)
        assert any(row.endswith("32768") and "max" not in row for row in rows)
        await press(pilot, "v")
        assert lines_with(pilot, "--max-model-len 32768")


def test_arguments_are_quoted_and_what_cannot_be_split_is_said() -> None:
    assert texts(list(argv_lines(("vllm", "--x", '{"a": 1}'), 40))) == ["vllm", "--x", "'{\"a\": 1}'"]
    assert "cannot be split" in text_of(argv_lines((), 40)[0])


def test_the_plot_draws_the_curve_the_room_and_the_present_context() -> None:
    drawn = texts(plot_lines(ContextCurve(LINEAR, 5 * GIB, 5000), 3000, 60, 8))
    assert all(width_of([(row, "")]) <= 60 for row in drawn)
    assert [row for row in drawn if "5.0 │" in row and "─" in row]
    assert [row for row in drawn if "▲ 3k" in row]
    assert "room for the cache: 5.0 GiB" in "\n".join(drawn)
    assert "▲ now: 3,000 tokens, 3.00 GiB" in drawn
    assert drawn[-1] == "  longest that fits: 5,000 tokens"


def test_what_does_not_fit_has_another_shade_than_what_does() -> None:
    lines = plot_lines(ContextCurve(LINEAR, 5 * GIB, 5000), 10_000, 60, 8)
    bottom = lines[7]
    assert "█" in text_of(bottom) and "▒" in text_of(bottom)
    assert text_of(bottom).index("▒") > text_of(bottom).index("█")


def test_a_room_far_above_the_curve_is_told_and_not_drawn() -> None:
    drawn = texts(plot_lines(ContextCurve(LINEAR, 900 * GIB, 10_000), 10_000, 60, 8))
    assert not [row for row in drawn[:8] if "─" in row]
    assert "900.0 GiB" in "\n".join(drawn)


@pytest.mark.parametrize("context", [None, 1, 5000, 9990, 10_000, 50_000])
@pytest.mark.parametrize("width", [12, 33, 80, 140])
def test_the_plot_keeps_to_any_width(context: int | None, width: int) -> None:
    for pool in (None, 0, GIB, 100 * GIB):
        for line in plot_lines(ContextCurve(LINEAR, pool, None), context, width):
            assert width_of(line) <= width


def test_the_axis_stands_whatever_the_figures(curve: tuple[tuple[int, int], ...] = LINEAR) -> None:
    for factor in (1, 20, 5000):
        drawn = texts(plot_lines(ContextCurve(tuple((n, size * factor) for n, size in curve), None, None), None, 40))
        assert {row[6] for row in drawn[:8]} == {"│"}


def test_tokens_are_told_shortly() -> None:
    assert [tokens_word(n) for n in (512, 32_768, 262_144, 1_048_576)] == ["512", "33k", "262k", "1.0M"]


def test_the_table_has_bands_and_sources_wide_and_narrow() -> None:
    wide = texts(table(picture(), 100))
    assert wide[1].split() == ["weights", "40.0", "GiB", "39.0", "to", "41.0", "headers"]
    narrow = texts(table(picture(), 33))
    assert narrow[1].split() == ["weights", "40.0", "39.0–41.0"]
    assert all(len(row) <= 33 for row in narrow)
    assert narrow[2].strip() == "headers"
    assert texts(table(picture(None), 100))[-1].split()[:3] == ["left", "?", "GiB"]


def test_little_is_never_told_as_nothing() -> None:
    assert gib(0) == "0.0"
    assert gib(1000) == "<0.1"
    assert gib(0.06 * GIB) == "0.1"


@pytest.mark.parametrize("width", [40, 80])
def test_the_speed_of_one_request_stands_below_the_figures(width: int) -> None:
    found = estimate(facts(DENSE), EngineSettings("vllm", max_model_len=8192), [assumed_spark("spark-1")])
    lines = ["".join(text for text, _ in line) for line in memory_lines(found, (), None, width)]
    assert any("tokens/s for one request" in line for line in lines)
    assert max(map(len, lines)) <= width
