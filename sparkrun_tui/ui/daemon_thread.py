"""Blocking work in a thread that the end of the app does not wait for."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_daemon(work: Callable[[], Result]) -> Result:
    """Run `work` in a daemon thread and wait for its result, or raise what it raised.

    The loop's own threads are joined when it closes: a slow network would hold the app open.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Result] = loop.create_future()

    def settle(result: Result | None, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except BaseException as caught:  # handed over as it is
            error = caught
        call_in_loop(loop, lambda: settle(result, error))

    threading.Thread(target=run, daemon=True, name="sparkrun-beside").start()
    return await done


def call_in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Call something on the loop from a thread; a loop that has ended hears nothing any more."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return
