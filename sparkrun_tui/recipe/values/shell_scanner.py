"""Reads a bash script without running it: its simple commands, their words, and the quotes around each place.

Nothing is expanded: `$NAME`, `$(...)`, `${...}`, `<(...)` and globs stay in a word as they are written. One pass,
linear in the length of the script. `docs/decisions/008-own-shell-scanner.md` says why this is not a library.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import field
from functools import lru_cache

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import decode

QUOTES = ("'", '"', "$'")
"""What `quotes_at` says of places that are quoted."""

MAX_DEPTH = 60
"""Levels of quotes, brackets and substitutions inside each other; a script with more is refused."""

_BLANKS = late_regex(r"[ \t\r]+")
_PLAIN = late_regex(r"""[^ \t\r\n'"\\;&|()<>$`]+""")
_CONTINUED = late_regex(r"\\\r?\n")
_OPERATOR = late_regex(r";;&|;;|;&|&&|\|\||\|&|[;&|()]")
_REDIRECT = late_regex(r"&>>|&>|<<<|<<-|<<|>>|>\||>&|<&|<>|[<>]")
_DESCRIPTOR = late_regex(r"\d+|\{[A-Za-z_]\w*\}", re.ASCII)
"""What belongs to a redirection where it stands right before one."""
_ARRAY = late_regex(r"[A-Za-z_]\w*(?:\[[^\]]*\])?\+?=", re.ASCII)
_NO_PARAMETERS = late_regex(r"\([ \t]*\)")

_IN_SINGLE = late_regex(r"[^']*")
_IN_ANSI = late_regex(r"(?:[^'\\]|\\[\s\S])*")
_IN_DOUBLE = late_regex(r"""[^"\\$`]+""")
_IN_BACKTICKS = late_regex(r"(?:[^`\\]|\\[\s\S])*")
_IN_BRACKETS = late_regex(r"""[^()'"\\$`]+""")
_IN_PARAMETER = late_regex(r"""[^}'"\\$`]+""")

_ANSI = late_regex(
    r"(?P<bytes>(?:\\(?:[0-7]{1,3}|x[0-9a-fA-F]{1,2}))+)"
    r"|\\(?:u([0-9a-fA-F]{1,4})|U([0-9a-fA-F]{1,8})|c([\s\S])|([\s\S]))"
)
_BYTE = late_regex(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2}))")
_LETTERS = {
    "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
    "\\": "\\", "'": "'", '"': '"', "?": "?",
}  # fmt: skip
_NO_COMMAND = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "time", "function"}
)
"""Reserved words behind which a command may begin, or the list goes on; `function` with the name behind it."""


@dataclass(frozen=True, slots=True)
class Word:
    """One word: what the program gets (quotes removed, nothing expanded), and its place in the script."""

    text: str
    start: int
    end: int


Command = tuple[Word, ...]
"""One simple command of a script; operators, redirections, heredocs and reserved words are left out."""


def simple_commands(script: str, offset: int = 0) -> list[Command]:
    """The simple commands of a script in order, `offset` added to all places.

    Commands inside substitutions are part of their word. Raises `ValueError` at a quote or bracket that is
    never closed, and where more than `MAX_DEPTH` are inside each other.
    """
    reading = _read(script, offset)
    if reading.error:
        raise ValueError(reading.error)
    return list(reading.commands)


def quotes_at(text: str, offsets: Iterable[int]) -> dict[int, str]:
    """What surrounds each of some places in a command.

    `'`, `"` or `$'` inside such quotes, `<` inside a heredoc, `#` inside a comment, else empty. The innermost counts:
    a place in `"$(here)"` is not quoted. In a script that cannot be read to its end, the rest is all alike.
    """
    # What was read up to an error stands: a quote that is never closed surrounds the rest of the script.
    marks = _read(text, 0).marks
    starts = [start for start, _ in marks]
    return {offset: marks[bisect_right(starts, offset) - 1][1] for offset in offsets}


