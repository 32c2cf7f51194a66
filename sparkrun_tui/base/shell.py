"""The one way from a value to shell text: every value that goes into a script is quoted here.

A script is a constant template with `{slots}`. `script` quotes what it puts into them and refuses a template with a
slot where a quoted word would not stay one word: inside quotes, a comment, a heredoc or an expansion.

What is sent to a host or shown for pasting has the type `Text`, so mypy refuses a plain string there.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from functools import lru_cache
from typing import overload

from sparkrun_tui.base.reading.identifiers import variable_name
from sparkrun_tui.base.regexes import late_regex


class Text(str):
    """Shell text that may be run as it is. Only this module creates it."""

    __slots__ = ()

    @overload
    def __add__(self, other: Text) -> Text: ...
    @overload
    def __add__(self, other: str) -> str: ...
    def __add__(self, other: str) -> str:
        joined = str.__add__(self, other)
        return Text(joined) if isinstance(other, Text) else joined


def word(value: str) -> Text:
    """`value` as one word of a shell (sh, bash); a NUL character, which no word can hold, becomes `␀`."""
    return Text(shlex.quote(value.replace("\0", "␀")))


def words(values: Iterable[str]) -> Text:
    """Values as words with a blank between them; empty when there are none."""
    return Text(" ".join(word(value) for value in values))


def override(key: str, value: str) -> Text:
    """`-o key=value` as it is typed for a launch."""
    return words(["-o", f"{key}={value}"])


def operand(text: str) -> str:
    """`text` as a name or a path that no program takes for an option: `-x` is the file `./-x`."""
    if text.startswith("-"):
        return f"./{text}"
    return text


def variable(name: str) -> Text:
    """A reference to an environment variable, as one word. Raises `ValueError` for what is not a variable name."""
    if variable_name(name) is None:
        raise ValueError(f"not the name of a variable: {name!r}")
    return Text(f'"${{{name}}}"')


def required_variable(name: str) -> Text:
    """A reference like `variable`, at which a script ends with an error when the variable is unset or empty."""
    if variable_name(name) is None:
        raise ValueError(f"not the name of a variable: {name!r}")
    return Text(f'"${{{name}:?}}"')


def assignment(name: str, value: str) -> Text:
    """A line that sets a variable. Raises `ValueError` for what is not a variable name."""
    if variable_name(name) is None:
        raise ValueError(f"not the name of a variable: {name!r}")
    return Text(f"{name}={word(value)}\n")


def path_word(path: str) -> Text:
    """A path as one word; a leading `~` alone or before `/` becomes the home folder of the user who runs it."""
    if path == "~":
        return Text('"$HOME"')
    if path.startswith("~/"):
        rest = path[1:].lstrip("/")
        if not rest:
            return Text('"$HOME"/')
        return Text('"$HOME"/' + word(rest))
    return word(path)


def path_words(paths: Iterable[str]) -> Text:
    """Paths as words with a blank between them; see `path_word`."""
    return Text(" ".join(path_word(path) for path in paths))


def script(template: str, /, **values: str | int) -> Text:
    """A constant `template` with its `{slots}` filled: text is quoted as one word, `Text` goes in as it is.

    Braces of the shell are doubled. Raises `ValueError` for a wrong template: a slot without a value, a format in a
    slot, or a slot where a word is not allowed.
    """
    parts = []
    for literal, slot in _pieces(template):
        parts.append(literal)
        if slot:
            parts.append(_filled(values[slot]))
    return Text("".join(parts))


def joined(parts: Iterable[Text], between: str = "") -> Text:
    """Pieces of shell text in a row, with a constant between them."""
    return Text(between.join(parts))


def authored(text: str) -> Text:
    """Commands that a recipe's author wrote, to be run unchanged; never for text from a host or for a name."""
    return Text(text)


def comment(text: str) -> Text:
    """`text` as comment lines, each with a line end."""
    # splitlines() breaks at every character that a shell or a terminal might treat as a line end.
    return Text("".join(f"# {line}\n" for line in text.splitlines()))


def _filled(value: str | int) -> str:
    if isinstance(value, Text):
        return value
    return word(value) if isinstance(value, str) else str(int(value))


