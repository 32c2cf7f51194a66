"""Every theme reads: text, quiet text, lines and bars stand out, and what is told by colour has a shape as well."""

from __future__ import annotations

import pytest
from rich.color import ColorSystem
from rich.style import Style
from textual.color import Color
from textual.pilot import Pilot
from textual.theme import BUILTIN_THEMES

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.theme_variables import FILL, TEXT, contrast, looks, readable

from .conftest import Pilots, press, screen_text

TRUECOLOR = sorted(name for name, theme in BUILTIN_THEMES.items() if not theme.ansi)
TEXTS = ("quiet", "ink-good", "ink-tight", "ink-bad", "ink-accent", "ink-extra")
BARS = ("fill-weights", "fill-kv", "fill-engine", "fill-others", "focus")


def variables_of(name: str) -> dict[str, str]:
    theme = BUILTIN_THEMES[name]
    return {**theme.to_color_system().generate(), **theme.variables}


def style_of(pilot: Pilot[int], text: str, beside: str = "") -> Style:
    """How the terminal shows the first piece of text that holds `text`, on a line that holds `beside`."""
    for strip in pilot.app.screen._compositor.render_strips():
        if beside not in strip.text:
            continue
        for segment in strip:
            if text in segment.text and segment.style is not None:
                return segment.style
    raise AssertionError(f"{text!r} is not on the screen")


@pytest.mark.parametrize("name", TRUECOLOR)
def test_texts_and_bars_stand_out_in_every_theme(name: str) -> None:
    variables = variables_of(name)
    found = {key: Color.parse(value) for key, value in looks(variables, ansi=False).items()}
    background = Color.parse(variables["background"])
    own = contrast(Color.parse(variables["foreground"]), background)
    for key in TEXTS:
        assert contrast(found[key], background) >= min(TEXT, own * 0.75), key
        assert contrast(found[key], found["cursor-low"]) >= min(TEXT, own * 0.6), key
    for key in BARS:
        assert contrast(found[key], background) >= FILL, key
    assert contrast(found["cursor-ink"], Color.parse(variables["block-cursor-background"])) >= TEXT
    assert contrast(found["line"], background) >= 1.5
    assert contrast(found["cursor-low"], background) >= 1.1


def test_a_colour_that_reads_is_left_alone_and_one_that_does_not_is_moved_no_further_than_needed() -> None:
    white, orange = Color(255, 255, 255), Color.parse("#ffa62b")
    assert readable(Color(0, 0, 0), [white], TEXT) == Color(0, 0, 0)
    moved = readable(orange, [white], TEXT)
    assert TEXT <= contrast(moved, white) < TEXT + 1


XTERM = {"green": (0, 205, 0), "yellow": (205, 205, 0), "bright_blue": (92, 92, 255), "bright_red": (255, 0, 0)}
CONSOLE = {"green": (0, 170, 0), "yellow": (170, 85, 0), "bright_blue": (85, 85, 255), "bright_red": (255, 85, 85)}


@pytest.mark.parametrize("palette", [XTERM, CONSOLE])
def test_every_ink_of_the_terminals_own_colours_can_be_read_on_black(palette: dict[str, tuple[int, int, int]]) -> None:
    found = looks(variables_of("ansi-dark"), ansi=True, dark=True)
    for name, ink in found.items():
        if name.startswith("ink-"):
            color = palette[ink.removeprefix("ansi_")]
            assert contrast(Color(*color), Color(0, 0, 0)) >= 3.9, (name, ink)


@pytest.mark.parametrize(("name", "bad"), [("ansi-dark", "ansi_bright_red"), ("ansi-light", "ansi_red")])
def test_the_terminals_own_colours_are_taken(name: str, bad: str) -> None:
    variables = variables_of(name)
    found = looks(variables, ansi=True, dark=name == "ansi-dark")
    assert found["ink-bad"] == bad
    assert found["quiet"] == "ansi_default"
    assert all(value.startswith("ansi_") for value in found.values())


async def test_what_is_said_can_be_read_and_its_weight_shows_without_colour(open_app: Pilots) -> None:
    async with open_app(toasts=True) as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        app.say("just a note")
        app.say("better look", "warning")
        app.say("that failed", "error")
        while "that failed" not in screen_text(pilot):
            await pilot.pause(0.05)
        style = style_of(pilot, "just a note")
        assert style.color and style.bgcolor and style.color.triplet and style.bgcolor.triplet
        assert contrast(Color(*style.color.triplet), Color(*style.bgcolor.triplet)) >= TEXT
        assert style_of(pilot, "! better look")
        assert style_of(pilot, "✗ that failed")


async def test_without_colour_the_place_of_the_cursor_and_the_focus_have_a_shape(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_app() as pilot:
        assert style_of(pilot, "━━━")  # the list has the focus
        await press(pilot, "o")
        assert style_of(pilot, "alpha-8b", beside="▌").underline
        await press(pilot, "escape")
        assert not style_of(pilot, "alpha-8b", beside="▌").underline


async def test_with_the_terminals_own_colours_quiet_text_is_dimmed_by_the_terminal(open_app: Pilots) -> None:
    async with open_app() as pilot:
        pilot.app.theme = "ansi-light"
        await pilot.pause(0.2)
        assert style_of(pilot, "engine").dim
        await press(pilot, "o")
        assert style_of(pilot, "alpha-8b", beside="▌").underline


def colours_on(pilot: Pilot[int]) -> set[tuple[str, str]]:
    """The pairs of text and background, as a terminal with 16 colours gets them, wherever there is text."""
    found: set[tuple[str, str]] = set()
    for strip in pilot.app.screen._compositor.render_strips():
        for segment in strip:
            style = segment.style
            if style is None or not segment.text.strip():
                continue
            pair = [color.downgrade(ColorSystem.STANDARD).name for color in (style.color, style.bgcolor) if color]
            if len(pair) == 2:
                found.add((pair[0], pair[1]))
    return found


@pytest.mark.parametrize("theme", ["ansi-dark", "ansi-light"])
@pytest.mark.parametrize("keys", [(), ("o",), ("question_mark",), ("ctrl+p",), ("w",), ("h",)])
async def test_without_colour_a_terminal_of_16_colours_gets_none(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch, keys: tuple[str, ...], theme: str
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_app() as pilot:
        pilot.app.theme = theme
        await pilot.pause(0.2)
        await press(pilot, *keys)
        assert colours_on(pilot) == {("default", "default")}


async def test_without_colour_the_greys_of_a_theme_are_kept_where_there_are_many(
    open_app: Pilots, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with open_app() as pilot:
        color = style_of(pilot, "engine").color
        assert color and color.triplet and len(set(color.triplet)) == 1
