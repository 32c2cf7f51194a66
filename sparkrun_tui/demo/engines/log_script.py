"""The steps of a simulated start-up log: a wait, lines, and the memory in use from then on."""

from __future__ import annotations

import time
from collections.abc import Callable

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.demo.clock import Clock

NOW = "{now}"
"""The placeholder for the time at which a line is printed, in the engine's format."""


RAY_NOW = "{ray now}"
"""The same in Ray's format."""


@dataclass(frozen=True, slots=True)
class LogStep:
    """After `after` seconds `text` is printed, if not empty; then `memory` bytes are in use on each host, if given."""

    after: float
    text: str
    stream: str = "stdout"
    memory: int | None = None


def gib(size: float, digits: int = 2) -> str:
    """Bytes as a number of GiB without a unit, the way engines print them."""
    return f"{size / GIB:.{digits}f}"


Stamp = Callable[[float, float], str]
"""Formats a time for an engine, from Unix seconds and the seconds since the engine began."""


def filled(text: str, stamp: Stamp, clock: Clock, started: float) -> str:
    """A text with the time in place of its placeholders; `started` is the Unix time at which the engine began."""
    now = clock.now()
    if RAY_NOW in text:
        text = text.replace(
            RAY_NOW, time.strftime("%Y-%m-%d %H:%M:%S,", time.localtime(now)) + f"{now % 1 * 1000:03.0f}"
        )
    if NOW not in text:
        return text
    return text.replace(NOW, stamp(now, (now - started) * clock.speed))
