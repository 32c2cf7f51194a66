"""Files of this machine: read within bounds, written whole, and never by way of somebody else's pipe or link.

Every file is read by these functions: who may write to a folder may put a pipe there, or a link to a device, and a
plain read of it never ends.

Two programs may write at the same time. What is made from the file's own content goes through `update_private`, so
that neither loses what the other wrote; `locked` is the one lock between programs.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sparkrun_tui.base import paths

LOCK_WAIT = 10.0
"""Seconds that another program may take to write a file of ours; it takes milliseconds."""
_LOCK_PAUSE = 0.005
MOST_BYTES = 64 << 20
"""Bytes of a file that is read whole, where nobody says how many."""


class Busy(OSError):
    """Another program holds the lock of a file."""


def open_regular(path: Path | str, most: int | None = None) -> BinaryIO:
    """A file to be read, never waiting for a pipe or a device that lies there in its place.

    A link is followed, since caches are made of them. Raises `OSError`, also for what is no regular file, and for one
    of more than `most` bytes.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        if most is not None and found.st_size > most:
            raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
        return open(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path | str, most: int = MOST_BYTES) -> bytes:
    """The whole of a regular file. Raises `OSError`, also when it has more than `most` bytes."""
    with open_regular(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:
        # It has grown since.
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
    return data


def read_text(path: Path | str, most: int = MOST_BYTES, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of a regular file, line ends as they are. Raises `OSError`, `UnicodeDecodeError`."""
    return read_bytes(path, most).decode(encoding, errors)


def private_folder(path: Path) -> None:
    """Make a folder of ours that only its owner may enter, and the folders above it that are missing.

    The folder of what we keep (`paths.state_dir()`) is closed to others where it was open. Raises `OSError`.
    """
    for folder in reversed([each for each in (path, *path.parents) if not each.exists()]):
        # `mkdir(parents=True)` would leave those above to the umask.
        folder.mkdir(mode=0o700, exist_ok=True)
    kept = paths.state_dir()
    if path.is_relative_to(kept) and kept.stat().st_mode & 0o077 and kept.stat().st_uid == os.getuid():
        kept.chmod(0o700)


def update_private(path: Path, change: Callable[[str], str]) -> None:
    """Write what `change` makes of the file's text, empty where there is no file, while no other program does so.

    Bytes that are not UTF-8 are lone surrogates in the text, which no format takes. Raises `Busy` when another program
    does so for `LOCK_WAIT` seconds, `OSError`, and what `change` raises; the file is as it was then.
    """
    with locked(path):
        try:
            text = read_text(path, errors="surrogateescape")
        except FileNotFoundError:
            text = ""
        changed = change(text)
        if changed != text:
            write_private(path, changed)


@contextmanager
def locked(path: Path, wait: float | None = LOCK_WAIT) -> Iterator[None]:
    """Hold the lock of a file, which keeps other programs and threads out that ask for it.

    It lies among what we keep, so that no second file appears beside the user's. `wait` is how many seconds another
    holder is waited for, None for as long as it takes. The lock ends with the program that holds it. Raises `Busy`,
    `OSError`.
    """
    folder = paths.state_dir() / "locks"
    private_folder(folder)
    digest = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]
    with hold(folder / f"{path.name[:60]}.{digest}", wait):
        yield


@contextmanager
def hold(lock: Path, wait: float | None) -> Iterator[None]:
    """Hold a lock by its own file, which is made and stays. Raises `Busy`, `OSError`."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(descriptor, lock, wait)
        yield
    finally:
        os.close(descriptor)


def _take(descriptor: int, lock: Path, wait: float | None) -> None:
    if wait is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise Busy(error.errno, "another program is writing it", str(lock)) from error
        time.sleep(_LOCK_PAUSE)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, making its folder; readers see the old text or the new one.

    For text that was not made from the file's: see `update_private`.
    Raises `OSError`, and leaves nothing behind then.
    """
    private_folder(path.parent)
    _replace(path, text.encode(), 0o600)


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file that is not there yet, with rights of `mode`; a link of that name counts as there.

    Raises `FileExistsError`, `OSError`, and leaves nothing behind then.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def overwrite(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file with rights of `mode`, whole or not at all; a link of that name is replaced, and not followed.

    Raises `OSError`, and leaves nothing behind then.
    """
    _replace(path, data, mode)


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write beside `path`, under a name at which nobody can have laid a link, then put it there."""
    partial = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
