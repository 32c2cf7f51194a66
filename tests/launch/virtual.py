"""Virtual time for tests: a sleep of any length ends immediately when there is nothing else to do."""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec

P = ParamSpec("P")


class _JumpingSelector(selectors.DefaultSelector):
    """Where an event loop would wait, its time advances immediately."""

    now = 1_000.0
    threads = 0
    """Calls in threads that are awaited: while there are any, time stands still."""

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None or timeout <= 0 or self.threads:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next thing that is due."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:
        call = super().run_in_executor(executor, func, *args)
        self._jumping.threads += 1
        call.add_done_callback(self._returned)
        return call

    def _returned(self, _: object) -> None:
        self._jumping.threads -= 1

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        """The loop's end, which waits for a thread, too: time must not jump over the limit that Python 3.12 has."""
        self._jumping.threads += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._jumping.threads -= 1


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run an async test on a loop with virtual time; nothing in it may wait for other processes."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(test(*args, **kwargs))

    return run
