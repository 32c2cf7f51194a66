"""A bounded log of one source: the newest lines in memory; whoever writes it keeps every line on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

DEFAULT_CAPACITY = 20_000


@dataclass(frozen=True, slots=True)
class LogLine:
    """One sanitised line: Unix time, stream (`stdout`, `stderr`, `app`) and text."""

    time: float
    stream: str
    text: str


class LogBuffer:
    """Lines numbered from 0 in order of arrival; those below `first` have left memory.

    Readers keep the number they have read up to and ask for what is newer; nobody is notified per line.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._slack = max(capacity // 4, 1)
        self._lines: list[LogLine] = []
        self._end = 0

    @property
    def first(self) -> int:
        """The number of the oldest line still in memory."""
        return self._end - len(self._lines)

    @property
    def end(self) -> int:
        """One more than the number of the newest line."""
        return self._end

    def extend(self, lines: Iterable[LogLine]) -> None:
        """Append lines; the oldest leave memory, in batches, beyond the capacity."""
        before = len(self._lines)
        self._lines.extend(lines)
        self._end += len(self._lines) - before
        if len(self._lines) > self._capacity + self._slack:
            del self._lines[: -self._capacity]

    def since(self, number: int) -> list[LogLine]:
        """The lines from `number` on that are still in memory."""
        return self._lines[max(number - self.first, 0) :]

    def __getitem__(self, number: int) -> LogLine:
        """The line `number`. Raises `IndexError` when it is not in memory."""
        index = number - self.first
        if index < 0:
            raise IndexError(number)
        return self._lines[index]

    def __len__(self) -> int:
        return len(self._lines)