@lru_cache(maxsize=256)
def _pieces(template: str) -> tuple[tuple[str, str], ...]:
    """The template as pairs of literal text and the slot that follows it, empty at the end."""
    from string import Formatter  # scripts are for launches; most commands make none

    found = []
    places = _Places()
    for literal, slot, form, conversion in Formatter().parse(template):
        places.read(literal)
        if slot is None:
            found.append((literal, ""))
            continue
        if form or conversion or not slot.isidentifier():
            raise ValueError(f"a slot must be a plain name: {{{slot}}} in {template!r}")
        if not places.word_is_allowed():
            raise ValueError(f"a word is not allowed at {{{slot}}} in {template!r}")
        places.pass_word()
        found.append((literal, slot))
    return tuple(found)


_HEREDOC = late_regex(r"<<-?[ \t]*(?P<quote>['\"]?)(?P<name>\w+)(?P=quote)")
_FREE = ("script", "round")


class _Places:
    """Reads shell text piece by piece, and keeps track of what surrounds the current place."""

    def __init__(self) -> None:
        self._around = ["script"]
        self._before = "\n"
        """The character before."""
        self._heredocs: list[str] = []
        """Delimiters of heredocs that begin at the next line."""
        self._line = ""
        """The part of the line that has been read, inside a heredoc."""

    def word_is_allowed(self) -> bool:
        """Whether a quoted word stays one word here."""
        # A backslash before it would escape its first quote, a dollar sign would make it another kind of quote.
        return self._around[-1] in _FREE and self._before not in ("\\", "$")

    def pass_word(self) -> None:
        """Continue behind a word."""
        self._before = "x"

    def read(self, text: str) -> None:
        """Continue with more of the template's text."""
        at = 0
        while at < len(text):
            at += self._step(text, at)

    def _step(self, text: str, at: int) -> int:
        """How many characters were read at a place."""
        around, char = self._around[-1], text[at]
        if around == "heredoc":
            self._in_heredoc(char)
            length = 1
        elif around == "comment":
            if char == "\n":
                self._around.pop()
                return 0
            length = 1
        elif around == "single":
            length = self._end_at(text, at, "'")
        elif char == "\\":
            length = min(2, len(text) - at)
        elif around == "arithmetic":
            length = self._end_at(text, at, "))")
        elif around == "double":
            length = self._opened(text, at) or self._end_at(text, at, '"')
        elif around == "braces":
            length = self._opened(text, at, '"') or self._end_at(text, at, "}")
        elif around == "backquotes":
            length = self._end_at(text, at, "`")
        else:
            length = self._in_script(text, at)
        if length:
            self._before = text[at + length - 1]
        is_escape = char == "\\" and length == 2
        if is_escape and around != "single":
            self._before = "x"
        return length

    def _end_at(self, text: str, at: int, end: str) -> int:
        if not text.startswith(end, at):
            return 1
        self._around.pop()
        return len(end)

    def _opened(self, text: str, at: int, quotes: str = "") -> int:
        """The length of what opens a nested part here (quotes, brackets); 0 when nothing does."""
        openings = {"$((": "arithmetic", "$(": "round", "${": "braces", "`": "backquotes"}
        kinds = {"'": "single", '"': "double"}
        for quote in quotes:
            openings[quote] = kinds[quote]
        for opening, around in openings.items():
            if text.startswith(opening, at):
                self._around.append(around)
                return len(opening)
        return 0

    def _in_script(self, text: str, at: int) -> int:
        char = text[at]
        if length := self._opened(text, at, "'\""):
            return length
        if char == "#" and self._before in " \t\n;&|()":
            self._around.append("comment")
        elif char == "(":
            self._around.append("round")
        elif char == ")" and self._around[-1] == "round":
            self._around.pop()
        elif text.startswith("<<<", at):
            return 3
        elif char == "<" and (match := _HEREDOC.match(text, at)):
            self._heredocs.append(match["name"])
            return match.end() - at
        elif char == "\n" and self._heredocs:
            self._around.append("heredoc")
            self._line = ""
        return 1

    def _in_heredoc(self, char: str) -> None:
        if char != "\n":
            self._line += char
            return
        if self._line.lstrip("\t") == self._heredocs[0]:
            self._heredocs.pop(0)
            if not self._heredocs:
                self._around.pop()
        self._line = ""
