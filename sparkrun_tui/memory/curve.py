"""How the cache of one request grows with its length, for a plot of context against memory."""

from __future__ import annotations

from dataclasses import dataclass

from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.models.facts import ModelFacts


@dataclass(frozen=True, slots=True)
class ContextCurve:
    """Lengths in tokens, the cache of one request at each in bytes, and the pool it must fit in.

    ``longest`` is the longest length that fits; ``pool`` and ``longest`` are None when unknown.
    """

    points: tuple[tuple[int, int], ...]
    pool: int | None
    longest: int | None


def context_curve(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, points: int = 40
) -> ContextCurve | None:
    """Return the curve for vLLM up to the model's own length, None when the cache is not known.

    Lengths are evenly spaced and end at the longer of the model's and the recipe's length.
    """
    case = work_out(facts, settings, host)
    ceiling = max(facts.max_length or 0, case.length or 0)
    if settings.engine != "vllm" or case.plan is None or ceiling < 1:
        return None
    count = max(2, points)
    lengths = sorted({max(1, ceiling * i // (count - 1)) for i in range(count)})
    sizes = tuple((length, case.plan.request_bytes(length)) for length in lengths)
    return ContextCurve(sizes, case.room, case.longest)
