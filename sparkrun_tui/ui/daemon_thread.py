"""Runs blocking work in a thread that the app does not wait for when it ends."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


async def in_daemon(work: Callable[[], Result]) -> Result:
    """Run `work` in a daemon thread; its result. Raises what `work` raises.

    The event loop joins its own threads when it closes, so a slow network would keep the app open.
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
        except BaseException as caught:  # raised again in the loop
            error = caught
        call_in_loop(loop, lambda: settle(result, error))

    threading.Thread(target=run, daemon=True, name="sparkrun-beside").start()
    return await done


def call_in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    """Schedule `call` on the loop from a thread; nothing happens when the loop has ended."""
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:
        return
