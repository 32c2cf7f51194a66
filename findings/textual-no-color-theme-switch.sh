#!/usr/bin/env bash
# Textual 8.2.5 chooses what NO_COLOR does by the theme of the start, and keeps it when the theme changes.
#
# Why it matters: an app that first looks how many colours the terminal has, and then takes the theme of the terminal's
# own colours (`ansi-dark`), is black on black where NO_COLOR is set and the terminal has 16 colours.
#
# Seen on Python 3.11 with NO_COLOR=1 (colours as numbers of a terminal that has 16):
#   begins with ansi-dark                         text default, background default
#   begins with textual-dark, then takes ansi-dark   text colour 0, background colour 0
# The second keeps the filter that makes a theme's colours grey. What colours the terminal has is not known to it, and
# both become the same grey, which is black among 16.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${SPARKRUN_PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check textual==8.2.5 rich==14.2.0

cat >"$folder/look.py" <<'PYTHON'
import asyncio
import sys

from rich.color import ColorSystem
from textual.app import App, ComposeResult
from textual.widgets import Static


class Small(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("hello")


def shown(colour) -> str:
    """The number of the colour on a terminal that has 16, or that it is the terminal's own."""
    if colour is None or colour.is_default:
        return "default"
    return f"colour {colour.downgrade(ColorSystem.STANDARD).number}"


async def pair(then: str) -> tuple[str, str]:
    app = Small()
    async with app.run_test(size=(20, 3)) as pilot:
        app.theme = then
        await pilot.pause()
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                if "hello" in segment.text and segment.style is not None:
                    return shown(segment.style.color), shown(segment.style.bgcolor)
    raise SystemExit("the text was not drawn")


text, background = asyncio.run(pair(sys.argv[1]))
print(f"text {text}, background {background}")
PYTHON

look() { NO_COLOR=1 TEXTUAL_THEME=$1 "$folder/venv/bin/python" "$folder/look.py" "$2"; }
began=$(look ansi-dark ansi-dark)
changed=$(look textual-dark ansi-dark)
echo "textual 8.2.5, NO_COLOR=1, text and background on a terminal of 16 colours:"
echo "  begins with ansi-dark:                  $began"
echo "  begins with textual-dark, then the same: $changed"
[ "$began" = "text default, background default" ]
[ "$changed" = "text colour 0, background colour 0" ]
