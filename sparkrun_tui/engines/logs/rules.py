"""The rules that read an engine's log: lines that mark a phase, and lines with figures."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.reading.patterns import AnyOf, LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.plan import Phase


@dataclass(frozen=True, slots=True)
class LogMark:
    """A log line that marks the beginning of a phase or (`done`) its end; `pattern` is searched in the line."""

    phase: Phase
    pattern: str
    done: bool = False
    progress: str = ""
    """A pattern whose group 1 is a percentage, where such lines show the progress of the phase."""
    detail: str = ""
    """What the engine is doing, in a few words, where the phase alone does not say it."""


Figures = Mapping[str, float | None]
"""Figures by name; None for a text that is not a number."""

Take = Callable[["re.Match[str]", Mapping[str, float]], Figures]


@dataclass(frozen=True, slots=True)
class FactRule:
    """A line with figures: `take` gives the facts of a match, from the match and the facts so far."""

    pattern: LinePattern
    take: Take


def number_in(text: str | None) -> float | None:
    """A figure of a line; None where the text is not a number."""
    if text is None:
        return None
    return decimal(text.replace(",", ""))


def times(text: str | None, factor: float) -> float | None:
    """A figure of a line in another unit; None where the text is not a number."""
    number = number_in(text)
    if number is None:
        return None
    return number * factor


def one(name: str, factor: float = 1.0) -> Take:
    """Group 1 is the figure `name`."""
    return lambda match, _: {name: times(match[1], factor)}


def total(name: str, factor: float) -> Take:
    """Group 1 is added to the figure `name`."""

    def take(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
        more = times(match[1], factor)
        if more is None:
            return {}
        return {name: facts.get(name, 0.0) + more}

    return take


def first(name: str) -> Take:
    """Group 1 is the figure `name`, unless an earlier line has given it."""

    def take(match: re.Match[str], facts: Mapping[str, float]) -> Figures:
        if name in facts:
            return {}
        return {name: number_in(match[1])}

    return take


def fact_rules(*rows: tuple[str, Take]) -> tuple[FactRule, ...]:
    """Rules from the texts of patterns."""
    return tuple(FactRule(LinePattern(pattern), take) for pattern, take in rows)


@dataclass(frozen=True)
class LogRules:
    """The rules for the log of an engine; without rules nothing is read from it.

    After a line in which group 1 of `rehearsal` is `1`, figures and ends of phases belong to a trial run.
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
    def known(self) -> AnyOf:
        """Whether a line may match a rule: asking this first is many times faster than searching for each."""
        return AnyOf(self.patterns)


NO_LOG = LogRules()
"""The rules of an engine whose log is not described."""
