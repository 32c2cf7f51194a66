"""The words for an error that nobody expected: named as a defect of this program, with its place."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sparkrun_tui.base.errors import LaunchError, SparkrunError
from sparkrun_tui.base.text import clean_line, shorten

REPORT = "this is a defect of sparkrun-tui: please report it with this recipe"
"""What to do about a defect that one recipe brings out."""
LOOK = "This is a defect of sparkrun-tui. Set SPARKRUN_TUI_DEBUG=1 to see where it happened."
"""What to do about any other."""


def defect(doing: str, error: Exception) -> str:
    """What to say when `doing` something failed in a way that is a mistake of this program."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    words = clean_line(str(error)[:120])
    said = f": {words}" if words else ""
    return f"internal error: {doing} failed with {type(error).__name__}{place}{said}"


@contextmanager
def explained(doing: str) -> Iterator[None]:
    """What goes wrong in here in a way that nobody expected is one plain error. Raises `LaunchError`."""
    try:
        yield
    except SparkrunError:
        raise
    except Exception as error:
        raise LaunchError(defect(doing, error), remedy=REPORT) from error


_OF_THE_MACHINE = frozenset(
    {errno.ENOENT, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE, errno.ENFILE}
)
"""Errors of files that are the machine's state, also where the system does not say of which file."""


def of_the_machine(error: BaseException) -> str:
    """What is wrong with files of this machine: a full disk, rights, a folder in the place of a file; else empty."""
    if not isinstance(error, OSError) or error.strerror is None:
        return ""
    if error.filename is None and error.errno not in _OF_THE_MACHINE:
        return ""
    place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
    return shorten(clean_line(f"{place}{error.strerror}"), 300)


def unexpected(error: Exception) -> str:
    """The same in a few words, where what was being done is plain."""
    known = of_the_machine(error)
    if known:
        return known
    return shorten(clean_line(f"unexpected {type(error).__name__}: {error}"), 300)


def in_debug() -> bool:
    """Whether unforeseen errors are to end the program with a traceback, for whoever looks for a defect."""
    return bool(os.environ.get("SPARKRUN_TUI_DEBUG"))
