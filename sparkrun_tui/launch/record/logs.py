"""A bounded log of one source in memory: its newest lines. The journal keeps lines on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Redactor, names_none, without_named
from sparkrun_tui.base.text import log_line

DEFAULT_CAPACITY = 20_000
MOST_CHARACTERS = 8_000_000
"""The most characters of a log in memory; with long lines it has fewer of them."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One sanitised line: Unix time, stream (`stdout`, `stderr` or `app`) and text."""

    time: float
    stream: str
    text: str


def safe_line(line: LogLine, redact: Callable[[str], str]) -> LogLine:
    """A line of a host made safe to show and to keep: without control characters, known secrets and named secrets."""
    text = redact(without_named(log_line(line.text)))
    return line if text == line.text else LogLine(line.time, line.stream, text)


def safe_lines(lines: Iterable[LogLine], redact: Redactor) -> list[LogLine]:
    """Lines that came together, each as `safe_line` makes it."""
    given = list(lines)
    texts = [log_line(line.text) for line in given]
    if not names_none("\n".join(texts)):
        texts = [without_named(text) for text in texts]
    safe = []
    for line, text in zip(given, redact.each(texts), strict=True):
        safe.append(line if text == line.text else LogLine(line.time, line.stream, text))
    return safe


class Numbered(Generic[T]):
    """Items numbered from 0 in order of arrival; those below `first` were dropped.

    At most `capacity` items are kept, plus a sixteenth, with a total weight of at most `heaviest`, plus a quarter.
    """

    def __init__(
        self,
        weigh: Callable[[T], int],
        capacity: int = DEFAULT_CAPACITY,
        heaviest: int = MOST_CHARACTERS,
    ) -> None:
        self._weigh = weigh
        self._capacity = capacity
        self._slack = max(capacity // 16, 1)
        self._heaviest = heaviest
        self._weight = 0
        self._items: list[T] = []
        self._end = 0

    @property
    def first(self) -> int:
        """The number of the oldest item still in memory."""
        return self._end - len(self._items)

    @property
    def end(self) -> int:
        """One more than the number of the newest item."""
        return self._end

    def extend(self, items: Iterable[T]) -> None:
        """Append items; beyond the capacity the oldest are dropped, in batches."""
        before = len(self._items)
        self._items.extend(items)
        self._end += len(self._items) - before
        self._weight += sum(map(self._weigh, self._items[before:]))
        too_many = len(self._items) > self._capacity + self._slack
        too_heavy = self._weight > self._heaviest + self._heaviest // 4
        if too_many or too_heavy:
            self._drop()

    def _drop(self) -> None:
        surplus = max(len(self._items) - self._capacity, 0)
        weight = self._weight - sum(map(self._weigh, self._items[:surplus]))
        while weight > self._heaviest and surplus < len(self._items) - 1:
            weight -= self._weigh(self._items[surplus])
            surplus += 1
        del self._items[:surplus]
        self._weight = weight

    def since(self, number: int) -> list[T]:
        """The items from `number` on that are still in memory."""
        return self.between(number, self._end)

    def between(self, start: int, stop: int) -> list[T]:
        """The items from `start` on and below `stop` that are still in memory."""
        first = self.first
        return self._items[max(start - first, 0) : max(stop - first, 0)]

    def __getitem__(self, number: int) -> T:
        """The item `number`. Raises `IndexError` when it is not in memory."""
        index = number - self.first
        if index < 0:
            raise IndexError(number)
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)


def line_weight(line: LogLine) -> int:
    """The weight of a line: its number of characters."""
    return len(line.text)


class LogBuffer(Numbered[LogLine]):
    """The lines of one source.

    Readers keep the number of the last line they have read and ask for newer ones; they are not notified per line.
    """

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        super().__init__(line_weight, capacity)
