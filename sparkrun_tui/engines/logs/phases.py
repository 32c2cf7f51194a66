"""Reads an engine's log line by line: the phase, its progress, and the figures that are printed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field
from functools import lru_cache

from sparkrun_tui.base.reading.numbers import decimal
from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.engines.logs.guard import Report, RuleGuard
from sparkrun_tui.engines.logs.lines import Line, strip_prefixes
from sparkrun_tui.engines.logs.rules import Figures, LogMark, LogRules
from sparkrun_tui.engines.plan import Phase

_ORDER = {phase: index for index, phase in enumerate(Phase)}
_LARGEST = 1e18
"""The largest figure that is believed: a thousand times the bytes and tokens of the largest cluster."""
_MOST_READ = 2000
"""Characters of a line in which marks and figures are searched: they are at its beginning."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one line says: the current phase, whether it is over, percent done, and new figures.

    Figures: bytes (`weights_bytes`, `kv_bytes`, `graphs_bytes`, `activation_bytes`, `checkpoint_bytes`), tokens
    (`kv_tokens`, `max_model_len`), requests (`concurrency`), seconds (`load_seconds`, `init_seconds`).
    """

    phase: Phase | None
    done: bool = False
    progress: float | None = None
    detail: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)


_RANK = late_regex(r"(?:[A-Z]{2,3}\d+ ?)+")
"""The ranks of a process in a prefix: `TP0`, `DP1 TP0`."""


class PhaseReader:
    """Follows the log of one container; a phase only moves forward.

    No line can stop the reading: a rule with a defect finds nothing, and the defect is passed to `report` once.
    Without `report` it is raised.
    """

    def __init__(self, log: LogRules, report: Report | None = None) -> None:
        self._marks = [_compiled(mark) for mark in log.marks]
        self._rules = log.facts
        self._known = log.known
        self._trial = log.rehearsal
        self._guard = RuleGuard(report)
        self._rehearsal = False
        self._rank = ""
        self.phase: Phase | None = None
        """The current phase; None before the first mark."""
        self.done = False
        """Whether the current phase is over and the next has not begun."""
        self.facts: dict[str, float] = {}
        """All figures so far, see `Reading`."""

    def may_say(self, lines: str) -> bool:
        """Whether `feed` has to be given the lines of a text; in a flood nearly none says anything."""
        if self.phase is Phase.READY and self.done:
            return False
        return bool(self._known.wordless) or self._known.has_word(lines)

    def feed(self, line: str) -> Reading | None:
        """What a line says, which may have prefixes of processes; None when it says nothing new."""
        if self.phase is Phase.READY and self.done:
            return None
        line = line[:_MOST_READ]
        # A pattern without words is for the text without prefixes: every line has to be taken apart for it.
        if not self._known.wordless and not self._known.has_word(line):
            return None
        parts = self._guard.run("prefixes", None, strip_prefixes, line)
        if parts is None:
            return None
        return self._take(parts)

    def _take(self, line: Line) -> Reading | None:
        text = line.text
        if self._trial is not None:
            rehearsal = self._trial.search(text)
            if rehearsal is not None:
                self._rehearsal = rehearsal[1] == "1"
        facts: dict[str, float] = {}
        if not self._rehearsal and not self._other_rank(line):
            facts = self._figures(text)
        hit = self._move(text)
        if hit is None:
            if not facts:
                return None
            return Reading(self.phase, self.done, facts=facts)
        progress = None
        if hit.progress is not None:
            percent = hit.progress.search(text)
            if percent is not None:
                progress = decimal(percent[1], least=0.0, most=100.0)
        return Reading(self.phase, self.done, progress, hit.detail, facts)

    def _other_rank(self, line: Line) -> bool:
        """Whether the line is from another rank than the one whose figures are read.

        Several ranks of SGLang share a log, each with the figures of its own GPU; those of the first are read.
        """
        for who in line.who:
            if _RANK.fullmatch(who):
                self._rank = self._rank or who
                return who != self._rank
        return False

    def _figures(self, text: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for rule in self._rules:
            match = rule.pattern.search(text)
            if match is not None:
                taken = self._guard.run(rule.pattern.text, {}, rule.take, match, self.facts)
                found.update(_believed(taken))
        self.facts.update(found)
        return found

    def _move(self, text: str) -> _Mark | None:
        """Move to the phase that a line marks; its mark, None when the line marks nothing new."""
        hit = None
        for mark in self._marks:
            if mark.pattern.search(text):
                hit = mark
                break
        if hit is None:
            return None
        if hit.done and self._rehearsal:
            return None
        if self.phase is not None:
            if _ORDER[hit.phase] < _ORDER[self.phase]:
                return None
            if self.phase is hit.phase and self.done:
                return None
        self.phase, self.done = hit.phase, hit.done
        return hit


@dataclass(frozen=True, slots=True)
class _Mark:
    """A mark with its patterns compiled."""

    phase: Phase
    pattern: LinePattern
    done: bool
    progress: re.Pattern[str] | None
    detail: str


@lru_cache(maxsize=512)
def _compiled(mark: LogMark) -> _Mark:
    progress = None
    if mark.progress:
        progress = re.compile(mark.progress)
    return _Mark(mark.phase, LinePattern(mark.pattern), mark.done, progress, mark.detail)


def _believed(figures: Figures) -> dict[str, float]:
    """The figures that are numbers within `_LARGEST`."""
    return {name: value for name, value in figures.items() if value is not None and abs(value) <= _LARGEST}
