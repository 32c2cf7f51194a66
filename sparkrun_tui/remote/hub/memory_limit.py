"""A limit on the memory of a child process that reads what the Hub, or a mirror of it, answers."""

from __future__ import annotations

import resource
from contextlib import suppress


def limit_memory(most: int) -> None:
    """Let this process take at most `most` bytes: an answer that never ends, or unpacks to more, is a `MemoryError`.

    Where the system knows no such limit there is none.
    """
    # A limit that is lower already stays: raising it may not be allowed, and need not be.
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft == resource.RLIM_INFINITY or soft > most:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
