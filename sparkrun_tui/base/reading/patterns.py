"""Patterns for lines of foreign logs: a line is searched only when it has a word that every match contains."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property

from sparkrun_tui.base.records import dataclass

GAP = r".{0,300}"
"""A pattern for anything between two words of a line; bounded, so that repeated words stay cheap."""

SHORT_GAP = r".{0,120}"
"""A gap for patterns that have two of them: their costs multiply."""

_SHORTEST = 4
"""Letters of the shortest word that is worth looking for."""

_LETTER_ESCAPES = frozenset("dDwWsSbBAZ0123456789")
"""Escapes that stand for a class, a place or a group rather than for themselves."""


@dataclass(frozen=True)
class LinePattern:
    """A pattern that is compiled when it is first needed: engines have hundreds, and most starts need none of them.

    A test for a word is many times faster than a search. The time of a search grows in proportion to the line: gaps
    are bounded (`GAP`), and no two repeats can match the same letters.
    """

    text: str

    @cached_property
    def regex(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.text)

    @cached_property
    def words(self) -> tuple[str, ...]:
        """Words of which each match contains at least one; without any, every line is searched."""
        return words_of(self.text)

    def search(self, line: str) -> re.Match[str] | None:
        """The first match in a line, None without one."""
        words = self.words
        if not words:
            return self.regex.search(line)
        for word in words:
            if word in line:
                return self.regex.search(line)
        return None


class AnyOf:
    """Which of many patterns may match a line: each of their words is looked for once.

    To look for a word is much cheaper than to search for one of many: an expression of 500 words takes 2 milliseconds
    for each kilobyte of a line, and 500 words take a tenth of that.
    """

    def __init__(self, patterns: Iterable[LinePattern]) -> None:
        known = tuple(patterns)
        self.wordless = tuple(pattern for pattern in known if not pattern.words)
        self._without = tuple(place for place, pattern in enumerate(known) if not pattern.words)
        self._places: dict[str, list[int]] = {}
        for place, pattern in enumerate(known):
            for word in pattern.words:
                self._places.setdefault(word, []).append(place)

    def has_word(self, line: str) -> bool:
        """Whether the line holds a word of a pattern; it says nothing about `wordless` patterns."""
        for word in self._places:  # noqa: SIM110 - twice as fast as `any`
            if word in line:
                return True
        return False

    def may_match(self, line: str) -> bool:
        """False when no pattern matches the line; True asks for a search with each of them."""
        return self.has_word(line) or any(pattern.search(line) for pattern in self.wordless)

    def places(self, line: str) -> list[int]:
        """The numbers of the patterns that may match the line, in order: those of its words, and `wordless` ones."""
        found = set(self._without)
        for word, places in self._places.items():
            if word in line:
                found.update(places)
        return sorted(found)


def words_of(pattern: str) -> tuple[str, ...]:
    """The longest plain word of each alternative of `pattern`; empty when one has none, or when flags are set."""
    if "(?i" in pattern or "(?x" in pattern:
        return ()
    words = [_longest(alternative) for alternative in _alternatives(pattern)]
    if any(len(word) < _SHORTEST for word in words):
        return ()
    return tuple(words)


def _tokens(pattern: str) -> list[str]:
    """`pattern` cut into escapes, classes, groups with all that is in them, quantifiers and single characters."""
    tokens, at = [], 0
    while at < len(pattern):
        end = _end_of(pattern, at)
        tokens.append(pattern[at:end])
        at = end
    return tokens


def _end_of(pattern: str, at: int) -> int:
    """Where the token ends that begins at `at`."""
    letter = pattern[at]
    if letter == "\\":
        return at + 2
    if letter == "[":
        return _end_of_class(pattern, at)
    if letter == "(":
        return _end_of_group(pattern, at)
    if letter == "{":
        return pattern.index("}", at) + 1
    return at + 1


def _end_of_class(pattern: str, at: int) -> int:
    at += 2 if pattern.startswith("[^", at) else 1
    if pattern.startswith("]", at):
        at += 1
    while pattern[at] != "]":
        at += 2 if pattern[at] == "\\" else 1
    return at + 1


def _end_of_group(pattern: str, at: int) -> int:
    at += 1
    while pattern[at] != ")":
        at = _end_of(pattern, at)
    return at + 1


def _alternatives(pattern: str) -> list[list[str]]:
    """The tokens of each alternative at the top level of `pattern`."""
    found: list[list[str]] = [[]]
    for token in _tokens(pattern):
        if token == "|":
            found.append([])
        else:
            found[-1].append(token)
    return found


def _longest(tokens: list[str]) -> str:
    """The longest run of letters that stand for themselves, outside of groups and classes, and not optional."""
    best, run = "", ""
    for number, token in enumerate(tokens):
        after = ""
        if number + 1 < len(tokens):
            after = tokens[number + 1]
        letter = _plain(token)
        is_repeated = after[:1] in ("?", "*", "+", "{")
        if letter and not is_repeated:
            run += letter
            continue
        best = max(best, run, key=len)
        # A letter that comes once or more often begins a new run: its last copy stands before what follows.
        run = ""
        if after == "+":
            run = letter
        if token == "+" and number > 0:
            run = _plain(tokens[number - 1])
    return max(best, run, key=len)


def _plain(token: str) -> str:
    """The letter a token stands for, empty when it stands for anything else."""
    if len(token) == 2 and token[0] == "\\":
        if token[1] in _LETTER_ESCAPES:
            return ""
        return token[1]
    if len(token) == 1 and token not in "^$.|?*+":
        return token
    return ""
