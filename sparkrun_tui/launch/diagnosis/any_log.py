"""The causes of a failure in any log that somebody has, also one of another program's launch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.logs.guard import Report
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis
from sparkrun_tui.launch.record.events import Diagnosed
from sparkrun_tui.launch.record.logs import LogLine

_LINES = 20_000
"""Lines at the beginning of a log by which its engine is guessed."""
_AROUND = 6
"""Lines before and after the line of an unknown failure that are shown with it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a log says: the engine it is of (empty where that is not known) and the causes, best first."""

    engine: str
    causes: tuple[Diagnosed, ...]
    known: bool
    """False where no rule describes the failure; `causes` then holds the last exception, or nothing."""
    around: tuple[str, ...] = ()
    """The lines around the exception of an unknown failure."""
    is_ready: bool = False
    """Whether a server became ready and nothing failed, by the log."""
    outlived: tuple[Diagnosed, ...] = ()
    """What rules found before a server became ready all the same: a warning at most."""


def read_any(
    logs: Mapping[str, Sequence[LogLine]],
    engine: str = "",
    values: Mapping[str, str] | None = None,
    report: Report | None = None,
) -> Reading:
    """The causes in the logs of hosts, in rank order; without `engine` it is guessed.

    A log without a word of any engine is read with the rules of each, and the one that says most is taken.
    """
    names = [engine or guess_engine(logs)]
    if not names[0]:
        names = list(FAMILIES)
    best: tuple[str, Diagnosis] | None = None
    for name in names:
        diagnosis = Diagnosis(name, values=values, report=report)
        for host, lines in logs.items():
            diagnosis.read(host, lines)
        if best is None or _says(diagnosis) > _says(best[1]):
            best = name, diagnosis
    assert best is not None
    name, diagnosis = best
    causes = diagnosis.ranked()
    shown = name if len(names) == 1 else ""
    if not causes and diagnosis.is_ready:
        return Reading(shown, (), False, is_ready=True, outlived=diagnosis.outlived())
    if diagnosis.is_known or not causes:
        return Reading(shown, causes, diagnosis.is_known)
    return Reading(shown, causes, False, _around(logs, causes[0]))


def _says(diagnosis: Diagnosis) -> tuple[int, bool, bool]:
    """How much the rules of an engine say of a log: the more the larger."""
    return diagnosis.weight or 0, diagnosis.is_known, diagnosis.is_ready


def guess_engine(logs: Mapping[str, Sequence[LogLine]]) -> str:
    """The engine whose words are in most lines; empty where no line has any."""
    counts = dict.fromkeys(FAMILIES, 0)
    for lines in logs.values():
        for line in lines[:_LINES]:
            for name, family in FAMILIES.items():
                counts[name] += any(word in line.text for word in family.log_words)
    most = max(counts.values())
    if most == 0:
        return ""
    return max(counts, key=lambda name: counts[name])


def _around(logs: Mapping[str, Sequence[LogLine]], found: Diagnosed) -> tuple[str, ...]:
    lines = [line.text for line in logs.get(found.host, ())]
    for number, text in enumerate(lines):
        if text.strip() and found.evidence.startswith(text.strip()[:80]):
            return tuple(lines[max(0, number - _AROUND) : number + _AROUND + 1])
    return ()
