"""Files of this machine that are copied into containers: found below one folder, within limits, read when needed."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from sparkrun_tui.base.errors import LaunchError, RecipeError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import format_bytes
from sparkrun_tui.recipe.search.folders import is_inside

MAX_FILES = 1000
"""The most files that one recipe may copy."""
MAX_TOTAL = 32 << 20
"""The most bytes of all files that one recipe may copy."""
_MAX_DEPTH = 20
_MAX_STEPS = 20 * MAX_FILES
"""The most files and folders that are visited: links in a circle make few of them seem many."""
_BAD_NAME = late_regex(r"[\x00-\x1f\x7f-\x9f\\\udc80-\udcff\u2028\u2029\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file that is copied into containers: `path` here with its links followed, `name` below the target folder.

    `name` is empty for a file that is copied alone. Size in bytes; `digest` is SHA-256 of the content, in hex.
    """

    path: str
    name: str
    size: int
    program: bool
    digest: str


def find_files(place: Path, root: str) -> tuple[SentFile, ...]:
    """Every file at or below `place`, links followed, by name; all of them must be inside `root` (resolved).

    Raises `RecipeError` for what does not exist, leads out of `root`, is not a regular file, has a name that cannot be
    shown, or exceeds the limits.
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
            raise RecipeError(f"it has more than {MAX_FILES} files")
        if total > MAX_TOTAL:
            raise RecipeError(f"it is larger than {format_bytes(MAX_TOTAL)}")
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
            raise RecipeError(f"`{shorten(name, 60)}` is nested too deep, or its links lead in a circle")
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
        raise RecipeError(f"`{name or path}` is not a regular file")
    if found.st_size > MAX_TOTAL:
        raise RecipeError(f"`{name or path}` is larger than {format_bytes(MAX_TOTAL)}")
    digest = _digest(path, found.st_size, found.st_mtime_ns, found.st_ino)
    return SentFile(path, name, found.st_size, bool(found.st_mode & 0o111), digest)


@functools.lru_cache(maxsize=4 * MAX_FILES)
def _digest(path: str, _size: int, _mtime: int, _inode: int) -> str:
    """The digest of a file; the arguments change with the file, so that an unchanged one is read once."""
    return hashlib.sha256(_read(path)).hexdigest()


def _read(path: str) -> bytes:
    try:
        # A link that replaced the file is not followed, and a pipe is not waited for.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb", buffering=0) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise RecipeError(f"{path} is not a regular file")
            data = b""
            while chunk := file.read(1 << 20):
                data += chunk
                if len(data) > MAX_TOTAL:
                    raise RecipeError(f"{path} is larger than {format_bytes(MAX_TOTAL)}")
            return data
    except OSError as error:
        raise RecipeError(f"{path} cannot be read: {error.strerror or error}") from error


def read_text(file: SentFile, limit: int) -> str:
    """The beginning of a file as text, at most `limit` bytes; empty when it can no longer be read."""
    try:
        return _read(file.path)[:limit].decode("utf-8", "replace")
    except RecipeError:
        return ""


def contents(files: Iterable[SentFile]) -> Mapping[str, bytes]:
    """The content of the files, by digest. Raises `LaunchError` when one has changed since it was shown."""
    found: dict[str, bytes] = {}
    remedy = "open the recipe again to see its current files"
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
