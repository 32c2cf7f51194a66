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
    for delimiter in delimiters:
        match = re.compile(rf"^\t*{re.escape(delimiter)}[ \t\r]*$", re.MULTILINE).search(text, at)
        if match is None:
            return len(text)
        at = match.end()
    return at


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


def quote_at(text: str, offset: int) -> str:
    """What surrounds a place in a command: `'`, `"`, `<` (a heredoc), `#` (a comment), or empty."""
    at, delimiters, in_word = 0, "", False
    pending = False
    while at < offset:
        if text[at] == "#" and not in_word:
            stop = text.find("\n", at)
            if stop < 0 or stop >= offset:
                return "#"
            at = stop
            continue
        match = _PIECE.match(text, at)
        if match is None:
            return text[at] if text[at] in "'\"" else ""
        kind, stop = match.lastgroup, match.end()
        if stop > offset and kind in ("single", "double"):
            return "'" if kind == "single" else '"'
        if stop > offset and kind == "substitution":
            inner = at + (2 if text[at] == "$" else 1)
            return quote_at(text[inner : stop - 1], max(0, offset - inner))
        if kind == "heredoc":
            word = re.compile(r"\s*(['\"]?)([\w.-]+)\1").match(text, stop)
            delimiters, pending = (word[2], True) if word else ("", False)
        if kind == "newline" and pending:
            stop = after_heredocs(text, stop, [delimiters])
            pending = False
            if stop > offset:
                return "<"
        in_word = kind in _IN_WORD
        at = stop
    return ""
