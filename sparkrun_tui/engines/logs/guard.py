"""Rules on foreign lines, run so that one with a defect costs nothing but itself, and is reported once."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RuleDefect:
    """A rule that raised: its name, the error in one line, and where it happened, for whoever mends it."""

    rule: str
    error: str
    trace: tuple[str, ...]

    @property
    def text(self) -> str:
        """What happened, for the person at the keyboard."""
        return f"a defect of sparkrun-tui: the rule `{self.rule}` for lines of logs failed with {self.error}"


Report = Callable[[RuleDefect], None]


class RuleGuard:
    """Runs rules. What one raises is reported, the first time only: a log may hold thousands of lines like that.

    Without `report` it is raised.
    """

    def __init__(self, report: Report | None) -> None:
        self._report = report
        self._told: set[str] = set()

    def run(self, rule: str, otherwise: T, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `work` returns for these arguments, or `otherwise` when it raises."""
        try:
            return work(*args, **kwargs)
        except Exception as error:
            if self._report is None:
                raise
            # Whatever it is: the line is kept and shown, and the rules after this one have their turn.
            if rule not in self._told:
                self._told.add(rule)
                trace = tuple("".join(traceback.format_exception(error)).splitlines())
                self._report(RuleDefect(rule, f"{type(error).__name__}: {error}"[:300], trace))
            return otherwise
