"""The pieces that a simulated start-up log is made of: a wait, lines, and what memory is in use from then on."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock

NOW = "{now}"
"""Stands for the moment at which a line is printed, in the engine's own way of writing it."""


RAY_NOW = "{ray now}"
"""The same, as Ray writes it."""


@dataclass(frozen=True, slots=True)
class LogStep:
    """After `after` seconds a text is printed, if there is one; then `memory` is in use on each host (if given)."""

    after: float
    text: str
    stream: str = "stdout"
    memory: int | None = None


def gib(size: float, digits: int = 2) -> str:
    """Bytes as a bare number of GiB, the way engines print them."""
    return f"{size / GIB:.{digits}f}"


Stamp = Callable[[float, float], str]
"""Writes a moment in an engine's own way, from Unix seconds and the seconds since the engine began."""


def filled(text: str, stamp: Stamp, clock: Clock, started: float) -> str:
    """A text with the moment put in; `started` is when the engine began, Unix seconds."""
    now = clock.now()
    if RAY_NOW in text:
        text = text.replace(
            RAY_NOW, time.strftime("%Y-%m-%d %H:%M:%S,", time.localtime(now)) + f"{now % 1 * 1000:03.0f}"
        )
    if NOW not in text:
        return text
    return text.replace(NOW, stamp(now, (now - started) * clock.speed))
