"""Child processes of ours: in a group of their own, so that stopping them stops what they started too."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

KILL_AFTER = 3.0


async def spawn(
    words: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    limit: int = 1 << 20,
) -> asyncio.subprocess.Process:
    """Start a child in a session of its own. `limit` is the longest line its readers take."""
    return await asyncio.create_subprocess_exec(
        *words, stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=True, limit=limit
    )


async def stop(process: asyncio.subprocess.Process, first: signal.Signals = signal.SIGTERM) -> None:
    """End a child and its group: `first`, and after some seconds SIGKILL. Fine when it has ended."""
    if process.returncode is None:
        _signal(process, first)
        try:
            async with asyncio.timeout(KILL_AFTER):
                await process.wait()
        except TimeoutError:
            pass
    # Its own children may outlive it; the group is there as long as one of them is.
    _signal(process, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_AFTER):
            await process.wait()


@asynccontextmanager
async def stopping(
    process: asyncio.subprocess.Process, first: signal.Signals = signal.SIGTERM
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The child for a while; afterwards, whatever happened, it is stopped (also when we are cancelled meanwhile)."""
    try:
        yield process
    finally:
        task = asyncio.create_task(stop(process, first))
        while not task.done():
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                _signal(process, signal.SIGKILL)
                await task
                raise


async def last_words(reader: asyncio.StreamReader | None, keep: int = 4096) -> bytes:
    """Read a stream to its end and give the last `keep` bytes."""
    tail = b""
    while reader is not None and (data := await reader.read(65536)):
        tail = (tail + data)[-keep:]
    return tail


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
