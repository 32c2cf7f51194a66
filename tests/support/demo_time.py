"""Time that passes only when the demo waits for it, so that what a picture shows of it is the same on every machine.

The demo runs on real sockets and threads. Its clock stands still while a thread works or a socket has news, and jumps
to the next thing that is due when neither does.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import pytest

Result = TypeVar("Result")

START = 1_795_514_400.0
"""When the demo begins: 2026-11-24 10:00:00 UTC."""

_GRACE = 0.001
"""Seconds that a byte may take from one socket of this process to another."""

_real_time, _real_monotonic, _real_cpu = time.time, time.monotonic, time.process_time


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


# A module that is imported while a test runs may keep one of these functions for good: once the demo is over they tell
# the real time again.
_demo: DemoLoop | None = None


def _time() -> float:
    return _real_time() if _demo is None else START + _demo.time()


def _monotonic() -> float:
    return _real_monotonic() if _demo is None else _demo.time()


def _process_time() -> float:
    return _real_cpu() if _demo is None else 0.0


def _run(main: Coroutine[Any, Any, Result], **_options: Any) -> Result:
    """What `asyncio.run` does, on a loop with its own time."""
    global _demo
    with asyncio.Runner(loop_factory=DemoLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, DemoLoop)
        _demo = loop
        try:
            return runner.run(main)
        finally:
            _demo = None


@contextmanager
def demo_time() -> Iterator[None]:
    """Let every `asyncio.run`, and all that asks for the time meanwhile, live on a clock that begins at `START`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        patch.setattr(asyncio, "run", _run)
        patch.setattr(time, "time", _time)
        patch.setattr(time, "monotonic", _monotonic)
        patch.setattr(time, "perf_counter", _monotonic)
        patch.setattr("textual._time.get_time", _monotonic)
        patch.setattr("textual._wait.monotonic", _monotonic)
        # The pilot waits until this process rests. By the time that this clock moves on it always does.
        patch.setattr("textual._wait.process_time", _process_time)
        yield
    time.tzset()
