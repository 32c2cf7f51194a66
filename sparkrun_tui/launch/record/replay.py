"""An earlier launch once more, as it happened: its events and log lines in order, with the pauses between them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.launch.record.events import AnyEvent
from sparkrun_tui.launch.record.journal import log_lines, read_events
from sparkrun_tui.launch.record.logs import LogLine

SPEED = 20.0
"""How much faster than it happened a launch is shown."""

LONGEST = 2.0
"""Seconds of the longest pause that is shown: a launch may have served for a week."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened at Unix time `time`: an event, or a line of a host's log."""

    time: float
    event: AnyEvent | None = None
    host: str = ""
    line: LogLine | None = None


def moments(folder: Path, hosts: tuple[str, ...]) -> Iterator[Moment]:
    """All that the journal in `folder` has of a launch, in order. Events of one moment come before lines."""

    def of_log(host: str) -> Iterator[Moment]:
        # Times of a log may go back a little: they are those of the host's processes.
        latest = 0.0
        for line in log_lines(folder, host):
            latest = max(latest, line.time)
            yield Moment(latest, host=host, line=line)

    def of_events() -> Iterator[Moment]:
        latest = 0.0
        for event in read_events(folder):
            latest = max(latest, event.time)
            yield Moment(latest, event)

    return heapq.merge(of_events(), *(of_log(host) for host in hosts), key=attrgetter("time"))


def timed(found: Iterator[Moment], speed: float = SPEED, longest: float = LONGEST) -> Iterator[tuple[float, Moment]]:
    """Each moment with the seconds to wait before it is shown. With a `speed` of 0 there is nothing to wait for."""
    before: float | None = None
    for moment in found:
        pause = 0.0
        if before is not None and speed > 0:
            pause = min(max(moment.time - before, 0.0) / speed, longest)
        before = moment.time
        yield pause, moment
