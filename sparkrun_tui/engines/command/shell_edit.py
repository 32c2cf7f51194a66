"""Edits of a shell script that keep every other byte: find the command that serves, add or replace words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.filling import TooLongError, filled_in
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import clean_line
from sparkrun_tui.recipe.values.shell_scanner import Command, Word, simple_commands
from sparkrun_tui.recipe.values.shellwords import TALKS, inner_commands

_PLAIN = late_regex(r"[A-Za-z0-9/._+@%:,=-]+", re.ASCII)
_ASSIGNMENT = late_regex(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)
_REFERENCE = late_regex(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-([^{}$]*))?\})")
_ONLY_REFERENCE = late_regex(r"\"?\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::\?)?\})\"?", re.ASCII)
MAX_VALUE = 4096
"""Longest value of a variable that is worked out, in characters: names, paths, numbers."""


ServeTest = Callable[[Sequence[str]], bool]
"""Whether a simple command, given as its words, starts an engine."""


def find_serve(script: str, serves: ServeTest) -> Command | None:
    """The last simple command of `script` that starts an engine, also inside `bash -c '...'`; None if there is none.

    Raises `ValueError` where the script is not valid shell.
    """
    found = serve_commands(script, serves)
    if not found:
        return None
    return found[0]


def serve_commands(script: str, serves: ServeTest) -> list[Command]:
    """All simple commands of `script` that start an engine, the last one first.

    Raises `ValueError` where the script is not valid shell.
    """
    found: list[Command] = []
    for words in reversed(simple_commands(script)):
        texts = [word.text for word in words]
        if texts[0] not in TALKS and serves(texts):
            found.append(words)
            continue
        for command in reversed(inner_commands(script, words)):
            if serves([word.text for word in command]):
                found.append(command)
    return found


def all_commands(script: str) -> list[Command]:
    """All simple commands of `script` and of the quoted scripts of its `bash -c` calls. Raises `ValueError`."""
    found: list[Command] = []
    for words in simple_commands(script):
        found.append(words)
        found += inner_commands(script, words)
    return found


def outer_command(script: str, words: Command) -> Command:
    """The simple command of `script` that is `words`, or whose `bash -c` script contains them."""
    for command in simple_commands(script):
        if command == words:
            return words
        if command[0].start <= words[0].start and words[-1].end <= command[-1].end:
            return command
    return words


def is_plain(text: str) -> bool:
    """Whether a shell reads a text literally, also inside quotes."""
    return _PLAIN.fullmatch(text) is not None


def word_at(script: str, at: int, value: str) -> str:
    """`value` as one shell word, for a place where a word of the script begins.

    Raises `LaunchError` where the place is inside the quoted script of a `bash -c` and the value is not plain: its
    quotes would end those of the script.
    """
    if is_plain(value):
        return value
    if _inside_word(script, at):
        raise LaunchError(
            f"`{clean_line(value)}` holds special characters and cannot be put into the quoted script of the command",
            remedy="remove `bash -c` and the quotes from the recipe's command",
        )
    return shell.word(value)


def _inside_word(script: str, at: int) -> bool:
    """Whether a place is inside a word of the script, not at the beginning of one."""
    for words in simple_commands(script):
        for word in words:
            if word.start == at:
                return False
    return True


def insert_after(script: str, words: Command, arguments: Iterable[str]) -> str:
    """`script` with `arguments` added to the end of one of its commands. Raises `LaunchError`, see `word_at`."""
    addition = "".join(f" {word_at(script, words[-1].start, argument)}" for argument in arguments)
    if not addition:
        return script
    at = words[-1].end
    # Without the blank `8000>log` would become `... 2>log`, which redirects another stream.
    if needs_gap(script, at, "'\");"):
        addition += " "
    return f"{script[:at]}{addition}{script[at:]}"


def needs_gap(script: str, at: int, ends: str) -> bool:
    """Whether a word that ends at a place needs a blank after it: none at the end, a blank or one of `ends`."""
    follows = script[at : at + 1]
    if not follows or follows.isspace():
        return False
    return follows not in ends


@dataclass(frozen=True, slots=True)
class Splice:
    """Replace the text between two places."""

    start: int
    end: int
    text: str


def splice(script: str, changes: Iterable[Splice]) -> str:
    """`script` with all changes made; they must not overlap."""
    for change in sorted(changes, key=lambda change: change.start, reverse=True):
        script = script[: change.start] + change.text + script[change.end :]
    return script


def last_value(words: Sequence[Word], flags: Iterable[str]) -> str | None:
    """The value of the last of `flags` among the words (`--x v`, `--x=v`); None where none is given."""
    names = frozenset(flags)
    value = None
    for index, word in enumerate(words):
        head, equals, tail = word.text.partition("=")
        if word.text in names:
            value = ""
            if index + 1 < len(words):
                value = words[index + 1].text
        elif equals and head in names:
            value = tail
    return value


def assignments(script: str) -> dict[str, str]:
    """The variables that a script sets by `NAME=value` or `export NAME=value`, with their last values.

    A value that is not plain becomes empty.
    """
    found: dict[str, str] = {}
    for words in simple_commands(script):
        for word in words:
            match = _ASSIGNMENT.fullmatch(word.text)
            if match is None:
                if word.text not in ("export", "declare", "local", "readonly"):
                    break
                continue
            found[match[1]] = plain_value(match[2], found) or ""
    return found


def variable_in(text: str) -> str:
    """The variable that a word is and nothing else (`$NAME`, `"${NAME}"`, `${NAME:?}`); empty for any other word."""
    match = _ONLY_REFERENCE.fullmatch(text)
    if match is None:
        return ""
    return match[1] or match[2]


def plain_value(text: str, variables: Mapping[str, str]) -> str | None:
    """`text` with `$NAME`, `${NAME}` and `${NAME:-default}` filled in; None where the result is not plain.

    A result longer than `MAX_VALUE` is not plain: variables may be made of one another, each twice as long.
    """

    def fill(match: re.Match[str]) -> str:
        value = variables.get(match[1] or match[2], "")
        if value:
            return value
        default: str | None = match[3]
        if default is not None:
            return default
        return match[0]

    try:
        filled = filled_in(_REFERENCE, text, fill, MAX_VALUE)
    except TooLongError:
        return None
    if "$" in filled or "`" in filled:
        return None
    return filled
