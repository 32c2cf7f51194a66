"""Closes nested async iterators, and gives the event loop its turn during long work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeVar

T = TypeVar("T")

TURN = 0.02
"""Seconds of work after which keys, timers and other tasks get their turn."""


class Turns:
    """Counts time, not pieces of work: what a host printed decides how long a piece takes."""

    def __init__(self) -> None:
        self._since = time.perf_counter()

    async def rest(self) -> None:
        """Give the event loop its turn when this one has been long enough. Called after every piece."""
        if time.perf_counter() - self._since >= TURN:
            await asyncio.sleep(0)
            self._since = time.perf_counter()


async def in_turns(items: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """`items`, with a turn for the event loop where reading and handling them has taken long enough.

    What a host has sent already is read without a pause: an SSH channel holds megabytes of it, which are hundreds of
    thousands of items when they are small. Closing it closes `items`.
    """
    turns = Turns()
    async with closing(items) as source:
        async for item in source:
            yield item
            await turns.rest()


@asynccontextmanager
async def closing(items: AsyncIterator[T]) -> AsyncIterator[AsyncIterator[T]]:
    """A context in which `items` is read; at its end `items` is closed where it can be, which frees its resources.

    Closing an outer generator does not close the one that it reads from.
    """
    try:
        yield items
    finally:
        close = getattr(items, "aclose", None)
        if close is not None:
            await close()
