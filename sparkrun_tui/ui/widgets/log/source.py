"""What a log view reads: one host's log, or all hosts' merged in order of time; and the search through it."""

from __future__ import annotations

import re
import time
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import field
from operator import itemgetter
from typing import Protocol

from sparkrun_tui.base.reading.typed_pattern import TypedPattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.logs.levels import LineLevel, level_of
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine, Numbered, line_weight

_SLICE = 0.004
"""Seconds that a search takes at a time, so that the app stays responsive."""

_CHUNK = 1000
_FEW = 100
"""Lines that are taken apart between two looks at the clock."""


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

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts of lines that are in memory."""


_EMPTY = LogBuffer()


class HostLog:
    """The log of one host; empty until its first line."""

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

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts of some lines."""
        return [line.text for line in self._buffer.between(start, stop)]


def _weight(item: tuple[str, LogLine]) -> int:
    return line_weight(item[1])


class MergedLog:
    """All hosts' lines in one order: by time within what arrived together, never reordered afterwards."""

    def __init__(self, buffers: Mapping[str, LogBuffer], capacity: int = 20_000) -> None:
        self._buffers = buffers
        self._capacity = capacity
        self._taken = dict.fromkeys(buffers, 0)
        self._lines: Numbered[tuple[str, LogLine]] = Numbered(_weight, capacity)

    @property
    def first(self) -> int:
        """The oldest line in memory."""
        return self._lines.first

    @property
    def end(self) -> int:
        """One more than the newest line."""
        return self._lines.end

    def get(self, number: int) -> tuple[str, LogLine]:
        """One line with its host."""
        return self._lines[number]

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts of some lines."""
        return [line.text for _, line in self._lines.between(start, stop)]

    def pull(self) -> None:
        """Take the new lines of the hosts' logs."""
        fresh: list[tuple[float, str, LogLine]] = []
        for host, buffer in self._buffers.items():
            start = max(self._taken.get(host, 0), buffer.end - self._capacity)
            fresh += [(line.time, host, line) for line in buffer.since(start)]
            self._taken[host] = buffer.end
        fresh.sort(key=itemgetter(0))
        self._lines.extend((host, line) for _, host, line in fresh)


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Which lines are shown: those of a level and above it, and those in which a pattern is found."""

    least: LineLevel = LineLevel.ALL
    pattern: TypedPattern | None = None

    @property
    def shows_all(self) -> bool:
        """Whether nothing is left out."""
        return self.least is LineLevel.ALL and self.pattern is None

    def passes(self, text: str) -> bool:
        """Whether a line is shown."""
        if self.pattern is not None and not self.pattern.matches(text):
            return False
        return self.least is LineLevel.ALL or level_of(text) >= self.least


class FilteredLog:
    """The lines of a log that pass a filter, with numbers of their own. `advance` looks at new lines."""

    def __init__(self, whole: LogSource, wanted: LineFilter) -> None:
        self.whole = whole
        self._wanted = wanted
        self._numbers: list[int] = []
        self._dropped = 0
        self._scanned = whole.first

    @property
    def first(self) -> int:
        """The oldest line in memory."""
        return self._dropped

    @property
    def end(self) -> int:
        """One more than the newest line."""
        return self._dropped + len(self._numbers)

    def get(self, number: int) -> tuple[str, LogLine]:
        """One line."""
        return self.whole.get(self.number_in_whole(number))

    def number_in_whole(self, number: int) -> int:
        """The number of a line in the whole log. Raises `IndexError` when it is not in memory."""
        if number < self._dropped:
            raise IndexError(number)
        return self._numbers[number - self._dropped]

    def nearest(self, number: int) -> int:
        """The first line from `number` of the whole log on."""
        return self._dropped + bisect_left(self._numbers, number)

    def texts(self, start: int, stop: int) -> list[str]:
        """The texts of some lines."""
        return [self.get(number)[1].text for number in range(max(start, self.first), min(stop, self.end))]

    def advance(self, seconds: float = _SLICE) -> bool:
        """Look at more lines for `seconds`; whether some are left."""
        gone = bisect_left(self._numbers, self.whole.first)
        del self._numbers[:gone]
        self._dropped += gone
        until = time.perf_counter() + seconds
        self._scanned = max(self._scanned, self.whole.first)
        while self._scanned < self.whole.end:
            stop = min(self._scanned + _FEW, self.whole.end)
            for number, text in enumerate(self.whole.texts(self._scanned, stop), self._scanned):
                if self._wanted.passes(text):
                    self._numbers.append(number)
            self._scanned = stop
            if time.perf_counter() >= until:
                break
        return self._scanned < self.whole.end


@dataclass(slots=True)
class Finder:
    """Numbers of the lines that contain a text, found a slice at a time. Case matters if it has a capital letter."""

    text: str
    matches: list[int] = field(default_factory=list)
    scanned: int = 0
    _exact: bool = field(init=False)
    _pattern: re.Pattern[str] = field(init=False)

    def __post_init__(self) -> None:
        self._exact = any(letter.isupper() for letter in self.text)
        self._pattern = re.compile(re.escape(self.text), re.NOFLAG if self._exact else re.IGNORECASE)

    def advance(self, source: LogSource, seconds: float = _SLICE) -> bool:
        """Search more lines for `seconds`; whether some are left."""
        if self.matches and self.matches[0] < source.first:
            del self.matches[: bisect_left(self.matches, source.first)]
        until = time.perf_counter() + seconds
        self.scanned = max(self.scanned, source.first)
        while self.scanned < source.end:
            stop = min(self.scanned + _CHUNK, source.end)
            self._search(self.scanned, source.texts(self.scanned, stop))
            self.scanned = stop
            if time.perf_counter() >= until:
                break
        return self.scanned < source.end

    def _search(self, start: int, texts: list[str]) -> None:
        # `in` is five times as fast as the pattern, which is only needed for the places within a line.
        if self._exact:
            text = self.text
            self.matches += [number for number, line in enumerate(texts, start) if text in line]
        else:
            text = self.text.lower()
            self.matches += [number for number, line in enumerate(texts, start) if text in line.lower()]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """The places of the text in a line, as pairs of start and end."""
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
