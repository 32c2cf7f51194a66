"""Colours derived from any theme, so that text, lines and fills have enough contrast with their background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.color import Color, ColorParseError

TEXT = 4.5
"""The contrast of text with its background, as WCAG 2 counts it, where the theme's own text reaches it."""

FILL = 2.2
"""The contrast of a bar's parts with the background."""

_LINE = 1.8
_LOW = 1.18
_STEP = 0.05

_INKS = {
    "ink-good": "text-success",
    "ink-tight": "text-warning",
    "ink-bad": "text-error",
    "ink-accent": "text-primary",
    "ink-extra": "text-accent",
}
_FILLS = {"fill-weights": "primary", "fill-kv": "success", "fill-engine": "warning", "fill-others": "error"}


def luminance(color: Color) -> float:
    """The relative luminance of a colour, from 0 to 1 (WCAG 2)."""
    parts = [part / 255 for part in color.rgb]
    red, green, blue = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: Color, other: Color) -> float:
    """The contrast of two colours, from 1 to 21 (WCAG 2)."""
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def readable(color: Color, grounds: Sequence[Color], wanted: float) -> Color:
    """`color`, or the nearest one towards black or white whose contrast with each of `grounds` is `wanted`."""
    pole = Color(255, 255, 255) if luminance(grounds[0]) < 0.18 else Color(0, 0, 0)
    return _first(color, pole, grounds, wanted)


def _first(start: Color, end: Color, grounds: Sequence[Color], wanted: float, share: float = 0.0) -> Color:
    while share < 1:
        mixed = start.blend(end, share)
        if min(contrast(mixed, ground) for ground in grounds) >= wanted:
            return mixed
        share += _STEP
    return end


_BRIGHT = {"ansi_blue": "ansi_bright_blue", "ansi_red": "ansi_bright_red"}
"""Colours that can hardly be read on black in the palettes of xterm (blue: 2.2) and of Linux' console (red: 2.8)."""


def looks(variables: Mapping[str, str], ansi: bool, dark: bool = True) -> dict[str, str]:
    """The variables that the style sheets use in addition to the theme's own.

    With `ansi` the terminal's own colours are used. They are not known here, so the theme's are taken, on a `dark`
    background the bright ones of those that are too dark, and the style sheets dim text by terminal attributes.
    """
    if ansi:
        terminal = _terminals_own(variables)
        if not dark:
            return terminal
        return {name: _BRIGHT.get(color, color) for name, color in terminal.items()}
    background = _parse(variables["background"], Color(0, 0, 0))
    foreground = _parse(variables["foreground"], readable(background, [background], TEXT), background)
    low = _first(background, foreground, [background], _LOW)
    grounds = [background, low, *(_parse(variables[name], background, background) for name in ("surface", "panel"))]
    reach = min(contrast(foreground, ground) for ground in grounds)
    cursor = _parse(variables["block-cursor-background"], foreground, background)
    found = {
        "quiet": _first(background, foreground, grounds, min(TEXT, reach * 0.75), share=0.5),
        "line": _first(background, foreground, [background], _LINE),
        "cursor-low": low,
        "cursor-ink": max((Color(255, 255, 255), Color(0, 0, 0)), key=lambda ink: contrast(ink, cursor)),
        "bar-ink": readable(foreground, grounds[-1:], TEXT),
        "focus": readable(_parse(variables["border"], foreground, background), [background], FILL),
    }
    for name, own in _INKS.items():
        found[name] = readable(_parse(variables[own], foreground, background), grounds, TEXT)
    for name, own in _FILLS.items():
        found[name] = readable(_parse(variables[own], foreground, background), [background], FILL)
    return {name: color.hex6 for name, color in found.items()}


def _terminals_own(variables: Mapping[str, str]) -> dict[str, str]:
    plain = "ansi_default"
    found = {
        "quiet": plain,
        "line": plain,
        "cursor-low": plain,
        "cursor-ink": variables["block-cursor-foreground"],
        "bar-ink": plain,
        "focus": variables["border"],
    }
    return found | {name: variables[own] for name, own in (*_INKS.items(), *_FILLS.items())}


def _parse(text: str, instead: Color, ground: Color | None = None) -> Color:
    """A colour of the theme as it looks on `ground`; `instead` when it is no fixed colour (such as `auto`)."""
    try:
        color = Color.parse(text)
    except ColorParseError:
        return instead
    if color.a < 1 and ground is not None:
        return ground.blend(color.with_alpha(1), color.a)
    return color
