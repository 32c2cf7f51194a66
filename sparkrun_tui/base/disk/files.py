"""Files of this machine: read within bounds, written whole, never through another user's pipe or link.

Every file is read and written by these functions: anyone who can write to a folder can put a pipe there, or a link to
a device, and a plain read of it never ends.

Two programs may write at the same time. A change that depends on the file's content goes through `update_private`,
so that neither program loses what the other wrote. `locked` is the one lock between programs.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from sparkrun_tui.base.disk import paths

LOCK_WAIT = 10.0
"""Seconds to wait for another program that writes one of this program's files; a write takes milliseconds."""
LOOP_WAIT = 0.5
"""The same where an event loop would stand still meanwhile. A program that was stopped holds its locks."""
_LOCK_PAUSE = 0.005
MOST_BYTES = 64 << 20
"""The default limit, in bytes, of a file that is read whole."""


class Busy(OSError):
    """Another program holds the lock of a file."""


def open_regular(path: Path | str, most: int | None = None) -> BinaryIO:
    """A regular file opened for reading; a pipe or a device in its place never blocks.

    Links are followed, since caches consist of them. Raises `OSError`, also when it is not a regular file or has more
    than `most` bytes.
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
    """The content of a regular file. Raises `OSError`, also when it has more than `most` bytes."""
    with open_regular(path, most) as file:
        data = file.read(most + 1)
    if len(data) > most:
        # The file has grown since it was opened.
        raise OSError(errno.EFBIG, f"it is larger than {most >> 20} MiB", str(path))
    return data


def read_text(path: Path | str, most: int = MOST_BYTES, *, encoding: str = "utf-8", errors: str = "strict") -> str:
    """The text of a regular file, line ends as they are. Raises `OSError`, `UnicodeDecodeError`."""
    return read_bytes(path, most).decode(encoding, errors)


def private_folder(path: Path) -> None:
    """Make a folder that only its owner may enter, and the missing folders above it.

    The state folder (`paths.state_dir()`) is closed to other users if it was open. Raises `OSError`.
    """
    for folder in reversed((path, *path.parents)):
        if not folder.exists():
            # `mkdir(parents=True)` would leave the rights of the folders above to the umask.
            folder.mkdir(mode=0o700, exist_ok=True)
    state = paths.state_dir()
    if path.is_relative_to(state):
        found = state.stat()
        is_open_to_others = found.st_mode & 0o077
        if is_open_to_others and found.st_uid == os.getuid():
            state.chmod(0o700)


def behind_links(path: Path) -> Path:
    """The file that a settings file really is: people keep `config.yaml` as a link into a folder of their own.

    Written under this name, the link stays a link.
    """
    return Path(os.path.realpath(path))


def update_private(path: Path, change: Callable[[str], str]) -> None:
    """Write what `change` makes of the file's text, while holding the file's lock. A missing file has empty text.

    Bytes that are not UTF-8 become lone surrogates in the text, which no format accepts. Raises `Busy` when another
    program holds the lock for `LOCK_WAIT` seconds, `OSError`, and what `change` raises; the file is unchanged then.
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
    """Hold the lock of a file: other programs and threads that ask for it wait.

    The lock is a file in the state folder, so that no second file appears beside the user's. `wait` is how many seconds
    to wait for another holder, None for no limit. The lock ends with the program that holds it. Raises `Busy`,
    `OSError`.
    """
    folder = paths.state_dir() / "locks"
    private_folder(folder)
    digest = hashlib.sha256(os.fsencode(os.path.abspath(path))).hexdigest()[:16]
    with hold(folder / f"{path.name[:60]}.{digest}", wait):
        yield


@contextmanager
def hold(lock: Path, wait: float | None) -> Iterator[None]:
    """Hold a lock file, which is created if needed and never removed. Raises `Busy`, `OSError`."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    try:
        _take(descriptor, lock, wait)
        yield
    finally:
        os.close(descriptor)


class Claim:
    """A lock file that is held until `release`, or until this program ends; see `claim`."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        """Let another program have it. A second call does nothing."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def claim(lock: Path) -> Claim | None:
    """Hold a lock file for as long as something goes on; None where another holds it. Raises `OSError`.

    The file is created if needed and never removed.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return Claim(descriptor)


def _take(descriptor: int, lock: Path, wait: float | None) -> None:
    if wait is None:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        return
    if _in_event_loop():
        wait = min(wait, LOOP_WAIT)
    end = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError as error:
            if time.monotonic() >= end:
                raise Busy(error.errno, "another program is writing it", str(lock)) from error
        time.sleep(_LOCK_PAUSE)


def open_append(path: Path | str) -> int:
    """A file opened for appending, with mode 0600 when it is new; its descriptor.

    A link is not followed, and a pipe in its place never blocks. Raises `OSError` for these, and for what is no regular
    file.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o600)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return descriptor


def _in_event_loop() -> bool:
    """Whether this thread runs an event loop, which waits as well."""
    # Loaded by who needs it: commands that need no loop start faster without.
    asyncio = sys.modules.get("asyncio")
    return asyncio is not None and asyncio._get_running_loop() is not None


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, making its folder; readers see the old text or the new one.

    Only for text that does not depend on the file's content; else see `update_private`.
    Raises `OSError`, and leaves nothing behind then.
    """
    private_folder(path.parent)
    _replace(path, encoded(text), 0o600)


def encoded(text: str) -> bytes:
    """A text as the bytes of a file; never fails.

    Names of files need not be UTF-8, and what such a name leaves in a text is written as JSON writes it: `\\udcff`.
    """
    return text.encode("utf-8", "backslashreplace")


def write_new(path: Path, data: bytes, mode: int = 0o666) -> None:
    """Write a file that does not exist yet, with rights of `mode`; a link of that name counts as existing.

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
    """Write a file with rights of `mode`, whole or not at all; a link of that name is replaced, not followed.

    Raises `OSError`, and leaves nothing behind then.
    """
    _replace(path, data, mode)


def _replace(path: Path, data: bytes, mode: int) -> None:
    """Write beside `path` under a random name, where no link can have been prepared, then rename it to `path`."""
    partial = path.with_name(f".{path.name[:100]}.{os.urandom(8).hex()}.partial")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
