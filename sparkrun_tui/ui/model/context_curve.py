"""How the cache of one request grows with its length, for the recipe as it would run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass

if TYPE_CHECKING:  # the estimator is imported with the first estimate, not before the first paint
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.launch.sizing.sizing import FactsStore
    from sparkrun_tui.memory.result import ContextCurve


@dataclass(frozen=True, slots=True)
class ContextPlot:
    """A curve and the current context in tokens (None when unknown)."""

    curve: ContextCurve
    context: int | None


def context_plot(evaluation: Evaluation, store: FactsStore | None = None) -> ContextPlot | None:
    """The curve on the host with the least memory left; None when the cache size of a request is unknown."""
    from sparkrun_tui.launch.sizing.sizing import engine_settings, model_facts
    from sparkrun_tui.memory.curve import context_curve
    from sparkrun_tui.memory.engines import model_of

    found = evaluation.estimate
    if not found.hosts:
        return None
    facts = model_facts(evaluation.rendered, store)
    settings = engine_settings(evaluation.rendered)
    tightest = min(found.hosts, key=lambda picture: -1 if picture.free is None else picture.free)
    curve = context_curve(facts, settings, tightest.host, found)
    asked = model_of(settings.engine).length(settings)
    length = asked if asked > 0 else facts.max_length
    return None if curve is None else ContextPlot(curve, length)
