"""Files of this machine that go into containers: found below one folder, weighed, and read once they are wanted."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sparkrun_tui.base.errors import LaunchError, RecipeError
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.recipe.search.folders import is_inside

MAX_FILES = 1000
"""Files that one recipe may bring."""
MAX_TOTAL = 32 << 20
"""Bytes of all files that one recipe brings."""
_MAX_DEPTH = 20
_MAX_STEPS = 20 * MAX_FILES
"""Files and folders looked at: links that lead in circles make many of few."""
_BAD_NAME = re.compile(r"[\x00-\x1f\x7f-\x9f\\\udc80-\udcff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that goes into containers: `path` here with its links followed, `name` below the place it is put at.

    `name` is empty for a file that is copied alone. Size in bytes; `digest` is SHA-256 of the content, in hex.
    """

    path: str
    name: str
    size: int
    program: bool
    digest: str


def find_files(place: Path, root: str) -> tuple[SentFile, ...]:
    """Every file at or below `place`, links followed, by name; `root` (resolved) is what nothing may lead out of.

    Raises `RecipeError` for what does not exist, leads out, is no regular file, has a name that cannot be shown, or is
    too much.
    """
    real = os.path.realpath(place)
    if not is_inside(real, root):
        raise RecipeError(f"it leads out of {root}")
    found: list[SentFile] = []
    total = 0
    for path, name in _walk(real, root):
        found.append(_file(path, name))
        total += found[-1].size
        if len(found) > MAX_FILES:
            raise RecipeError(f"it is more than {MAX_FILES} files")
        if total > MAX_TOTAL:
            raise RecipeError(f"it is more than {format_bytes(MAX_TOTAL)}")
    return tuple(sorted(found, key=lambda file: file.name))


def _walk(real: str, root: str) -> Iterator[tuple[str, str]]:
    """Path and name below `real` of each file, folders by their entries."""
    stack = [(real, "", 0)]
    steps = 0
    while stack:
        path, name, depth = stack.pop()
        steps += 1
        if not os.path.isdir(path):
            yield path, name
            continue
        if depth > _MAX_DEPTH or steps > _MAX_STEPS:
            raise RecipeError(f"`{name[:60]}` lies too deep, or links lead in a circle")
        for entry in sorted(_entries(path)):
            below = f"{name}/{entry}" if name else entry
            if _BAD_NAME.search(entry):
                raise RecipeError(f"a file in `{name or '.'}` has a name that cannot be shown")
            target = os.path.realpath(os.path.join(path, entry))
            if not is_inside(target, root):
                raise RecipeError(f"`{below}` leads out of {root}")
            stack.append((target, below, depth + 1))


def _entries(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError as error:
        raise RecipeError(f"{folder} cannot be read: {error.strerror or error}") from error


def _file(path: str, name: str) -> SentFile:
    try:
        found = os.lstat(path)
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(found.st_mode):
        raise RecipeError(f"`{name or path}` is no regular file")
    if found.st_size > MAX_TOTAL:
        raise RecipeError(f"`{name or path}` is larger than {format_bytes(MAX_TOTAL)}")
    digest = _digest(path, found.st_size, found.st_mtime_ns, found.st_ino)
    return SentFile(path, name, found.st_size, bool(found.st_mode & 0o111), digest)


@functools.lru_cache(maxsize=4 * MAX_FILES)
def _digest(path: str, _size: int, _mtime: int, _inode: int) -> str:
    """The digest of a file that has not changed since it was last asked for."""
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path: str) -> bytes:
    try:
        # Neither a link nor a pipe that has taken the file's place is followed or waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RecipeError(f"{path} is no regular file")
            data = b""
            while chunk := file.read(1 << 20):
                data += chunk
                if len(data) > MAX_TOTAL:
                    raise RecipeError(f"{path} is larger than {format_bytes(MAX_TOTAL)}")
            return data
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error


def read_text(file: SentFile, limit: int) -> str:
    """The beginning of a file as text, at most `limit` bytes; empty when it cannot be read any more."""
    try:
        return _read(file.path)[:limit].decode("utf-8", "replace")
    except RecipeError:
        return ""


def contents(files: Iterable[SentFile]) -> Mapping[str, bytes]:
    """What the files hold, by digest. Raises `LaunchError` when one is not as it was when it was shown."""
    found: dict[str, bytes] = {}
    remedy = "Open the recipe again: registries are updated, and files change."
    for file in files:
        if file.digest in found:
            continue
        try:
            data = _read(file.path)
        except RecipeError as error:
            raise LaunchError(error.what, remedy=remedy) from error
        if hashlib.sha256(data).hexdigest() != file.digest:
            raise LaunchError(f"{file.path} has changed since it was shown", remedy=remedy)
        found[file.digest] = data
    return found
