"""The memory estimate as problems of a plan, so that a plan never says other things than its memory picture."""

from __future__ import annotations

from sparkrun_tui.base.errors import Spot
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.registry import family_of
from sparkrun_tui.launch.sizing.evaluation import Evaluation, judged_size
from sparkrun_tui.launch.sizing.sizing import engine_version
from sparkrun_tui.memory.result import Estimate, HostMemory, Level, Verdict
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.rendered import Rendered

CODE = "memory"
"""The code of these problems; `preflight` has the same for the check that a launch makes."""

REFUSED = "refused-settings"
"""The code of settings that the engine refuses at its start."""

_FLAG = late_regex(r"--[a-z][a-z0-9-]*")

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


def refusals(evaluation: Evaluation) -> tuple[Problem, ...]:
    """The problem that the engine refuses these settings for this model at its start, on whatever host.

    None where the version of the engine is not known. It is a warning where the hosts are assumed and a GPU of another
    kind would take the settings.
    """
    why = evaluation.estimate.refusal
    if not why or not engine_version(evaluation.rendered):
        return ()
    severity = Severity.ERROR
    if evaluation.supposed:
        elsewhere = judged_size(evaluation.rendered, [_other_gpu()] * max(len(evaluation.estimate.hosts), 1))
        if not elsewhere.refusal:
            severity = Severity.WARNING
            why += " (on a DGX Spark, which is assumed)"
    message = f"{evaluation.estimate.engine_version} refuses this at its start: {why}"
    return (Problem(severity, REFUSED, message, _spot(evaluation.rendered, why)),)


def _other_gpu() -> HostMemory:
    """A host whose GPU has other kernels than that of a Spark."""
    return HostMemory("h100", 80 * GIB, None, True, "assumed", unified=False, gpu_name="NVIDIA H100 80GB HBM3")


def _spot(rendered: Rendered, why: str) -> Spot | None:
    """The place of the value whose flag a sentence names first, else of the command."""
    recipe = rendered.recipe
    family = family_of(recipe.runtime)
    for flag in _FLAG.findall(why):
        row = family.flags.by_spelling.get(flag) if family is not None else None
        spot = recipe.spots.get(f"defaults.{row.key}") if row is not None else None
        if spot is not None:
            return spot
    return recipe.command_spot or recipe.spots.get("model")


def _severity(verdict: Verdict) -> Severity | None:
    if verdict.level is Level.BAD:
        return Severity.ERROR
    return Severity.WARNING if verdict.level is Level.TIGHT else None
