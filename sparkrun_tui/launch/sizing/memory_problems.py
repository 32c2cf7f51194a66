"""The memory estimate as problems of a plan, so that a plan never says other things than its memory picture."""

from __future__ import annotations

from sparkrun_tui.memory.result import Estimate, Level, Verdict
from sparkrun_tui.recipe.model import Problem, Severity

CODE = "memory"
"""The code of these problems; `preflight` has the same for the check that a launch makes."""

_REMEDY = "Free memory there, lower gpu_memory_utilization or max_model_len, or choose other hosts."


def memory_problems(estimate: Estimate) -> tuple[Problem, ...]:
    """An error for each verdict that is bad, a warning for each that is tight; none for what is good or unknown."""
    found: dict[str, Problem] = {}
    for verdict in (estimate.starts, estimate.context, estimate.headroom):
        severity = _severity(verdict)
        if severity is None or verdict.text in found:
            continue
        message = f"memory: {verdict.text}"
        if verdict is not estimate.headroom:
            message += f" ({verdict.detail})"
        remedy = "" if found else _REMEDY
        found[verdict.text] = Problem(severity, CODE, message, remedy=remedy)
    return tuple(found.values())


def _severity(verdict: Verdict) -> Severity | None:
    if verdict.level is Level.BAD:
        return Severity.ERROR
    return Severity.WARNING if verdict.level is Level.TIGHT else None
