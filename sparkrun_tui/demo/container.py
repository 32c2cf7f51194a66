"""A simulated container: its configuration, its files, its log and its end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import field
from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo.clock import Clock, News

SIGTERM, SIGKILL = 15, 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a container's log: Unix nanoseconds, `stdout` or `stderr`, and its bytes with the line's end."""

    stamp: int
    stream: str
    data: bytes


@dataclass(slots=True)
class Execution:
    """A command in a container, as `docker exec` runs it."""

    id: str
    container: Container
    argv: tuple[str, ...]
    code: int | None = None
    output: bytes = b""
    task: asyncio.Task[None] | None = None

    @property
    def running(self) -> bool:
        """Whether it has begun and has not ended."""
        return self.task is not None and self.code is None


@dataclass(slots=True, eq=False)
class Container:
    """One container of a simulated host. Times are Unix seconds, `memory` is bytes."""

    name: str
    body: Mapping[str, Any]
    clock: Clock
    id: str = field(default_factory=lambda: secrets.token_hex(32))
    state: str = "created"
    created: float = 0.0
    started: float | None = None
    finished: float | None = None
    code: int = 0
    oom_killed: bool = False
    memory: int = 0
    serving: bool = False
    """Whether its engine serves, so that it handles SIGTERM."""
    busy: float = 0.0
    """How busy its engine keeps the GPU, from 0 to 1, while it serves."""
    term: asyncio.Event = field(default_factory=asyncio.Event)
    """Set by SIGTERM."""
    files: dict[str, bytes] = field(default_factory=dict)
    folders: set[str] = field(default_factory=set)
    log: list[Entry] = field(default_factory=list)
    executions: dict[str, Execution] = field(default_factory=dict)
    ports: set[int] = field(default_factory=set)
    task: asyncio.Task[None] | None = None
    news: News = field(default_factory=News)

    @property
    def labels(self) -> Mapping[str, str]:
        """The labels it was created with."""
        found = self.body.get("Labels") or {}
        return found if isinstance(found, Mapping) else {}

    @property
    def image(self) -> str:
        """The name of its image."""
        return str(self.body.get("Image") or "")

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.state == "running"

    def text(self, path: str) -> str:
        """A file's text; empty when there is none."""
        return self.files.get(path, b"").decode("utf-8", "replace")

    def say(self, text: str, stream: str = "stdout") -> None:
        """Add lines to its log, one nanosecond apart."""
        stamp = int(self.clock.now() * 1e9)
        if self.log and stamp <= self.log[-1].stamp:
            stamp = self.log[-1].stamp + 1
        for number, line in enumerate(text.split("\n")):
            self.log.append(Entry(stamp + number, stream, line.encode() + b"\n"))
        self.news.changed()

    def begin(self) -> None:
        """Set it to running."""
        self.state, self.started = "running", self.clock.now()
        self.news.changed()

    def end(self, code: int) -> None:
        """Set it to ended and free its memory and ports; its execs end, too."""
        if not self.running:
            return
        self.state, self.code, self.finished = "exited", code, self.clock.now()
        self.memory, self.serving = 0, False
        self.ports.clear()
        for execution in self.executions.values():
            if execution.running:
                execution.code = 137
                if execution.task is not None and execution.task is not _current():
                    execution.task.cancel()
        self.news.changed()

    def kill(self) -> None:
        """End it immediately, as SIGKILL does."""
        if self.running:
            if self.task is not None and self.task is not _current():
                self.task.cancel()
            self.end(128 + SIGKILL)

    async def stop(self, grace: float) -> None:
        """Ask it to end, and kill it when it has not ended within `grace` seconds."""
        if not self.running:
            return
        self.term.set()
        self.news.changed()
        loop = asyncio.get_running_loop()
        deadline = loop.time() + grace / self.clock.speed
        while self.running and loop.time() < deadline:
            change = self.news.next()
            try:
                async with asyncio.timeout_at(deadline):
                    await change.wait()
            except TimeoutError:
                break
        self.kill()

    def matches(self, wanted: Sequence[str]) -> bool:
        """Whether it has all these labels (`key` or `key=value`)."""
        for text in wanted:
            key, equals, value = text.partition("=")
            if key not in self.labels or (equals and self.labels[key] != value):
                return False
        return True


def _current() -> asyncio.Task[Any] | None:
    return asyncio.current_task()
