"""What the log reader of an engine is made of: lines that mark a phase, and lines with figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

from sparkrun_tui.base.numbers import decimal
from sparkrun_tui.base.patterns import LinePattern
from sparkrun_tui.engines.plan import Phase


@dataclass(frozen=True, slots=True)
class LogMark:
    """A log line that tells the phase has begun or (`done`) is over; `pattern` is searched in the line."""

    phase: Phase
    pattern: str
    done: bool = False
    progress: str = ""
    """A pattern whose group 1 is a percentage, where such lines show how far the phase is."""
    detail: str = ""
    """What is going on, in a few words, where the phase alone does not say it."""


Figures = Mapping[str, float | None]
"""Figures by name; None for one that is not a number, or out of all bounds."""

Take = Callable[["re.Match[str]", Mapping[str, float]], Figures]


@dataclass(frozen=True, slots=True)
class FactRule:
    """A line with figures: `take` makes facts of the match, knowing the facts so far."""

    pattern: LinePattern
    take: Take


def number_in(text: str | None) -> float | None:
    """A figure of a line, None where it is none."""
    return None if text is None else decimal(text.replace(",", ""))


def times(text: str | None, factor: float) -> float | None:
    """A figure of a line in another unit."""
    number = number_in(text)
    return None if number is None else number * factor


def one(name: str, factor: float = 1.0) -> Take:
    """Group 1 is the figure `name`."""
    return lambda match, _: {name: times(match[1], factor)}


def total(name: str, factor: float) -> Take:
    """Group 1 is added to the figure `name`."""

    def take(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
        more = times(match[1], factor)
        return {} if more is None else {name: facts.get(name, 0.0) + more}

    return take


def first(name: str) -> Take:
    """Group 1 is the figure `name`, unless an earlier line has told it."""
    return lambda match, facts: {} if name in facts else {name: number_in(match[1])}


def fact_rules(*rows: tuple[str, Take]) -> tuple[FactRule, ...]:
    """Rules from the texts of patterns."""
    return tuple(FactRule(LinePattern(pattern), take) for pattern, take in rows)


@dataclass(frozen=True)
class LogRules:
    """How the log of an engine is read; without rules nothing is read from it.

    While a line that `rehearsal` finds says `1`, figures and ends of phases are of a trial run.
    """

    marks: tuple[LogMark, ...] = ()
    facts: tuple[FactRule, ...] = ()
    rehearsal: LinePattern | None = None

    @property
    def patterns(self) -> tuple[LinePattern, ...]:
        """The patterns of all rules."""
        found = [*(LinePattern(mark.pattern) for mark in self.marks), *(rule.pattern for rule in self.facts)]
        if self.rehearsal is not None:
            found.append(self.rehearsal)
        return tuple(found)

    @cached_property
    def needles(self) -> tuple[str, ...]:
        """Words of which every line that a rule finds holds one: looking for them first is many times faster.

        A rule without such a word has every line searched.
        """
        words: set[str] = set()
        for pattern in self.patterns:
            words.update(pattern.words or ("",))
        return tuple(sorted(word for word in words if not any(part != word and part in word for part in words)))


NO_LOG = LogRules()
"""For an engine whose log nobody has described."""
