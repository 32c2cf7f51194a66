"""Panes that are hidden, resized by keys and by dragging, and found so again; help that is filtered; themes; signs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest
from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.pilot import Pilot

import sparkrun_tui
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.ascii_only import AsciiOnly
from sparkrun_tui.ui.widgets.log.view import LogView

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .test_logs import watch


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    """The app, typed."""
    return cast(SparkrunApp, pilot.app)


async def drag(pilot: Pilot[int], start: tuple[int, int], end: tuple[int, int]) -> None:
    """Press the button at one place and let it go at another."""
    await pilot.mouse_down(offset=start)
    await pilot.hover(offset=((start[0] + end[0]) // 2, (start[1] + end[1]) // 2))
    await pilot.hover(offset=end)
    await pilot.mouse_up(offset=end)
    await pilot.pause()


@pytest.mark.parametrize(("size", "wide"), [((120, 40), True), ((80, 24), False)])
async def test_the_border_of_the_list_is_dragged_and_its_place_is_kept(
    open_app: Pilots, size: tuple[int, int], wide: bool
) -> None:
    async with open_app(size) as pilot:
        panel = pilot.app.screen.query_one("#list-panel")
        edge = (panel.region.right - 1, panel.region.y + 3) if wide else (5, panel.region.bottom - 1)
        there = (edge[0] + 12, edge[1]) if wide else (5, edge[1] + 4)
        await drag(pilot, edge, there)
        now = panel.region
        assert abs((now.right - 1 if wide else now.bottom - 1) - (there[0] if wide else there[1])) <= 1
        app_of(pilot).persistence.keep()
        kept = now.size
    async with open_app(size) as pilot:
        assert pilot.app.screen.query_one("#list-panel").region.size == kept


@pytest.mark.parametrize("size", [(140, 45), (80, 30)])
async def test_the_first_log_is_dragged_larger(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await watch(pilot, "hello", hosts=("spark-1", "spark-2"))
        head, worker = [one for one in pilot.app.screen.query(LogView) if one.display]
        if head.region.y == worker.region.y:
            before = head.size.width
            await drag(pilot, (head.region.right, head.region.y + 4), (head.region.right + 10, head.region.y + 4))
            assert head.size.width > before
        else:
            before = head.size.height
            await drag(pilot, (4, worker.region.y), (4, worker.region.y + 3))
            assert head.size.height > before


async def test_hidden_panes_stay_hidden_and_come_back(open_app: Pilots) -> None:
    async with open_app((120, 40)) as pilot:
        await press(pilot, "z")
        assert not lines_with(pilot, "Recipes 4 of 4") and lines_with(pilot, "─ Overrides")
        app_of(pilot).persistence.keep()
    async with open_app((120, 40)) as pilot:
        assert not lines_with(pilot, "Recipes 4 of 4") and lines_with(pilot, "─ Overrides")
        assert pilot.app.focused is not None, "a pane that is in sight has the focus"
        await press(pilot, "slash", *"beta")
        assert lines_with(pilot, "Recipes 1 of 4")


async def test_the_form_is_a_tab_when_it_is_hidden(open_app: Pilots) -> None:
    async with open_app((140, 45)) as pilot:
        assert lines_with(pilot, "─ Overrides") and not lines_with(pilot, "[Overview]")
        await press(pilot, "F")
        assert not lines_with(pilot, "─ Overrides") and lines_with(pilot, "Overrides   Memory")
        await press(pilot, "o")
        assert lines_with(pilot, "[Overrides]") and pilot.app.focused is not None and pilot.app.focused.id == "form"
        app_of(pilot).persistence.keep()
    async with open_app((140, 45)) as pilot:
        assert lines_with(pilot, "[Overview]")


async def test_help_is_filtered_by_words_and_by_key(open_app: Pilots) -> None:
    async with open_app((100, 40)) as pilot:
        await press(pilot, "question_mark", "slash", *"favourite")
        shown = screen_text(pilot)
        assert "Make this recipe" in shown and "Show earlier launches" not in shown
        await press(pilot, "escape", "f")
        assert lines_with(pilot, "Show what is running")
        await press(pilot, *"zzz")
        assert lines_with(pilot, "no key does that here")
        await press(pilot, "escape", "escape", "escape")
        assert not lines_with(pilot, "╭─ Help")


async def test_a_theme_is_shown_before_it_is_chosen(open_app: Pilots) -> None:
    async with open_app((100, 30)) as pilot:
        app = app_of(pilot)
        before = app.theme
        await press(pilot, "ctrl+p", *"theme gruvbox")
        await until(pilot, lambda: lines_with(pilot, "theme gruvbox"))
        await press(pilot, "down")
        await until(pilot, lambda: app.theme == "gruvbox")
        await press(pilot, "escape")
        await until(pilot, lambda: app.theme == before)
        app.persistence.keep()
        await press(pilot, "ctrl+p", *"theme gruvbox")
        await until(pilot, lambda: lines_with(pilot, "theme gruvbox"))
        await press(pilot, "down")
        await until(pilot, lambda: app.theme == "gruvbox")
        await press(pilot, "enter", "enter")
        await settle(pilot)
        assert app.theme == "gruvbox"
        app.persistence.keep()
    async with open_app((100, 30)) as pilot:
        assert pilot.app.theme == "gruvbox"


def shown_on_console(pilot: Pilot[int]) -> str:
    """What the terminal gets, behind all filters."""
    app = app_of(pilot)
    ground = app.screen.background_colors[1]
    rows = []
    for strip in app.screen._compositor.render_strips():
        for line_filter in app.get_line_filters():
            strip = strip.apply_filter(line_filter, ground)
        rows.append("".join(segment.text for segment in strip))
    return "\n".join(rows)


@pytest.mark.parametrize("way", [(), ("p",), ("f",), ("m",), ("w",), ("S",), ("question_mark",)])
async def test_the_console_of_linux_gets_ascii_alone(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch, way: tuple[str, ...]
) -> None:
    monkeypatch.setitem(os.environ, "TERM", "linux")
    async with open_app((100, 30)) as pilot:
        await press(pilot, *way)
        await settle(pilot)
        drawn = shown_on_console(pilot)
        assert "sparkrun-tui" in drawn
        assert drawn.isascii(), sorted({letter for letter in drawn if not letter.isascii()})


async def test_other_terminals_get_all_signs(open_app: Pilots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TERM", "xterm-256color")
    async with open_app((100, 30)) as pilot:
        assert "│" in shown_on_console(pilot)


def test_every_sign_of_the_interface_has_one_of_ascii() -> None:
    """Each takes one cell, so that nothing moves."""
    missing = set()
    for path in (Path(sparkrun_tui.__file__).parent / "ui").rglob("*.py"):
        if path.name == "ascii_only.py":
            continue
        signs = {letter for letter in path.read_text(encoding="utf-8") if not letter.isascii()}
        segments = [Segment(letter) for letter in sorted(signs)]
        drawn = AsciiOnly().apply(segments, Color(0, 0, 0))
        missing |= {before.text for before, after in zip(segments, drawn, strict=True) if not after.text.isascii()}
        assert [cell_len(one.text) for one in drawn] == [cell_len(one.text) for one in segments]
    assert not missing
