"""Follows the tracebacks in the log of one process: which lines are code, which exceptions count, where they began."""

from __future__ import annotations

from collections import deque
from dataclasses import field
from enum import Enum

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten

_FRAME = late_regex(r'^ *File "([^"]{1,400})", line (\d{1,9}), in ([\w<>.]{0,100})')
_CODE = late_regex(r"^    |^ {0,20}[\^~]{1,500}$")
_BEGINS = "Traceback (most recent call last)"
_NOT_RAISED = ("Exception ignored in", "--- Logging error ---")
"""What Python writes above a traceback of an exception that ends nothing."""
_ANOTHER = "During handling of the above exception, another exception occurred"
_DIRECT = "The above exception was the direct cause of the following exception"
_NO_WORDS = LinePattern(r'^(?: *File "|Traceback \(most recent|During handling of|The above exception)')
"""Lines of a traceback that say nothing of its cause."""
_EXCEPTION = late_regex(r"^([A-Za-z_][\w.]*+)(?:(:)(?: (.*))?)?$")
_EXCEPTION_WORDS = ("Error", "Exception", "Failure", "Exit", "NotFound", "Timeout", "OfResources")


_MOST_FILES = 40


class Part(Enum):
    """What a line is in a log with tracebacks."""

    WORDS = "what a program says, the last line of a traceback among it"
    FRAME = "a place in a file"
    CODE = "a line of code"
    IGNORED = "a line of a traceback that ended nothing"


class Link(Enum):
    """How an exception is tied to the one above it in the same process."""

    NONE = "not"
    HANDLING = "it was raised while that one was handled"
    DIRECT = "that one is its direct cause"


@dataclass(frozen=True, slots=True)
class Raised:
    """The last line of a traceback: the exception's short name, its words, and where it was raised."""

    name: str
    words: str
    """Empty where only a colon follows the name: the words are in the next lines."""
    files: tuple[str, ...] = ()
    """The files of the last frames, the innermost last; empty where the log does not hold them."""
    functions: tuple[str, ...] = ()
    """The functions of the last frames, beside `files`."""
    is_wordless: bool = False
    """Whether the exception has no words, and `words` says where it was raised."""


@dataclass(slots=True)
class Tracebacks:
    """The state of one process: `part` is asked for each of its lines, `raised` for lines of words."""

    _in_code: bool = False
    _ignoring: bool = False
    _files: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_FILES))
    _functions: deque[str] = field(default_factory=lambda: deque(maxlen=_MOST_FILES))
    _place: str = ""
    _code: str = ""
    _link: Link = Link.NONE

    def part(self, text: str) -> Part:
        """What the next line of the process is."""
        if text.startswith(_NOT_RAISED):
            self._ignoring = True
            return Part.IGNORED
        part = self._part(text)
        if not self._ignoring:
            return part
        if part is not Part.WORDS or _BEGINS in text:
            return Part.IGNORED
        # The exception itself is the last line of what is ignored.
        self._ignoring = False
        if self.raised(text) is None:
            return part
        self.ended()
        return Part.IGNORED

    def raised(self, text: str) -> Raised | None:
        """The exception that a line of words names; None for any other line.

        An exception without words, such as a failed `assert`, is described by the line of code that raised it.
        """
        match = _EXCEPTION.match(text)
        if match is None or not _is_named_so(match[1]):
            return None
        words = (match[3] or "").strip()
        is_wordless = not words and not match[2]
        if is_wordless:
            words = "no further words"
            if self._code:
                words = f"it stopped at `{shorten(self._code, 200)}`{shorten(self._place, 100)}"
        return Raised(
            shorten(match[1].rpartition(".")[2], 100), words, tuple(self._files), tuple(self._functions), is_wordless
        )

    def files(self) -> tuple[str, ...]:
        """The files of the last frames, the innermost last."""
        return tuple(self._files)

    def functions(self) -> tuple[str, ...]:
        """The functions of these frames."""
        return tuple(self._functions)

    def link(self) -> Link:
        """How the exception that is read now is tied to the one above it."""
        return self._link

    def ended(self) -> None:
        """An exception was read: what follows belongs to another one."""
        self._link = Link.NONE
        self._forget_frames()
        self._place, self._code = "", ""

    def _part(self, text: str) -> Part:
        frame = _FRAME.match(text)
        if frame is not None:
            self._in_code = True
            self._files.append(frame[1])
            self._functions.append(frame[3])
            self._place = f" ({frame[1].rpartition('/')[2]}, line {frame[2]})"
            self._code = ""
            return Part.FRAME
        if self._in_code and _CODE.match(text):
            self._code = self._code or text.strip()
            return Part.CODE
        self._in_code = False
        if _BEGINS in text:
            self._forget_frames()
        if _ANOTHER in text:
            self._link = Link.HANDLING
        elif _DIRECT in text:
            self._link = Link.DIRECT
        return Part.WORDS

    def _forget_frames(self) -> None:
        self._files.clear()
        self._functions.clear()


def says_nothing(text: str) -> bool:
    """Whether a line only belongs to the form of a traceback."""
    return _NO_WORDS.search(text) is not None


def _is_named_so(full: str) -> bool:
    """Whether a word is the name of an exception."""
    name = full.rpartition(".")[2]
    if not name[:1].isupper():
        # Libraries in C++ name some like variables: nixlBackendError.
        return name.endswith(("Error", "Exception")) and name[:-5].isalnum()
    return name == "Exception" or any(word in name[1:] for word in _EXCEPTION_WORDS)
