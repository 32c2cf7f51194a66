"""Child processes in process groups of their own: stopping one also stops what it has started.

On Linux a child does not outlive this program, however that ends: what a killed program was sending would go on beside
the next one's transfer of the same files.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress

KILL_AFTER = 3.0

_PR_SET_PDEATHSIG = 1
"""Linux, prctl(2): the signal that a process gets when the one that started it ends."""

_TIED = f"import ctypes, os, sys; ctypes.CDLL(None).prctl({_PR_SET_PDEATHSIG}, {int(signal.SIGKILL)}); " + (
    "os.execvp(sys.argv[1], sys.argv[1:])"
)


async def spawn(
    words: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    stdin: int = asyncio.subprocess.DEVNULL,
    stdout: int = asyncio.subprocess.PIPE,
    stderr: int = asyncio.subprocess.PIPE,
    limit: int = 1 << 20,
) -> asyncio.subprocess.Process:
    """A new child process in a session of its own. `limit` is the longest line that its readers take, in bytes.

    Raises `FileNotFoundError` for a program that is not installed.
    """
    if sys.platform == "linux":
        words = _tied(words, env)
    return await asyncio.create_subprocess_exec(
        *words, stdin=stdin, stdout=stdout, stderr=stderr, env=env, start_new_session=True, limit=limit
    )


def _tied(words: Sequence[str], env: Mapping[str, str] | None) -> list[str]:
    """The command so that it ends with this program. Raises `FileNotFoundError`."""
    path = (os.environ if env is None else env).get("PATH")
    if shutil.which(words[0], path=path) is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), words[0])
    # The child asks for it itself, before it becomes the program: code that runs between fork and exec may lock up.
    return [sys.executable, "-I", "-S", "-c", _TIED, *words]


async def stop(process: asyncio.subprocess.Process, first: signal.Signals = signal.SIGTERM) -> None:
    """End a child and its group by the signal `first`, and after `KILL_AFTER` seconds by SIGKILL.

    Does nothing where both have ended.
    """
    if process.returncode is None:
        _signal(process, first)
        try:
            async with asyncio.timeout(KILL_AFTER):
                await process.wait()
        except TimeoutError:
            pass
    # Its own children may outlive it; the group exists as long as one of them does.
    _signal(process, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_AFTER):
            await process.wait()


@asynccontextmanager
async def stopping(
    process: asyncio.subprocess.Process, first: signal.Signals = signal.SIGTERM
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A context at whose end the child is stopped in every case, also when the stopping itself is cancelled."""
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
    """The last `keep` bytes of a stream, which is read to its end."""
    tail = b""
    if reader is None:
        return tail
    while data := await reader.read(65536):
        tail = (tail + data)[-keep:]
    return tail


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
