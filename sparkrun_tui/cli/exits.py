"""The exit codes, and the only place that writes to stderr."""

from __future__ import annotations

import sys
import traceback
from enum import IntEnum

from sparkrun_tui.base.defects import LOOK, in_debug, of_the_machine
from sparkrun_tui.base.errors import HostError, SettingsError, SparkrunError, UsageError
from sparkrun_tui.base.text import visible_line, visible_text
from sparkrun_tui.cli.gate import gate


class Exit(IntEnum):
    """What the exit code of every command means."""

    OK = 0
    FAILED = 1
    """It was tried and failed: a recipe with errors, a launch that did not come up, nothing found."""
    USAGE = 2
    """The command line or the settings are wrong; nothing was tried."""
    HOST = 3
    """A host could not be reached or asked, so the result is not known."""
    INTERRUPTED = 130


def say(text: str) -> None:
    """One line for the person, on stderr; secrets are taken out of it.

    A line break in it is a sign: foreign words in a message cannot make lines of their own.
    """
    piece(f"{visible_line(text)}\n")


def say_lines(text: str) -> None:
    """Several lines for the person, whose line breaks are this program's own."""
    for line in text.split("\n"):
        say(line)


def say_error(error: SparkrunError, about: str) -> None:
    """An error after what it is about: one line, and the remedy below it."""
    say(f"{about}: {error.first}")
    if error.remedy:
        say_lines("\n".join(f"  {line}" for line in error.remedy.split("\n")))


def piece(text: str) -> None:
    """A part of a message, such as a question that waits for its answer on the same line."""
    sys.stderr.write(gate().redact(visible_text(text)))
    sys.stderr.flush()


def report(error: BaseException) -> Exit:
    """Tell an error on stderr as the person needs it and give the exit code for it."""
    if isinstance(error, KeyboardInterrupt):
        say("interrupted")
        return Exit.INTERRUPTED
    if isinstance(error, SparkrunError):
        say_error(error, "sparkrun-tui")
        if in_debug() and error.__cause__ is not None:
            say_lines("".join(traceback.format_exception(error.__cause__)))
        return code_of(error)
    known = of_the_machine(error)
    if known:
        say(f"sparkrun-tui: {known}")
        say("  Make room on the disk, or put right what lies there, and try again.")
    else:
        say(f"sparkrun-tui: unexpected {type(error).__name__}: {error}")
        say(f"  {LOOK}")
    if in_debug():
        # Not raised again: a traceback that Python prints goes past the filter.
        say_lines("".join(traceback.format_exception(error)))
    return Exit.FAILED


def code_of(error: SparkrunError) -> Exit:
    """The exit code that an error stands for."""
    if isinstance(error, (UsageError, SettingsError)):
        return Exit.USAGE
    if isinstance(error, HostError):
        return Exit.HOST
    return Exit.FAILED
