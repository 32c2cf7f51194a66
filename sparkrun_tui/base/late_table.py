"""A table whose values are made when they are first asked for: most commands need few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Generic, TypeVar

T = TypeVar("T")


class LateTable(MutableMapping[str, T], Generic[T]):
    """A mapping of known keys; the value of each is made once, by its maker."""

    def __init__(self, makers: Mapping[str, Callable[[], T]]) -> None:
        self._makers = dict(makers)
        self._made: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        """The value. Raises `KeyError` for a key that the table does not have."""
        if key not in self._made:
            self._made[key] = self._makers[key]()
        return self._made[key]

    def __setitem__(self, key: str, value: T) -> None:
        """Put a value in, behind the others where the key is new."""
        self._makers[key] = lambda: value
        self._made[key] = value

    def __delitem__(self, key: str) -> None:
        """Take a key out."""
        del self._makers[key]
        self._made.pop(key, None)

    def __contains__(self, key: object) -> bool:
        """Whether the table has the key; nothing is made."""
        return key in self._makers

    def __iter__(self) -> Iterator[str]:
        """The keys in their order; nothing is made."""
        return iter(self._makers)

    def __len__(self) -> int:
        """The number of keys."""
        return len(self._makers)
