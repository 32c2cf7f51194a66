"""A limit on the memory of a child process that reads what others send: a model repository's answers, a git repository.

Run as a program, `python memory_limit.py BYTES PROGRAM [ARGUMENT]...`, it becomes another program within that limit.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Sequence
from contextlib import suppress


def half_of_memory() -> int:
    """Half of the bytes of memory that this machine has."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2


def resident() -> int:
    """The bytes of memory that this process holds now; where the system does not tell, the most that it ever held."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            _whole, pages, *_rest = file.read().split()
        return int(pages) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak << 10


def limit_memory(most: int) -> None:
    """Let this process take at most `most` bytes: an answer that never ends, or unpacks to more, is a `MemoryError`.

    Where the system knows no such limit there is none.
    """
    # A limit that is lower already stays: raising it may not be allowed, and need not be.
    with suppress(OSError, ValueError):
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        if soft == resource.RLIM_INFINITY or soft > most:
            resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def within(most: int, words: Sequence[str]) -> list[str]:
    """The command that runs another one, which is named by its path, in at most `most` bytes of memory.

    The limit holds for each process that it starts. A child cannot be given one before it runs without this step: what
    Python offers for it is not safe beside threads.
    """
    return [sys.executable, "-I", "-S", os.path.abspath(__file__), str(most), *words]


def main() -> None:
    """Become another program. It ends as a shell does when there is none of that name."""
    most, *words = sys.argv[1:]
    limit_memory(int(most))
    try:
        os.execv(words[0], words)
    except OSError as error:
        sys.exit(f"{words[0]} cannot be run: {error.strerror}")


if __name__ == "__main__":
    main()
