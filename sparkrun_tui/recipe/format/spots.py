"""Places in a recipe's command: their line and column in the file, and whether they are part of a program."""

from __future__ import annotations

import re

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.shell_scanner import QUOTES

_PROGRAM = late_regex(r"\b(?:[gm]?awk|perl|sed|jq|find|xargs|python3?\s+-c|node\s+-e)\b[^|;&\n]*$")


def beginning(recipe: Recipe) -> Spot | None:
    """The beginning of a recipe's file, the place for what is missing; None for a recipe without a file."""
    return Spot(recipe.source.path, 1, 1) if recipe.source.path else None


def command_spot(recipe: Recipe, offset: int) -> Spot | None:
    """The place in the file of a character offset in the recipe's command."""
    first, command = recipe.command_spot, recipe.command
    if first is None or command is None:
        return first
    row = command.count("\n", 0, offset)
    start = command.rfind("\n", 0, offset) + 1
    end = command.find("\n", start)
    line = command[start:] if end < 0 else command[start:end]
    lines = recipe.text_of(first.path).split("\n")
    is_indented = lines[first.line - 1][: first.column - 1].isspace()
    column = first.column if row == 0 or is_indented else 1
    index = first.line - 1 + row
    if index < len(lines) and lines[index][column - 1 :].startswith(line):
        return Spot(first.path, index + 1, column + offset - start)
    return _search(recipe, first, command, offset)


def _search(recipe: Recipe, first: Spot, command: str, offset: int) -> Spot:
    # Folded and quoted scalars have other line breaks than their value: the same words are searched instead.
    word = re.compile(r"\{[\w-]+\}|\S+").match(command, offset)
    if word is None:
        return first
    needle = word.group()
    nth = command.count(needle, 0, offset)
    lines = recipe.text_of(first.path).split("\n")
    start = first.column - 1
    for number in range(first.line - 1, len(lines)):
        at = lines[number].find(needle, start)
        start = 0
        while at >= 0:
            if nth == 0:
                return Spot(first.path, number + 1, at + 1)
            nth -= 1
            at = lines[number].find(needle, at + 1)
    return first


def looks_like_a_program(command: str, offset: int, around: str) -> bool:
    """Whether braces at a place belong to another language: a heredoc's text, a comment, an awk or jq program.

    `around` is what surrounds the place, from `shell_scanner.quotes_at`.
    """
    if around in ("<", "#"):
        return True
    start = max(command.rfind("\n", 0, offset) + 1, offset - 400)
    return around in QUOTES and _PROGRAM.search(command, start, offset) is not None
