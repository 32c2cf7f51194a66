"""Which recipe files changed on disk: cheap checks of the visible ones and of their folders, from a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import field

from sparkrun_tui.base.records import dataclass

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size in bytes; zeros when the file is not there."""


@dataclass(frozen=True, slots=True)
class Scan:
    """The state of files and folders at one check."""

    files: Mapping[str, Stamp] = field(default_factory=dict)
    folders: Mapping[str, Stamp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two checks: files with new content, and whether files were added or removed."""

    changed: tuple[str, ...] = ()
    listing: bool = False


def scan(files: Iterable[str], folders: Iterable[str]) -> Scan:
    """The state of files and folders now. Call it in a thread: folders may be on a network."""
    return Scan({path: _stamp(path) for path in files}, {path: _stamp(path) for path in folders})


def compare(before: Scan, now: Scan) -> Difference:
    """What changed among the files and folders in both scans."""
    changed = tuple(path for path, stamp in now.files.items() if before.files.get(path, stamp) != stamp)
    came = any(before.folders.get(path, stamp) != stamp for path, stamp in now.folders.items())
    gone = any(now.files[path] == (0, 0) for path in changed)
    return Difference(tuple(path for path in changed if now.files[path] != (0, 0)), came or gone)


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        # The file or its disk is gone: the next listing shows that.
        return 0, 0
    return found.st_mtime_ns, found.st_size
