"""The exit codes, and the only place that writes to stderr."""

from __future__ import annotations

import sys
from enum import IntEnum

from sparkrun_tui.base.defects import LOOK, in_debug, of_the_machine
from sparkrun_tui.base.errors import HostError, SettingsError, SparkrunError, UsageError
from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.cli.gate import gate


class Exit(IntEnum):
    """The exit codes of all commands."""

    OK = 0
    FAILED = 1
    """The command ran and failed: a recipe with errors, a launch that did not come up, nothing found."""
    USAGE = 2
    """The command line or the settings are wrong; nothing was done."""
    HOST = 3
    """A host could not be reached or queried, so the result is unknown."""
    INTERRUPTED = 130


def say(text: str) -> None:
    """Print one line for the user on stderr, with secrets masked.

    Line breaks are shown as signs: text from elsewhere in a message cannot add lines.
    """
    piece(f"{visible_line(text)}\n")


def say_lines(text: str) -> None:
    """Print several lines on stderr; the line breaks in `text` are this program's own."""
    for line in text.split("\n"):
        say(line)


def say_error(error: SparkrunError, about: str) -> None:
    """Print an error after `about` on one line, with the remedy below it."""
    say(f"{about}: {error.first}")
    if error.remedy:
        say_lines("\n".join(f"  {line}" for line in error.remedy.split("\n")))


def piece(text: str) -> None:
    """Print a part of a line on stderr, such as a question whose answer is typed after it."""
    sys.stderr.write(gate().redact(visible_text(text)))
    sys.stderr.flush()


def report(error: BaseException) -> Exit:
    """Print an error on stderr for the user; returns its exit code."""
    if isinstance(error, BrokenPipeError):
        # Whoever read the output has seen enough.
        sys.stderr.close()
        return Exit.OK
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return Exit.INTERRUPTED
    if isinstance(error, SparkrunError):
        say_error(error, "sparkrun-tui")
        if in_debug() and error.__cause__ is not None:
            import traceback

            say_lines("".join(traceback.format_exception(error.__cause__)))
        return code_of(error)
    known = of_the_machine(error)
    if known:
        say(f"sparkrun-tui: {known}")
        say("  Free disk space, or correct the path or its permissions, then try again.")
    else:
        say(f"sparkrun-tui: unexpected {type(error).__name__}: {error}")
        say(f"  {LOOK}")
    if in_debug():
        import traceback

        # Not raised again: a traceback printed by Python would bypass the filter.
        say_lines("".join(traceback.format_exception(error)))
    return Exit.FAILED


def code_of(error: SparkrunError) -> Exit:
    """The exit code for an error."""
    if isinstance(error, (UsageError, SettingsError)):
        return Exit.USAGE
    if isinstance(error, HostError):
        return Exit.HOST
    return Exit.FAILED
