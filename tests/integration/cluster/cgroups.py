"""The cluster's control groups, version 1 or 2: freezing a host, and removing what is empty."""

from __future__ import annotations

import os
import time
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
PREFIX = "sparkrun-it-"


def is_version_2() -> bool:
    """Whether this machine has one unified hierarchy."""
    return (ROOT / "cgroup.controllers").exists()


def group_of(owner: int, host: str) -> str:
    """A host's group below the root of every hierarchy; `owner` is the process that runs the tests."""
    return f"{PREFIX}{owner}/{host}"


def freeze(group: str, frozen: bool) -> None:
    """Stop or continue every process of a host, so that it answers nothing but pings."""
    if is_version_2():
        (ROOT / group / "cgroup.freeze").write_text("1" if frozen else "0")
        return
    state = ROOT / "freezer" / group / "freezer.state"
    wanted = "FROZEN" if frozen else "THAWED"
    deadline = time.monotonic() + 10
    while state.read_text().strip() != wanted:
        state.write_text(wanted)
        if time.monotonic() > deadline:
            raise TimeoutError(f"{state} did not become {wanted}")
        time.sleep(0.02)


def tops() -> list[Path]:
    """Our topmost groups in all hierarchies."""
    hierarchies = [ROOT] if is_version_2() else [entry for entry in ROOT.iterdir() if not entry.is_symlink()]
    return [top for hierarchy in hierarchies for top in hierarchy.glob(f"{PREFIX}*")]


def remove(owner: int) -> None:
    """Remove the groups of one owner; the kernel empties them a moment after the last process ended."""
    for top in tops():
        if top.name == f"{PREFIX}{owner}":
            _remove_tree(top)


def remove_orphans() -> None:
    """Remove what owners left that were killed."""
    for top in tops():
        if not Path(f"/proc/{top.name.removeprefix(PREFIX)}").exists():
            _remove_tree(top)


def _remove_tree(top: Path) -> None:
    for directory, _, _ in os.walk(top, topdown=False):
        for _ in range(100):
            try:
                os.rmdir(directory)
                break
            except OSError:
                time.sleep(0.02)
