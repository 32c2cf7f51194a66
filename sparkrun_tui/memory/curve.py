"""How the cache of one request grows with its length, for a plot of context against memory."""

from __future__ import annotations

from sparkrun_tui.memory.engines import model_of
from sparkrun_tui.memory.estimate import estimate
from sparkrun_tui.memory.result import ContextCurve, Estimate, HostMemory, HostPicture
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts

_POINTS = 9
"""Lengths that are estimated one by one where the engine has no curve of its own and it is not straight."""


def context_curve(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, found: Estimate | None = None
) -> ContextCurve | None:
    """The curve up to the longer of the model's and the recipe's length, None when the cache is not known.

    `found` is the estimate of the whole launch, where there is one: the pool and the longest context are its own.
    """
    own = model_of(settings.engine).curve
    if own is not None:
        return own(facts, settings, host)
    whole = found or estimate(facts, settings, [host])
    picture = next((picture for picture in whole.hosts if picture.host.name == host.name), None)
    return None if picture is None else _sampled(whole, facts, settings, picture)


def _sampled(found: Estimate, facts: ModelFacts, settings: EngineSettings, picture: HostPicture) -> ContextCurve | None:
    """The curve of an engine that sizes its cache once: estimated at a few lengths."""
    model = model_of(settings.engine)
    ceiling = max(facts.max_length or 0, model.length(settings))
    if found.kv_bytes_per_request is None or ceiling < _POINTS:
        return None
    points = []
    for step in range(3):
        point = _point(facts, settings, picture, max(ceiling * step // 2, 1))
        if point is None:
            return None
        points.append(point)
    (low, first), (middle, size), (high, last) = points
    straight = first + (last - first) * (middle - low) / max(high - low, 1)
    if abs(size - straight) > max(last, 1) / 200:
        for step in range(1, _POINTS - 1):
            point = _point(facts, settings, picture, ceiling * step // (_POINTS - 1))
            if point is not None:
                points.append(point)
        points = sorted(set(points))
    pool = 0
    if model.kv_is_pool:
        pool = sum(part.bytes for part in picture.parts if part.kind == "kv")
    return ContextCurve(tuple(points), pool or None, found.max_context)


def _point(facts: ModelFacts, settings: EngineSettings, picture: HostPicture, length: int) -> tuple[int, int] | None:
    changed = model_of(settings.engine).with_length(settings, length)
    size = estimate(facts, changed, [picture.host]).kv_bytes_per_request
    return None if size is None else (length, size)
