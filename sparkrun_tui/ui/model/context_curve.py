"""How the cache of one request grows with its length, for the recipe as it would run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the estimator is imported with the first estimate, not before the first paint
    from sparkrun_tui.launch.sizing.evaluation import Evaluation
    from sparkrun_tui.launch.sizing.sizing import FactsStore
    from sparkrun_tui.memory.curve import ContextCurve
    from sparkrun_tui.memory.result import Estimate, HostPicture
    from sparkrun_tui.memory.settings import EngineSettings
    from sparkrun_tui.models.facts import ModelFacts

_POINTS = 9
"""Lengths that are estimated one by one where the engine has no curve of its own and it is not straight."""


@dataclass(frozen=True, slots=True)
class ContextPlot:
    """A curve and the present context in tokens (None when it is not known)."""

    curve: ContextCurve
    context: int | None


def context_plot(evaluation: Evaluation, store: FactsStore | None = None) -> ContextPlot | None:
    """The curve on the host with least left; None when the cache of a request is not known."""
    from sparkrun_tui.launch.sizing.sizing import engine_settings, model_facts
    from sparkrun_tui.memory.curve import context_curve

    found = evaluation.estimate
    if not found.hosts:
        return None
    facts = model_facts(evaluation.rendered, store)
    settings = engine_settings(evaluation.rendered)
    tightest = min(found.hosts, key=lambda picture: -1 if picture.free is None else picture.free)
    curve = context_curve(facts, settings, tightest.host) or _sampled(found, facts, settings, tightest)
    given = _length_given(settings)
    length = given if given > 0 else facts.max_length
    return None if curve is None else ContextPlot(curve, length)


def _length_given(settings: EngineSettings) -> int:
    """The context in tokens that the engine is given; 0 or less when it chooses."""
    if settings.engine == "llama-cpp":
        return (settings.llama.ctx_size or 0) // max(settings.llama.parallel or 1, 1)
    return settings.max_model_len or 0


def _at_length(settings: EngineSettings, length: int) -> EngineSettings:
    if settings.engine == "llama-cpp":
        size = length * max(settings.llama.parallel or 1, 1)
        return replace(settings, llama=replace(settings.llama, ctx_size=size))
    return replace(settings, max_model_len=length)


def _point(facts: ModelFacts, settings: EngineSettings, picture: HostPicture, length: int) -> tuple[int, int] | None:
    from sparkrun_tui.memory.estimate import estimate

    size = estimate(facts, _at_length(settings, length), [picture.host]).kv_bytes_per_request
    return None if size is None else (length, size)


def _sampled(found: Estimate, facts: ModelFacts, settings: EngineSettings, picture: HostPicture) -> ContextCurve | None:
    """The curve of an engine that sizes its cache once: estimated at a few lengths."""
    from sparkrun_tui.memory.curve import ContextCurve

    family = settings.engine
    ceiling = max(facts.max_length or 0, _length_given(settings))
    if family == "vllm" or found.kv_bytes_per_request is None or ceiling < _POINTS:
        return None
    ends = [_point(facts, settings, picture, max(ceiling * step // 2, 1)) for step in range(3)]
    if None in ends:
        return None
    points = [point for point in ends if point is not None]
    (low, first), (middle, size), (high, last) = points
    straight = first + (last - first) * (middle - low) / max(high - low, 1)
    if abs(size - straight) > max(last, 1) / 200:
        between = [ceiling * step // (_POINTS - 1) for step in range(1, _POINTS - 1)]
        found_there = [_point(facts, settings, picture, length) for length in between]
        points = sorted({*points, *(point for point in found_there if point is not None)})
    pool = sum(part.bytes for part in picture.parts if part.kind == "kv") if family == "sglang" else None
    return ContextCurve(tuple(points), pool or None, found.max_context)
