"""The owner of a lease: launch, user, machine and process, so that the lease of a dead process is recognised."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.base.text import clean_line

_PROC = Path("/proc")


def describe(launch_id: str) -> dict[str, object]:
    """This process as the owner of a launch's lease, as a JSON object."""
    pid = os.getpid()
    where = {"user": f"{_user()}@{socket.gethostname()}", "machine": _machine()}
    return {"launch": launch_id, **where, "pid": pid, "began": _began(pid)}


def is_gone(owner: Mapping[str, object]) -> bool:
    """Whether the owner was a process of this user on this machine that has ended; False when in doubt."""
    mine = describe("")
    if not mine["machine"]:
        return False
    if owner.get("machine") != mine["machine"] or owner.get("user") != mine["user"]:
        return False
    # Process ids are far below this limit on every system.
    pid = whole_of(owner.get("pid"), least=1, most=1 << 31)
    began = owner.get("began")
    if pid is None or not began:
        return False
    return _began(pid) != began


def field(owner: Mapping[str, object], key: str) -> str:
    """A text of the owner, safe to show; empty when it is missing."""
    value = owner.get(key, "")
    return clean_line(value) if isinstance(value, str) else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _machine() -> str:
    """This boot of this machine and its namespace of process ids; empty when the system does not report them."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process began, in clock ticks (field 22 of `stat` in proc(5)); empty when it has ended."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
