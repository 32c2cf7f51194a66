"""Files that this program writes on this machine: whole at any moment, and not by way of somebody else's link."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from sparkrun_tui.base import paths


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


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner may read, making its folder; readers see the old text or the new one.

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
