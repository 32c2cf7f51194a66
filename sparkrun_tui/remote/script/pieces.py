"""A command's output on its way from the wire to its reader: in order, bounded, and over when the command is."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from sparkrun_tui.remote.aio import Turns

_HIGH_WATER = 4 << 20
_LOW_WATER = 1 << 20
_OVERHEAD = 128
"""Bytes of memory that a piece takes beside its data: a host may send its output byte by byte."""
END_GRACE = 1.0
"""Seconds that output may still come after the command itself has ended (a child it left may hold it open)."""


class Pieces:
    """Pieces of output, pushed by the wire and read by one reader. `hold(True)` is called to stop the wire."""

    def __init__(self) -> None:
        self.hold: Callable[[bool], None] = lambda _on: None
        self._queue: deque[tuple[str, bytes]] = deque()
        self._waiting = 0
        self._held = False
        self._closed = False
        self._ended_at: float | None = None
        self._wake = asyncio.Event()
        self._turns = Turns()

    def push(self, stream: str, data: bytes) -> None:
        """Add a piece."""
        self._queue.append((stream, data))
        self._waiting += len(data) + _OVERHEAD
        if self._waiting > _HIGH_WATER and not self._held:
            self._held = True
            self.hold(True)
        self._wake.set()

    def ended(self) -> None:
        """The command itself has ended."""
        self._ended_at = asyncio.get_running_loop().time()
        self._wake.set()

    @property
    def over(self) -> bool:
        """Whether no more will come, and all that came has been read."""
        return self._closed and not self._queue

    def close(self) -> None:
        """No more will come."""
        self._closed = True
        self._wake.set()

    async def read(self) -> tuple[str, bytes] | None:
        """The next piece; None when the output is over. The event loop has its turns also while pieces are waiting."""
        await self._turns.rest()
        while not self._queue:
            if self._closed or not await self._more():
                return None
        stream, data = self._queue.popleft()
        self._waiting -= len(data) + _OVERHEAD
        if self._held and self._waiting < _LOW_WATER:
            self._held = False
            self.hold(False)
        return stream, data

    async def _more(self) -> bool:
        self._wake.clear()
        if self._ended_at is None:
            await self._wake.wait()
            return True
        left = self._ended_at + END_GRACE - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(max(left, 0)):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True