@dataclass(frozen=True, slots=True)
class _Reading:
    """What one pass over a script found, up to its first error."""

    commands: tuple[Command, ...]
    marks: tuple[tuple[int, str], ...]
    error: str


@lru_cache(maxsize=8)
def _read(script: str, offset: int) -> _Reading:
    """One pass over a script, kept for the next question: a form asks several about the same command at each key."""
    scanner = _Scanner(script, offset)
    error = ""
    try:
        scanner.run()
    except ValueError as problem:
        error = str(problem) or "the script cannot be read"
    return _Reading(tuple(scanner.commands), tuple(scanner.marks), error)


@dataclass(slots=True)
class _List:
    """A list of commands that is being read: a script, or what stands inside `$( )`."""

    found: list[Command]
    words: list[Word] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    """The words as they are written: a reserved word that is quoted is none."""
    pieces: list[str] = field(default_factory=list)
    start: int = -1
    """Where the word begins that is being read; -1 between words."""
    end: int = -1
    next_is: str = "word"
    """What the next word is: `word`, `target` of a redirection, `delimiter` or `tabbed` delimiter of a heredoc."""
    cases: list[str] = field(default_factory=list)
    """For each `case` that is open: whether a `pattern` comes next, or its `body` is being read."""
    subshells: int = 0
    in_test: bool = False
    """Inside `[[ ]]`."""

    @property
    def in_pattern(self) -> bool:
        return bool(self.cases) and self.cases[-1] == "pattern"

    def end_command(self) -> None:
        if self.words and not self.in_pattern:
            self.found.append(tuple(self.words))
        self.forget_words()

    def forget_words(self) -> None:
        self.words.clear()
        self.raw.clear()


