"""The report of a defect that ends the app: where it happened, without locals and without secrets."""

from __future__ import annotations

from collections.abc import Callable

import rich
from rich.traceback import Traceback


def crash_report(hide: Callable[[str], str]) -> Traceback:
    """The exception that is being handled, as anybody may see it; `hide` takes secrets out of its words."""
    report = Traceback(show_locals=False, suppress=[rich])
    for stack in report.trace.stacks:
        stack.exc_value = _surely(hide, stack.exc_value)
        stack.notes = [_surely(hide, note) for note in getattr(stack, "notes", [])]
    return report


def _surely(hide: Callable[[str], str], text: str) -> str:
    """`text` without secrets, also where the defect is in what knows of them: then nothing of it is shown."""
    try:
        return hide(text)
    except Exception as error:
        return f"(not shown, since its secrets cannot be told: {type(error).__name__})"
