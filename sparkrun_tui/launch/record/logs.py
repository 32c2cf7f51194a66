"""A bounded log of one source: the newest lines in memory; whoever writes it keeps every line on disk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

DEFAULT_CAPACITY = 20_000

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class LogLine:
    """One sanitised line: Unix time, stream (`stdout`, `stderr`, `app`) and text."""

    time: float
    stream: str
    text: str


class Numbered(Generic[T]):
    """Items numbered from 0 in order of arrival; those below `first` have left memory."""

    def __init__(self, capacity: int = DEFAULT_CAPACITY) -> None:
        self._capacity = capacity
        self._slack = max(capacity // 4, 1)
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
        """Append items; the oldest leave memory, in batches, beyond the capacity."""
        before = len(self._items)
        self._items.extend(items)
        self._end += len(self._items) - before
        if len(self._items) > self._capacity + self._slack:
            del self._items[: -self._capacity]

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


class LogBuffer(Numbered[LogLine]):
    """The lines of one source.

    Readers keep the number they have read up to and ask for what is newer; nobody is notified per line.
    """
