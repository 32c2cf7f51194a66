"""Reads the file of a recipe within its limits, and never waits for what is not a file."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.format.yamltree import MAX_BYTES


def read_recipe(path: Path) -> bytes:
    """The bytes of a recipe's file, one more than allowed where it is too large. Raises `RecipeError`."""
    try:
        with open(path, "rb", buffering=0, opener=_open_plainly) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise RecipeError(f"{path} is not a regular file")
            data = b""
            while len(data) <= MAX_BYTES:
                chunk = file.read(MAX_BYTES + 1 - len(data))
                if not chunk:
                    break
                data += chunk
            return data
    except OSError as error:
        reason = error.strerror or str(error)
        raise RecipeError(f"{path} cannot be read: {reason}") from error
    except ValueError as error:
        raise RecipeError(f"{str(path)!r} is not the path of a file") from error


def _open_plainly(path: str, flags: int) -> int:
    # A named pipe must not hang the browser.
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
