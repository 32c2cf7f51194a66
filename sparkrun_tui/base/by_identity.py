"""Remembers results for objects by their identity, where comparing the objects would cost more than the result."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

Result = TypeVar("Result")


class ByIdentity(Generic[Result]):
    """The results for the last `most` groups of objects that were asked for.

    The objects are kept with their result, so that no identity is used anew while it counts. They must not be changed.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[tuple[Hashable, ...], tuple[tuple[object, ...], Result]] = {}

    def get(self, objects: tuple[object, ...], values: tuple[Hashable, ...], work: Callable[[], Result]) -> Result:
        """The result for `objects` by identity and `values` by equality; `work` makes it when it is not known."""
        key = (*map(id, objects), *values)
        found = self._known.get(key)
        if found is None:
            found = (objects, work())
            self._known[key] = found
            if len(self._known) > self._most:
                self._known.pop(next(iter(self._known)), None)
        return found[1]
