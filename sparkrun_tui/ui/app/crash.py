"""The report of a defect that ends the app: where it happened, without local variables and secrets."""

from __future__ import annotations

from collections.abc import Callable

import rich
from rich.traceback import Traceback


def crash_report(hide: Callable[[str], str]) -> Traceback:
    """The exception being handled, safe to show to others; `hide` masks the secrets in its text."""
    report = Traceback(show_locals=False, suppress=[rich])
    for stack in report.trace.stacks:
        stack.exc_value = _surely(hide, stack.exc_value)
        stack.notes = [_surely(hide, note) for note in getattr(stack, "notes", [])]
    return report


def _surely(hide: Callable[[str], str], text: str) -> str:
    """`text` with secrets masked; when masking itself fails, none of `text` is shown."""
    try:
        return hide(text)
    except Exception as error:
        return f"(not shown, since its secrets could not be masked: {type(error).__name__})"
