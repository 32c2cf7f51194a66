"""Texts for unexpected errors: a defect of this program, with the line where it happened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.text import clean_line, shorten

REPORT = "this is a defect of sparkrun-tui: please report it with this recipe"
"""The remedy for a defect that one recipe triggers."""
LOOK = "This is a defect of sparkrun-tui. Set SPARKRUN_TUI_DEBUG=1 to see where it happened."
"""The remedy for any other defect."""


def defect(doing: str, error: Exception) -> str:
    """The message for an unexpected `error` while `doing` something."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    message = f"internal error: {doing} failed with {type(error).__name__}"
    if at is not None:
        message += f" at {os.path.basename(at.tb_frame.f_code.co_filename)}:{at.tb_lineno}"
    words = clean_line(str(error)[:120])
    if words:
        message += f": {words}"
    return message


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """Turns unexpected errors of the block into one plain error. Raises `LaunchError`."""
    try:
        yield
    except SparkrunError:
        raise
    except Exception as error:
        raise LaunchError(defect(doing, error), remedy=REPORT) from error


_OF_THE_MACHINE = frozenset(
    {errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE}
)
"""Errors that the state of the machine causes, even when the system does not name the file."""


def of_the_machine(error: BaseException) -> str:
    """The cause when this machine's files are at fault (disk full, rights, a folder instead of a file), or empty."""
    if not isinstance(error, OSError) or error.strerror is None:
        return ""
    if error.filename is None and error.errno not in _OF_THE_MACHINE:
        return ""
    message = error.strerror
    if isinstance(error.filename, (str, bytes)):
        message = f"{os.fsdecode(error.filename)}: {message}"
    return shorten(clean_line(message), 300)


def unexpected(error: Exception) -> str:
    """A short message for an unexpected error, for places that already name the action."""
    known = of_the_machine(error)
    if known:
        return known
    return shorten(clean_line(f"unexpected {type(error).__name__}: {error}"), 300)


def in_debug() -> bool:
    """Whether unexpected errors end the program with a traceback, which helps to find a defect."""
    return bool(os.environ.get("SPARKRUN_TUI_DEBUG"))
