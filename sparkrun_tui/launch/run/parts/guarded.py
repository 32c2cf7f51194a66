"""What a launch knows of the memory guard on one of its hosts."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.remote.guard.record import GuardRecord


@dataclass(slots=True)
class Guarded:
    """A host with a memory guard. Times are seconds since the host's start, except `asked`."""

    reported: float = 0.0
    """The newest sample of the past that was reported."""
    asked: float | None = None
    """When its record was read last, by the event loop's clock; None before the first time."""
    closed: bool = False
    """Whether the end of its record was reported."""
    warned: bool = False
    """Whether the user was told that it does not guard any more."""
    ended: int = 0
    """How often in a row it was found ended while its container was taken to run."""
    record: GuardRecord | None = None
    """Its record when the container was found ended."""
