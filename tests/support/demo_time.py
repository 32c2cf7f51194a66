"""Time that passes only when the demo waits for it, so that what a picture shows of it is the same on every machine.

The demo runs on real sockets and threads. Its clock stands still while a thread works or a socket has news, and jumps
to the next thing that is due when neither does.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest

Result = TypeVar("Result")

START = 1_795_514_400.0
"""When the demo begins: 2026-11-24 10:00:00 UTC."""

_GRACE = 0.001
"""Seconds that a byte may take from one socket of this process to another."""


class _StandingSelector(selectors.DefaultSelector):
    """Where an event loop would wait for time to pass, the clock jumps, unless a thread is still at work."""

    def __init__(self, busy: Callable[[], bool]) -> None:
        super().__init__()
        self.now = 0.0
        self._busy = busy

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        while self._busy():
            ready = super().select(0.01)
            if ready:
                return ready
        ready = super().select(_GRACE)
        if not ready:
            self.now += timeout
        return ready


class DemoLoop(asyncio.SelectorEventLoop):
    """An event loop with a clock of its own, which waits for the threads that were begun on it."""

    def __init__(self) -> None:
        self._before = set(threading.enumerate())
        self._running = 0
        self._standing = _StandingSelector(self._busy)
        super().__init__(self._standing)

    def time(self) -> float:
        return self._standing.now

    def run_in_executor(self, executor: Any, work: Any, *arguments: Any) -> asyncio.Future[Any]:
        future = super().run_in_executor(executor, work, *arguments)
        self._running += 1
        future.add_done_callback(self._ended)
        return future

    def _ended(self, _future: object) -> None:
        self._running -= 1

    def _busy(self) -> bool:
        """Whether work goes on in a thread: one of the loop's own pool, or one that was started beside it."""
        if self._running:
            return True
        new = set(threading.enumerate()) - self._before
        return any(not thread.name.startswith("asyncio_") for thread in new)


def run_on_demo_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every `asyncio.run` of a test, and all that asks for the time meanwhile, live on a clock from `START`."""
    loops: list[DemoLoop] = []

    def new_loop() -> DemoLoop:
        loops.append(DemoLoop())
        return loops[-1]

    def run(main: Coroutine[Any, Any, Result], **options: Any) -> Result:
        with asyncio.Runner(loop_factory=new_loop) as runner:
            return runner.run(main)

    def passed() -> float:
        return loops[-1].time() if loops else 0.0

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(asyncio, "run", run)
    monkeypatch.setattr(time, "time", lambda: START + passed())
    for name in ("monotonic", "perf_counter"):
        monkeypatch.setattr(time, name, passed)
    for name in ("textual._time.get_time", "textual._wait.monotonic"):
        monkeypatch.setattr(name, passed)
    # The pilot waits until this process rests; here it always does by the time that the clock moves on.
    monkeypatch.setattr("textual._wait.process_time", lambda: 0.0)
