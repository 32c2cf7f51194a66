"""Detached jobs of a simulated host: image pulls, and foreign scripts that print lines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import field

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo.clock import News

Print = Callable[[str], None]


@dataclass(slots=True, eq=False)
class Job:
    """One job: its output so far, and its exit code once it has ended."""

    output: bytearray = field(default_factory=bytearray)
    code: int | None = None
    news: News = field(default_factory=News)
    task: asyncio.Task[None] | None = None

    def begin(self, work: Callable[[Print], Awaitable[int]]) -> None:
        """Start it: `work` gets a function that prints a line, and returns the exit code."""
        self.task = asyncio.create_task(self._run(work))

    def cancel(self) -> None:
        """End it immediately."""
        if self.code is None:
            if self.task is not None:
                self.task.cancel()
            self._end(143)

    def text(self) -> str:
        """Its state as the status script prints it."""
        size = len(self.output)
        if self.code is None:
            return f"running {size}\n"
        return f"ended {size} {self.code}\n"

    async def follow(self, start: int) -> AsyncIterator[bytes]:
        """Its output from byte `start` on, until it ends."""
        while True:
            change = self.news.next()
            if start < len(self.output):
                data = bytes(self.output[start:])
                start += len(data)
                yield data
            elif self.code is not None:
                return
            else:
                await change.wait()

    async def _run(self, work: Callable[[Print], Awaitable[int]]) -> None:
        def say(line: str) -> None:
            self.output += f"{line}\n".encode()
            self.news.changed()

        self._end(await work(say))

    def _end(self, code: int) -> None:
        self.code = code
        self.news.changed()
