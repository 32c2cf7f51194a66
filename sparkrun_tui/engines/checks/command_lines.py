"""Checks of a command as lines for a shell: lines that end it too early, and what it starts besides the engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten, visible_line
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.overrides import LOST_CONTINUATION
from sparkrun_tui.recipe.values.shell_scanner import quotes_at

_MOST = 20
"""The most findings of one kind."""
_WIDTH = 80
_FLAG_LINE = late_regex(r"(?<=\n)[ \t]*(?=--?[A-Za-z])")
_GOES_ON = ("|", "&&", "||", "(", "{", ";", "then", "do", "else")
"""Line endings after which the shell reads on, or a new command may begin."""
_ARRAY = late_regex(r"\w\+?=\([^()]*$")
"""An array that is not closed on its line."""
_RAY = late_regex(r"(?<![\w-])ray start(?![\w-])")
_CONTAINER = late_regex(
    r"(?:^|[;&|(]|\b(?:then|do|else|exec|nohup|time|sudo|eval)\b|-c[ \t]+[\"'])[ \t]*"
    r"(?:[A-Za-z_]\w{0,60}=[^\s;]{0,200}[ \t]+)?"
    r"((?:docker|podman|nerdctl)[ \t]+(?:container[ \t]+)?(?:run|compose)|docker-compose)\b",
    re.MULTILINE,
)
"""A container that is started where a command may begin."""


def check_command(recipe: Recipe, command: str) -> Iterator[Problem]:
    """Lines of the command that end it too early, and what it starts besides the engine."""
    for match in islice(LOST_CONTINUATION.finditer(command), _MOST):
        message = "there are spaces after this backslash: a shell would end the command here, so they are removed"
        remedy = "remove them, so that the command also works elsewhere"
        yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, match.end(1)), remedy)
    for offset, before in islice(_lines_left_alone(command), _MOST):
        shown = _line_at(command, offset)
        message = f"the command ends before the line `{shown}`, which the shell takes as a command of its own: {before}"
        remedy = "write ` \\` at the end of the line before, and leave no line between them"
        yield Problem(Severity.ERROR, "continuation", message, command_spot(recipe, offset), remedy)
    yield from _containers(recipe, command)
    # A plain search first: the pattern tries every letter, at each keystroke.
    ray = _RAY.search(command) if "ray start" in command else None
    if ray is not None and recipe.max_nodes != 1:
        message = "the command starts Ray, but a launch on several hosts has started it already"
        spot = command_spot(recipe, ray.start())
        yield Problem(Severity.WARNING, "ray-in-command", message, spot, "remove `ray start`, and only serve")


def _line_at(command: str, offset: int) -> str:
    return shorten(visible_line(command[offset:].partition("\n")[0].strip()), _WIDTH)


def _containers(recipe: Recipe, command: str) -> Iterator[Problem]:
    """An error where the command starts a container: there is no Docker inside the recipe's own one."""
    for match in islice(_CONTAINER.finditer(command), _MOST):
        start = match.start(1)
        around = quotes_at(command, [start])[start]
        is_argument = around in ("'", '"') and not re.search(r"-c[ \t]+[\"'][^\"']*$", command[:start])
        if around in ("<", "#") or is_argument:
            continue
        message = (
            f"the command starts a container of its own with `{match[1]}`: it runs inside the recipe's container, where"
            " there is no Docker"
        )
        remedy = "write the engine's command alone: the container is made from the recipe's own fields"
        yield Problem(Severity.ERROR, "container-in-command", message, command_spot(recipe, start), remedy)
        return


def _lines_left_alone(command: str) -> Iterator[tuple[int, str]]:
    """Offsets of lines that begin with a flag although the command has ended before, each with the reason in words."""
    lines = command.split("\n")
    starts = []
    at = 0
    for line in lines:
        starts.append(at)
        at += len(line) + 1
    by_line = dict(zip(starts, range(len(lines)), strict=True))
    flags = []
    for match in _FLAG_LINE.finditer(command):
        number = by_line[command.rfind("\n", 0, match.end()) + 1]
        if number and not _plainly_goes_on(lines[number - 1]):
            flags.append(match.end())
    if not flags:
        return
    ends = {start + len(line.rstrip()) - 1 for start, line in zip(starts, lines, strict=True) if line.strip()}
    around = quotes_at(command, sorted({*flags, *ends}))
    in_array = _array_lines(lines)
    for flag in flags:
        number = by_line[command.rfind("\n", 0, flag) + 1]
        if around[flag] != "" or number in in_array:
            continue
        reason = _why_ended(lines, starts, number, around)
        if reason:
            yield flag, reason


def _plainly_goes_on(line: str) -> bool:
    """Whether a line goes on with the next one, as nearly all do: where it holds a `#`, that needs a closer look."""
    text = line.rstrip()
    return text.endswith("\\") and not text.endswith("\\\\") and "#" not in text


def _why_ended(lines: list[str], starts: list[int], number: int, around: dict[int, str]) -> str:
    """Why the command has ended before a line; empty where it goes on, or where nothing is before that line."""
    between = ""
    for above in range(number - 1, -1, -1):
        line = lines[above].strip()
        if not line:
            between = "there is an empty line before it"
            continue
        if line.startswith("#"):
            between = "a comment between the lines ends a command"
            continue
        end = starts[above] + len(lines[above].rstrip()) - 1
        backslashes = len(line) - len(line.rstrip("\\"))
        if backslashes % 2 == 1:
            if around[end] == "#":
                return "the backslash before it is part of a comment"
            return between
        if line.endswith(_GOES_ON):
            return ""
        return between or "the line before it does not end in a backslash"
    return ""


def _array_lines(lines: list[str]) -> set[int]:
    """The numbers of the lines inside an array of the shell (`ARGS=(` to `)`), where each line is a word."""
    inside: set[int] = set()
    is_open = False
    for number, line in enumerate(lines):
        if is_open:
            inside.add(number)
            is_open = ")" not in line
        elif _ARRAY.search(line):
            is_open = True
    return inside
