"""How the stand-in shall behave, from the environment."""

from __future__ import annotations

import os
import time

MODES = ("ok", "oom", "kv", "load", "busy", "hang", "crash_after", "first_token")


def name() -> str:
    """The mode; an unknown one is an error of the test, so it must not pass."""
    chosen = os.environ.get("STANDIN_MODE", "ok").partition(":")[0]
    if chosen not in MODES:
        raise SystemExit(f"engine stand-in: unknown STANDIN_MODE {chosen!r}")
    return chosen


def seconds() -> float:
    """The number after the mode's colon."""
    return float(os.environ.get("STANDIN_MODE", "").partition(":")[2] or 0)


def nap(duration: float) -> None:
    """Work for a while."""
    time.sleep(duration * float(os.environ.get("STANDIN_SLOW", "1")))
