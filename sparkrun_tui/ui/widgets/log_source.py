"""What a log view reads: one host's log, or all hosts' merged in order of time; and the search through it."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol

from sparkrun_tui.launch.logs import LogBuffer, LogLine


class LogSource(Protocol):
    """Lines by number; those below `first` have left memory."""

    @property
    def first(self) -> int:
        """The oldest line in memory."""

    @property
    def end(self) -> int:
        """One more than the newest line."""

    def get(self, number: int) -> tuple[str, LogLine]:
        """The host (empty when there is only one) and the line. Raises `IndexError` outside of memory."""


_EMPTY = LogBuffer()


class HostLog:
    """The log of one host; empty until the host has said something."""

    def __init__(self, buffers: Mapping[str, LogBuffer], host: str) -> None:
        self._buffers = buffers
        self._host = host

    @property
    def _buffer(self) -> LogBuffer:
        return self._buffers.get(self._host, _EMPTY)

    @property
    def first(self) -> int:
        """The oldest line in memory."""
        return self._buffer.first

    @property
    def end(self) -> int:
        """One more than the newest line."""
        return self._buffer.end

    def get(self, number: int) -> tuple[str, LogLine]:
        """One line."""
        return "", self._buffer[number]


class MergedLog:
    """All hosts' lines in one order: by time within what arrived together, never reordered afterwards."""

    def __init__(self, buffers: Mapping[str, LogBuffer], capacity: int = 20_000) -> None:
        self._buffers = buffers
        self._capacity = capacity
        self._taken = dict.fromkeys(buffers, 0)
        self._lines: list[tuple[str, LogLine]] = []
        self._end = 0

    @property
    def first(self) -> int:
        """The oldest line in memory."""
        return self._end - len(self._lines)

    @property
    def end(self) -> int:
        """One more than the newest line."""
        return self._end

    def get(self, number: int) -> tuple[str, LogLine]:
        """One line with its host."""
        index = number - self.first
        if index < 0:
            raise IndexError(number)
        return self._lines[index]

    def pull(self) -> None:
        """Take what is new in the hosts' logs."""
        fresh: list[tuple[float, str, LogLine]] = []
        for host, buffer in self._buffers.items():
            start = max(self._taken.get(host, 0), buffer.end - self._capacity)
            fresh += [(line.time, host, line) for line in buffer.since(start)]
            self._taken[host] = buffer.end
        fresh.sort(key=itemgetter(0))
        self._lines += [(host, line) for _, host, line in fresh]
        self._end += len(fresh)
        if len(self._lines) > self._capacity * 5 // 4:
            del self._lines[: -self._capacity]


@dataclass(slots=True)
class Finder:
    """Numbers of the lines that hold a text, found a slice at a time. Capital letters make case count."""

    text: str
    matches: list[int] = field(default_factory=list)
    scanned: int = 0
    _pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        flags = re.NOFLAG if any(letter.isupper() for letter in self.text) else re.IGNORECASE
        self._pattern = re.compile(re.escape(self.text), flags)

    def advance(self, source: LogSource, budget: int = 4000) -> bool:
        """Look at up to `budget` more lines; whether some are left."""
        if self.matches and self.matches[0] < source.first:
            del self.matches[: bisect_left(self.matches, source.first)]
        start = max(self.scanned, source.first)
        stop = min(source.end, start + budget)
        search = self._pattern.search
        for number in range(start, stop):
            if search(source.get(number)[1].text):
                self.matches.append(number)
        self.scanned = stop
        return stop < source.end

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where the text stands in a line."""
        return [match.span() for match in self._pattern.finditer(text)]

    def after(self, number: int) -> int | None:
        """The first match below `number`, going round at the end."""
        if not self.matches:
            return None
        index = bisect_right(self.matches, number)
        return self.matches[index % len(self.matches)]

    def before(self, number: int) -> int | None:
        """The last match above `number`, going round at the beginning."""
        if not self.matches:
            return None
        return self.matches[bisect_left(self.matches, number) - 1]

    def place(self, number: int) -> int:
        """Which match `number` is, from 1."""
        return bisect_right(self.matches, number)
