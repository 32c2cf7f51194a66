"""Which signs lines over time are drawn with: braille dots, or plain ASCII where the terminal has no others."""

from __future__ import annotations

import locale
import os
from collections.abc import Mapping

from sparkrun_tui.base.records import dataclass

_CONSOLES = ("linux", "cons", "vt", "dumb")
"""How the names of terminals begin whose fonts have few signs."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs of a plot: `levels` from lowest to highest in one row, and the axes."""

    braille: bool
    levels: str
    side: str
    corner: str
    line: str


DOTS = Glyphs(True, "▁▂▃▄▅▆▇█", "│", "└", "─")
ASCII = Glyphs(False, "_.-=*#", "|", "+", "-")


def glyphs_of(environment: Mapping[str, str], encoding: str) -> Glyphs:
    """The signs for a terminal, by its name in `TERM` and the encoding of its text."""
    if environment.get("TERM", "").startswith(_CONSOLES):
        return ASCII
    if "utf" not in encoding.lower():
        return ASCII
    return DOTS


def glyphs_here() -> Glyphs:
    """The signs for the terminal of this process."""
    return glyphs_of(os.environ, locale.getpreferredencoding(False))
