"""Which files of recipes changed on disk: cheap looks at those in sight and at their folders, from a thread."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Stamp = tuple[int, int]
"""Modification time in nanoseconds, and size in bytes; zeros when the file is not there."""


@dataclass(frozen=True, slots=True)
class Scan:
    """How files and folders stood at one look."""

    files: Mapping[str, Stamp] = field(default_factory=dict)
    folders: Mapping[str, Stamp] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What changed between two looks: files with other content, and whether files came or went."""

    changed: tuple[str, ...] = ()
    listing: bool = False


def scan(files: Iterable[str], folders: Iterable[str]) -> Scan:
    """Look at files and folders now; call it in a thread, folders may be remote."""
    return Scan({path: _stamp(path) for path in files}, {path: _stamp(path) for path in folders})


def compare(before: Scan, now: Scan) -> Difference:
    """What changed among what both looked at."""
    changed = tuple(path for path, stamp in now.files.items() if before.files.get(path, stamp) != stamp)
    came = any(before.folders.get(path, stamp) != stamp for path, stamp in now.folders.items())
    gone = any(now.files[path] == (0, 0) for path in changed)
    return Difference(tuple(path for path in changed if now.files[path] != (0, 0)), came or gone)


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        # It went away, or its disk did: the next listing shows it.
        return 0, 0
    return found.st_mtime_ns, found.st_size
