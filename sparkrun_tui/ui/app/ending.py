"""SIGTERM and a closed terminal end the app as its key does: launches are let go, the terminal is put right."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from textual.app import App

_AT_MOST = 20.0
"""Seconds after which the process ends whatever it still does, once its terminal is gone."""


def end_by_signals(app: App[int]) -> None:
    """Exit the app on SIGTERM and SIGHUP. To be called on its event loop, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        return
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, app.exit, 0)

    def hung_up(_number: int, _frame: FrameType | None) -> None:
        _leave_terminal()
        loop.call_soon_threadsafe(app.exit, 0)

    # Not a handler of the loop, which would run later: until the terminal is left, every write to it fails, and ends
    # the thread that writes for Textual.
    signal.signal(signal.SIGHUP, hung_up)


def _leave_terminal() -> None:
    """From now on what the app draws and prints goes nowhere."""
    with open(os.devnull, "r+b", buffering=0) as nowhere:
        for descriptor in (0, 1, 2):
            os.dup2(nowhere.fileno(), descriptor)
    # The kernel sends SIGCONT after SIGHUP, at which Textual would set up the terminal again.
    signal.signal(signal.SIGCONT, lambda _number, _frame: None)
    # Textual waits without end for a thread that writes, which may have ended by a write that failed before.
    at_last = threading.Timer(_AT_MOST, os._exit, (0,))
    at_last.daemon = True
    at_last.start()
