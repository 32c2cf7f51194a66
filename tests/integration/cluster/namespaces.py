"""Kernel calls that Python 3.11 does not offer: enter a network namespace, and die with the parent."""

from __future__ import annotations

import ctypes
import os
import signal
from pathlib import Path

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def enter_network(namespace: int) -> None:
    """Move the calling thread, and every thread and process that it makes from now on, into a network namespace.

    `namespace` is an open file of /proc/PID/ns/net.
    """
    if _libc.setns(namespace, CLONE_NEWNET) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error), "setns")


def die_with_parent() -> None:
    """In a child before exec: be killed when the thread that started it ends, however that ends."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def network_of(pid: int | str) -> str:
    """Name of a process's network namespace, `net:[4026531840]`; empty when the process is gone."""
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""


def processes() -> list[int]:
    """Every process that can be seen."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def parent_of(pid: int) -> int:
    """The parent of `pid`; 0 when the process is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])


def children_of(pid: int) -> list[int]:
    """The child processes of `pid`."""
    return [child for child in processes() if parent_of(child) == pid]
