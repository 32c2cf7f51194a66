"""The words for an error that nobody expected: told as a defect of this program, with its place."""

from __future__ import annotations

from pathlib import Path


def defect(doing: str, error: Exception) -> str:
    """What to say when `doing` something failed in a way that is a mistake of this program."""
    at = error.__traceback__
    while at is not None and at.tb_next is not None:
        at = at.tb_next
    place = f" at {Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}" if at is not None else ""
    said = f": {str(error)[:120]}" if str(error) else ""
    return f"internal error: {doing} failed with {type(error).__name__}{place}{said}"


REPORT = "this is a defect of sparkrun-tui: please report it with this recipe"
