"""Files of ours on this machine: read by nobody else, and whole at any moment."""

from __future__ import annotations

import os
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
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
