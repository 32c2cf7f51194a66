"""vLLM in the estimator."""

from __future__ import annotations

from sparkrun_tui.memory.model import EngineModel
from sparkrun_tui.memory.result import ContextCurve, HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.memory.vllm.estimate import estimate_vllm
from sparkrun_tui.memory.vllm.pool import utilisation_of
from sparkrun_tui.memory.vllm.versions import rules_for
from sparkrun_tui.models.config.families import SPECIAL
from sparkrun_tui.models.facts import ModelFacts

_POINTS = 40


def curve(facts: ModelFacts, settings: EngineSettings, host: HostMemory) -> ContextCurve | None:
    """The curve up to the longer of the model's and the recipe's length, None when the cache is not known."""
    case = work_out(facts, settings, host)
    ceiling = max(facts.max_length or 0, case.length or 0)
    if case.plan is None or ceiling < 1:
        return None
    lengths = sorted({max(1, ceiling * step // (_POINTS - 1)) for step in range(_POINTS)})
    sizes = tuple((length, case.plan.request_bytes(length)) for length in lengths)
    return ContextCurve(sizes, case.room, case.longest)


def share(settings: EngineSettings) -> float:
    """The effective share of memory: the flag's, else the default of the version."""
    return utilisation_of(settings, rules_for(settings.version))


MODEL = EngineModel(estimate_vllm, share=share, curve=curve, convolved=True, special=SPECIAL)
