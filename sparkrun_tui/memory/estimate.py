"""The one entry of the estimator: facts of a model, settings of an engine and hosts become an estimate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.memory.engines import estimate_unknown, model_of
from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, without_contradictions
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.speed.roofline import speed_of
from sparkrun_tui.models.config.families import SPECIAL
from sparkrun_tui.models.facts import ModelFacts

_CONVOLVED = "how this engine keeps the convolutions of the model is not known here"
_SPECIAL = "how this engine caches models of the architecture {} is not known here"
_ABSURD = "the model's files or the settings state sizes that cannot be true together"

__all__ = ["assumed_spark", "estimate"]


def estimate(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured] | None = None,
) -> Estimate:
    """Estimate what an engine will allocate on each host, and judge it.

    `hosts` are taken in order, as many as the parallel sizes need; with none, a DGX Spark is assumed.
    `measured` holds what earlier starts of the same recipe and image printed, by host name. Pure: the
    same input gives the same estimate, and any part of the facts may be missing.
    """
    model = model_of(settings.engine)
    if not model.convolved and any(layer.inputs is not None for layer in facts.layers or ()):
        facts = replace(facts, layers=None, mtp=(), notes=(*facts.notes, _CONVOLVED))
    if facts.layers is not None and facts.model_type in SPECIAL - model.special:
        facts = replace(facts, layers=None, mtp=(), notes=(*facts.notes, _SPECIAL.format(facts.model_type)))
    try:
        found = without_contradictions(model.estimate(facts, settings, hosts, measured or {}))
        used = [picture.host for picture in found.hosts]
        return replace(found, speed=speed_of(facts, settings, used))
    except ArithmeticError as error:
        # Sizes that contradict one another: more heads than the hidden size, a page of nothing, and so on.
        unknown = estimate_unknown(facts, settings, hosts, measured or {})
        return replace(unknown, notes=(*unknown.notes, f"{_ABSURD} ({error})"))
