"""A shell command as words: quotes, continuations and comments understood, nothing expanded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_PIECE = re.compile(
    r"""(?P<space>[ \t\r]+|\\\r?\n)"""
    r"""|(?P<newline>\n)"""
    r"""|(?P<heredoc><<-?(?!<))"""
    r"""|(?P<redirect>\d*(?:&>>|&>|>>|>\||>&|<&|<<<|<>|>|<))"""
    r"""|(?P<operator>&&|\|\||\|&|;;|[;&|()])"""
    r"""|(?P<plain>(?:[^\s'"\\;&|()<>$`]|\$(?!\())+)"""
    r"""|(?P<single>'[^']*')"""
    r"""|(?P<double>"(?:[^"\\]|\\[\s\S])*")"""
    r"""|(?P<escape>\\[\s\S])"""
    r"""|(?P<substitution>\$\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|`[^`]*`)"""
)
_IN_WORD = frozenset({"plain", "single", "double", "escape", "substitution"})
_DELIMITER = re.compile(r"\s*(['\"]?)([\w.-]+)\1")
_IN_DOUBLE = re.compile(r'\\(?:\r?\n|([$`"\\]))')
_ENGINES = re.compile(r"(^|/)(vllm|sglang|llama-server|server)$")
_MODULES = frozenset({"sglang.launch_server", "vllm.entrypoints.openai.api_server"})


def commands(text: str) -> list[list[str]]:
    """The simple commands of a script as lists of words; operators, redirections and heredocs are left out.

    Raises `ValueError` at a quote that is never closed.
    """
    return _Splitter(text).run()


class _Splitter:
    """One pass over a script; `word` holds the pieces of the word that is being read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[list[str]] = [[]]
        self.word: list[str] | None = None
        self.after = ""
        self.delimiters: list[str] = []

    def run(self) -> list[list[str]]:
        text, at, end = self.text, 0, len(self.text)
        while at < end:
            if self.word is None and text[at] == "#":
                stop = text.find("\n", at)
                at = end if stop < 0 else stop
                continue
            match = _PIECE.match(text, at)
            if match is None:
                raise ValueError(f"unbalanced quote or bracket at offset {at}")
            at = match.end()
            kind, piece = str(match.lastgroup), match.group()
            if kind in _IN_WORD:
                self.word = [] if self.word is None else self.word
                self.word.append(_unquote(kind, piece))
            else:
                at = self._between(kind, at)
        self._finish()
        return [words for words in self.found if words]

    def _between(self, kind: str, at: int) -> int:
        self._finish()
        if kind in ("heredoc", "redirect"):
            self.after = kind
        elif kind in ("newline", "operator"):
            if self.found[-1]:
                self.found.append([])
            if kind == "newline" and self.delimiters:
                at = after_heredocs(self.text, at, self.delimiters)
                self.delimiters.clear()
        return at

    def _finish(self) -> None:
        if self.word is None:
            return
        joined = "".join(self.word)
        if self.after == "heredoc":
            self.delimiters.append(joined)
        elif not self.after:
            self.found[-1].append(joined)
        self.word, self.after = None, ""


def _unquote(kind: str, piece: str) -> str:
    if kind == "single":
        return piece[1:-1]
    if kind == "double":
        return _IN_DOUBLE.sub(lambda match: match[1] or "", piece[1:-1])
    return piece[1:] if kind == "escape" else piece


def after_heredocs(text: str, at: int, delimiters: Sequence[str]) -> int:
    """Where the text goes on after the heredocs that begin at `at`; its end when one is never closed."""
    # Line by line: a command may open thousands of heredocs, and a pattern would have to be made for each of them.
    start = at
    for delimiter in delimiters:
        at = _end_of_heredoc(text, start, delimiter)
        start = at + 1
    return at


def _end_of_heredoc(text: str, at: int, delimiter: str) -> int:
    """The end of the first line from `at` on that is the delimiter alone; the end of the text without one."""
    while at < len(text):
        end = text.find("\n", at)
        if end < 0:
            end = len(text)
        line = text[at:end].lstrip("\t")
        if line.startswith(delimiter) and not line[len(delimiter) :].strip(" \t\r"):
            return end
        at = end + 1
    return len(text)


def serve_argv(text: str) -> tuple[str, ...]:
    """The words of the one command of a script that starts an engine, else of its last command.

    Empty when the shell syntax cannot be split.
    """
    try:
        found = commands(text)
    except ValueError:
        return ()
    for words in reversed(found):
        if any(_ENGINES.search(word) for word in words[:8]) or _MODULES & set(words[:8]):
            return tuple(words)
    return tuple(found[-1]) if found else ()


def flag_value(argv: Sequence[str], flags: Iterable[str]) -> str | None:
    """The value given to any of `flags` in an argument list (`--x v` or `--x=v`), the last one if several."""
    names = frozenset(flags)
    value = None
    for index, word in enumerate(argv):
        if word in names and index + 1 < len(argv):
            value = argv[index + 1]
        elif word.startswith("-") and "=" in word and word.partition("=")[0] in names:
            value = word.partition("=")[2]
    return value


def quotes_at(text: str, offsets: Iterable[int]) -> dict[int, str]:
    """What surrounds each of some places in a command: `'`, `"`, `<` (a heredoc), `#` (a comment), or empty.

    All places are found in one pass over the command.
    """
    return _Surroundings(text, sorted(set(offsets))).run()


class _Surroundings:
    """One pass over a command; `places` are the offsets that are asked for, in order, `next` the first one ahead."""

    def __init__(self, text: str, places: Sequence[int]) -> None:
        self.text = text
        self.places = places
        self.next = 0
        self.found: dict[int, str] = {}
        self.delimiter = ""

    def run(self) -> dict[int, str]:
        text, at, in_word = self.text, 0, False
        while self.next < len(self.places) and at < len(text):
            self._pass(at, "")
            if text[at] == "#" and not in_word:
                end = text.find("\n", at)
                at = len(text) if end < 0 else end
                self._pass(at, "#")
                continue
            match = _PIECE.match(text, at)
            if match is None:
                # A quote or bracket that is never closed.
                self._pass(len(text), text[at] if text[at] in "'\"" else "")
                break
            kind, end = str(match.lastgroup), match.end()
            self._inside(kind, at, end)
            at = self._after(kind, end)
            in_word = kind in _IN_WORD
        self._pass(max(self.places, default=0), "")
        return self.found

    def _pass(self, last: int, around: str) -> None:
        """All places up to and with `last` are surrounded by `around`."""
        while self.next < len(self.places) and self.places[self.next] <= last:
            self.found[self.places[self.next]] = around
            self.next += 1

    def _inside(self, kind: str, start: int, end: int) -> None:
        """The places within a piece."""
        if kind in ("single", "double"):
            self._pass(end - 1, "'" if kind == "single" else '"')
        elif kind == "substitution":
            inner = start + (2 if self.text[start] == "$" else 1)
            first = self.next
            while self.next < len(self.places) and self.places[self.next] < end:
                self.next += 1
            moved = {place: max(0, place - inner) for place in self.places[first : self.next]}
            below = quotes_at(self.text[inner : end - 1], moved.values())
            self.found |= {place: below[where] for place, where in moved.items()}
        if kind != "newline":
            self._pass(end - 1, "")

    def _after(self, kind: str, end: int) -> int:
        """Where the text goes on after a piece: behind a heredoc's text where a line ends that opens one."""
        if kind == "heredoc":
            word = _DELIMITER.match(self.text, end)
            self.delimiter = word[2] if word else ""
        elif kind == "newline" and self.delimiter:
            end = after_heredocs(self.text, end, [self.delimiter])
            self.delimiter = ""
            self._pass(end - 1, "<")
        return end
