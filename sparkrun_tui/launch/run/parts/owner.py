"""Who holds a lease: a launch, a person on a machine, and the process there, so that a dead one can be recognised."""

from __future__ import annotations

import getpass
import os
import socket
from collections.abc import Mapping
from pathlib import Path

from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.base.text import clean_line

_PROC = Path("/proc")


def describe(launch_id: str) -> dict[str, object]:
    """This process as the owner of a lease for a launch; the launch comes first."""
    pid = os.getpid()
    where = {"user": f"{_user()}@{socket.gethostname()}", "machine": _machine()}
    return {"launch": launch_id, **where, "pid": pid, "began": _began(pid)}


def is_gone(owner: Mapping[str, object]) -> bool:
    """Whether the owner was a process of this person on this machine that lives no more; False when in doubt."""
    mine = describe("")
    # Process numbers end far below this on every system.
    pid, began = whole_of(owner.get("pid"), least=1, most=1 << 31), owner.get("began")
    if not mine["machine"] or owner.get("machine") != mine["machine"] or owner.get("user") != mine["user"]:
        return False
    if pid is None or not began:
        return False
    return _began(pid) != began


def field(owner: Mapping[str, object], key: str) -> str:
    """One of the owner's words, fit to be shown; empty when it is not there."""
    value = owner.get(key, "")
    return clean_line(value) if isinstance(value, str) else ""


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "somebody"


def _machine() -> str:
    """This boot of this machine, and the process numbers that hold here; empty where the system does not say."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink(_PROC / 'self/ns/pid')}"
    except OSError:
        return ""


def _began(pid: int) -> str:
    """When a process began, in the kernel's ticks (field 22 of proc(5)'s stat), since its number is given again."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