class _Scanner:
    def __init__(self, text: str, offset: int) -> None:
        self.commands: list[Command] = []
        self.marks: list[tuple[int, str]] = [(0, "")]
        """Places from which on something else surrounds the text, in order."""
        self._text = text
        self._end = len(text)
        self._offset = offset
        self._at = 0
        self._depth = 0
        self._around = ""
        self._subshells: set[int] = set()
        """Places of `((` that are known not to be arithmetic."""
        self._heredocs: list[tuple[str, bool, bool]] = []
        """Heredocs that begin at the next line: delimiter, whether tabs may stand before it, whether it is quoted."""

    def run(self) -> None:
        self._list(self.commands, closer="")

    # Lists of commands.

    def _list(self, found: list[Command], closer: str) -> None:
        """Read commands up to `closer`, which is `)` or, empty, the end of the text."""
        text = self._text
        state = _List(found)
        while self._at < self._end:
            char = text[self._at]
            if char in " \t\r":
                self._finish(state)
                self._skip(_BLANKS)
            elif char == "\n":
                self._newline(state)
            elif char == "#" and state.start < 0:
                self._comment()
            elif char == "\\" and (continued := _CONTINUED.match(text, self._at, self._end)):
                self._at = continued.end()
            elif char in "<>" or text.startswith("&>", self._at):
                self._angle(state)
            elif char in ";&|()":
                if self._operator(state, closer):
                    return
            else:
                self._take_piece(state)
        self._finish(state)
        state.end_command()
        if closer:
            raise self._open(self._at)

    def _newline(self, state: _List) -> None:
        self._finish(state)
        if not state.in_test:
            state.end_command()
        self._at += 1
        while self._heredocs:
            self._heredoc(*self._heredocs.pop(0))

    def _comment(self) -> None:
        stop = self._text.find("\n", self._at, self._end)
        with self._surrounded("#"):
            self._at = self._end if stop < 0 else stop

    def _heredoc(self, delimiter: str, tabbed: bool, quoted: bool) -> None:
        """Skip the text of a heredoc and the line that ends it; one that is never closed goes to the end."""
        continued = False
        with self._surrounded("<"):
            while self._at < self._end:
                stop = self._text.find("\n", self._at, self._end)
                stop = self._end if stop < 0 else stop
                line = self._text[self._at : stop].rstrip("\r")
                self._at = stop
                if (line.lstrip("\t") if tabbed else line) == delimiter and not continued:
                    return
                self._at = min(stop + 1, self._end)
                backslashes = len(line) - len(line.rstrip("\\"))
                continued = not quoted and backslashes % 2 == 1

    def _angle(self, state: _List) -> None:
        """A redirection, a process substitution, or a comparison inside `[[ ]]`."""
        if self._text.startswith(("<(", ">("), self._at):
            self._take_piece(state)
            return
        if self._is_plain_in_test(state):
            self._take(state, self._text[self._at], 1)
            return
        written = self._text[state.start : state.end]
        if state.start >= 0 and _DESCRIPTOR.fullmatch(written):
            state.pieces.clear()
            state.start = -1
        self._finish(state)
        match = _REDIRECT.match(self._text, self._at, self._end)
        assert match is not None
        self._at = match.end()
        kinds = {"<<": "delimiter", "<<-": "tabbed"}
        state.next_is = kinds.get(match.group(), "target")

    def _operator(self, state: _List, closer: str) -> bool:
        """Read an operator; whether it is the one that closes the list."""
        if self._is_plain_in_test(state):
            self._take(state, self._text[self._at], 1)
            return False
        if self._text[self._at] == "(" and self._opens_array(state):
            self._array(state)
            return False
        self._finish(state)
        if self._text.startswith("((", self._at) and state.raw in ([], ["for"]) and self._arithmetic_command():
            state.forget_words()
            return False
        no_parameters = _NO_PARAMETERS.match(self._text, self._at, self._end)
        if no_parameters and len(state.words) == 1 and not state.in_pattern:
            # The head of a function, whose body is a list like any other.
            state.forget_words()
            self._at = no_parameters.end()
            return False
        match = _OPERATOR.match(self._text, self._at, self._end)
        assert match is not None
        operator = match.group()
        self._at = match.end()
        if state.in_pattern:
            state.forget_words()
            if operator == ")":
                state.cases[-1] = "body"
            return False
        state.end_command()
        state.next_is = "word"
        if operator in (";;", ";&", ";;&") and state.cases:
            state.cases[-1] = "pattern"
        elif operator == "(":
            state.subshells += 1
            if state.subshells > MAX_DEPTH:
                raise self._too_deep()
        elif operator == ")":
            if state.subshells == 0:
                return closer == ")"
            state.subshells -= 1
        return False

    def _is_plain_in_test(self, state: _List) -> bool:
        """Whether an operator at this place means nothing, because it stands inside `[[ ]]`."""
        if not state.in_test or self._text[self._at] == ";":
            return False
        if state.start >= 0 and self._text[state.start : self._at] == "]]":
            self._finish(state)
        return state.in_test

    # Words.

    def _take(self, state: _List, piece: str, length: int) -> None:
        """Add text of `length` characters to the word, which `piece` is what a program gets of."""
        if state.start < 0:
            state.start = self._at
        state.pieces.append(piece)
        self._at += length
        state.end = self._at

    def _take_piece(self, state: _List) -> None:
        if state.start < 0:
            state.start = self._at
        state.pieces.append(self._piece())
        state.end = self._at

    def _finish(self, state: _List) -> None:
        """The word that is being read, if any, ends here."""
        if state.start < 0:
            return
        text = "".join(state.pieces)
        written = self._text[state.start : state.end]
        word = Word(text, state.start + self._offset, state.end + self._offset)
        kind = state.next_is
        state.pieces.clear()
        state.start, state.next_is = -1, "word"
        if kind in ("delimiter", "tabbed"):
            self._heredocs.append((text, kind == "tabbed", written != text))
        elif kind == "word":
            state.words.append(word)
            state.raw.append(written)
            self._reserved(state)

    def _reserved(self, state: _List) -> None:
        """Act on the reserved word that a command begins with, if it does."""
        raw = state.raw
        first = raw[0]
        if state.in_test:
            state.in_test = raw[-1] != "]]"
        elif first == "esac" and len(raw) == 1 and state.cases:
            state.cases.pop()
            state.forget_words()
        elif state.in_pattern:
            return
        elif first == "[[" and len(raw) == 1:
            state.in_test = True
        elif first == "case" and len(raw) == 3 and raw[2] == "in":
            state.forget_words()
            state.cases.append("pattern")
        elif len(raw) == (2 if first == "function" else 1) and first in _NO_COMMAND:
            state.forget_words()

    def _opens_array(self, state: _List) -> bool:
        return state.start >= 0 and _ARRAY.fullmatch(self._text, state.start, self._at) is not None

    def _array(self, state: _List) -> None:
        """Read `(a b)` behind `NAME=` as part of the word."""
        start = self._at
        self._at += 1
        with self._surrounded(""):
            while self._at < self._end and self._text[self._at] != ")":
                char = self._text[self._at]
                between = self._text[self._at - 1] in " \t\r\n("
                if char == "#" and between:
                    self._comment()
                elif char in " \t\r\n":
                    self._at += 1
                else:
                    self._piece()
            self._close(")", start)
        state.pieces.append(self._text[start : self._at])
        state.end = self._at

    def _piece(self) -> str:
        """Read one piece of a word: quoted text, a substitution, or plain text; what the program gets of it."""
        text = self._text
        char = text[self._at]
        if char == "'":
            return self._quoted(1, "'", _IN_SINGLE)
        if text.startswith("$'", self._at):
            return _ansi(self._quoted(2, "$'", _IN_ANSI))
        if char == '"':
            return self._double()
        if text.startswith('$"', self._at):
            self._at += 1
            return self._double()
        if char == "\\":
            return self._escape()
        if char in "$`" or text.startswith(("<(", ">("), self._at):
            return self._substitution()
        start = self._at
        # An operator where none can stand counts as text.
        self._at += 1
        self._skip(_PLAIN)
        return text[start : self._at]

    def _escape(self) -> str:
        start = self._at
        self._at = min(start + 2, self._end)
        # A backslash that ends the script means itself.
        return self._text[start + 1 : self._at] or "\\"

    def _quoted(self, opening: int, around: str, content: re.Pattern[str]) -> str:
        """Read quotes that nothing can stand inside of; `opening` is the length of the sign that opens them."""
        start = self._at
        with self._surrounded(around):
            self._at += opening
            begin = self._at
            self._skip(content)
            stop = self._at
            self._close("'", start)
        return self._text[begin:stop]

    def _double(self) -> str:
        start = self._at
        pieces: list[str] = []
        with self._surrounded('"'):
            self._at += 1
            while self._at < self._end and self._text[self._at] != '"':
                char = self._text[self._at]
                if char == "\\":
                    pieces.append(self._escape_in_double())
                elif char in "$`":
                    pieces.append(self._substitution())
                else:
                    begin = self._at
                    self._skip(_IN_DOUBLE)
                    pieces.append(self._text[begin : self._at])
            self._close('"', start)
        return "".join(pieces)

    def _escape_in_double(self) -> str:
        start = self._at
        continued = _CONTINUED.match(self._text, start, self._end)
        if continued:
            self._at = continued.end()
            return ""
        self._at = min(start + 2, self._end)
        written = self._text[start : self._at]
        return written[1:] if written[1:] in ("$", "`", '"', "\\") else written

    # Substitutions: their text is kept as it is written.

    def _substitution(self) -> str:
        """Read `$` or a backtick, or `<(`, with all that belongs to it."""
        text = self._text
        start = self._at
        if text.startswith("$((", start):
            with self._surrounded(""):
                self._at += 3
                self._brackets(start, level=2)
        elif text.startswith(("$(", "<(", ">("), start):
            with self._surrounded(""):
                self._at += 2
                self._list([], closer=")")
        elif text.startswith("${", start):
            self._parameter()
        elif text[start] == "`":
            self._backticks()
        else:
            # `$$` is the number of the shell, also before `(` and `{`.
            self._at += 2 if text.startswith("$$", start) else 1
        return text[start : self._at]

    def _arithmetic_command(self) -> bool:
        """Read `((...))` where a command may begin; where two subshells begin, nothing is read."""
        start, marks = self._at, len(self.marks)
        if start in self._subshells:
            return False
        with self._surrounded(""):
            self._at += 2
            self._brackets(start, level=1)
        if self._text.startswith(")", self._at):
            self._at += 1
            return True
        # Remembered, or a script of such brackets inside each other would be read twice at every level.
        self._subshells.add(start)
        self._at = start
        del self.marks[marks:]
        return False

    def _brackets(self, start: int, level: int) -> None:
        """Read up to the bracket that closes the last of `level` open ones."""
        while self._at < self._end and level:
            char = self._text[self._at]
            if char in "()":
                level += 1 if char == "(" else -1
                self._at += 1
            elif char in "'\"\\$`":
                self._piece()
            else:
                self._skip(_IN_BRACKETS)
        if level:
            raise self._open(start)

    def _parameter(self) -> None:
        """Read `${...}`, in which single quotes count inside double quotes too."""
        start = self._at
        with self._surrounded(self._around):
            self._at += 2
            while self._at < self._end and self._text[self._at] != "}":
                if self._text[self._at] in "'\"\\$`":
                    self._piece()
                else:
                    self._skip(_IN_PARAMETER)
            self._close("}", start)

    def _backticks(self) -> None:
        """Read up to the next backtick that has no backslash; what stands between is a script."""
        start, end = self._at, self._end
        stop = _IN_BACKTICKS.match(self._text, start + 1, end)
        assert stop is not None
        if stop.end() == end:
            raise self._open(start)
        with self._surrounded(""):
            self._at, self._end = start + 1, stop.end()
            self._list([], closer="")
            self._at, self._end = stop.end() + 1, end

    # Small steps.

    @contextmanager
    def _surrounded(self, around: str) -> Iterator[None]:
        """From here to where the block ends, `around` surrounds the text."""
        outer = self._around
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._too_deep()
        self._around = around
        self.marks.append((self._at, around))
        yield
        self._depth -= 1
        self._around = outer
        self.marks.append((self._at, outer))

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at, self._end)
        if match:
            self._at = match.end()

    def _close(self, sign: str, start: int) -> None:
        """Step over the sign that closes what was opened at `start`."""
        if self._at >= self._end or not self._text.startswith(sign, self._at):
            raise self._open(start)
        self._at += len(sign)

    def _open(self, at: int) -> ValueError:
        return ValueError(f"unbalanced quote or bracket at offset {at}")

    def _too_deep(self) -> ValueError:
        return ValueError(f"more than {MAX_DEPTH} quotes and brackets inside each other, at offset {self._at}")


def _ansi(text: str) -> str:
    r"""The text inside `$'...'` with its escapes read: `\n`, `\x41`, `\u00e9`."""
    if "\\" not in text:
        return text

    def read(match: re.Match[str]) -> str:
        encoded, short, long, control, letter = match.groups()
        if encoded:
            # Several bytes may make one character.
            found = _BYTE.finditer(encoded)
            data = bytearray()
            for byte in found:
                data.append(int(byte[1], 8) & 0xFF if byte[1] else int(byte[2], 16))
            return decode(bytes(data))
        if short or long:
            number = int(short or long, 16)
            is_character = number < 0xD800 or 0xDFFF < number <= 0x10FFFF
            return chr(number) if is_character else match.group()
        if control:
            return chr(ord(control.upper()) & 0x1F) if control.isascii() else match.group()
        return _LETTERS.get(letter, match.group())

    # Bash ends such a text at its first zero byte.
    return _ANSI.sub(read, text).partition("\0")[0]
