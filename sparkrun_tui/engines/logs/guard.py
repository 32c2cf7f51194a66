"""Runs rules on log lines so that a rule with a defect is reported once and affects nothing else."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from sparkrun_tui.base.records import dataclass

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RuleDefect:
    """A rule that raised an exception: its name, the error in one line, and the traceback for a bug report."""

    rule: str
    error: str
    trace: tuple[str, ...]

    @property
    def text(self) -> str:
        """The message for the person at the keyboard."""
        return f"a defect of sparkrun-tui: the rule `{self.rule}` for log lines failed with {self.error}"


Report = Callable[[RuleDefect], None]


class RuleGuard:
    """Runs rules and reports the first exception of each: a log may hold thousands of lines that cause it.

    Without `report` the exception is raised.
    """

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._reported: set[str] = set()

    def run(self, rule: str, otherwise: T, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns for these arguments, or `otherwise` when it raises."""
        try:
            return work(*args, **kwargs)
        except Exception as error:
            if self._report is None:
                raise
            # The line is kept and shown, and the rules after this one still run.
            if rule not in self._reported:
                self._reported.add(rule)
                trace = tuple("".join(traceback.format_exception(error)).splitlines())
                self._report(RuleDefect(rule, f"{type(error).__name__}: {error}"[:300], trace))
            return otherwise
