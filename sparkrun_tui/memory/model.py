"""What the estimator has of one engine: how it is estimated, and how its settings are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import ContextCurve, Estimate, HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts

Estimator = Callable[[ModelFacts, EngineSettings, Sequence[HostMemory], Mapping[str, Measured]], Estimate]
Curve = Callable[[ModelFacts, EngineSettings, HostMemory], ContextCurve | None]


def asked_length(settings: EngineSettings) -> int:
    """The context of one request in tokens that the settings ask for; 0 or less when the engine chooses."""
    return settings.max_model_len or 0


def with_length(settings: EngineSettings, length: int) -> EngineSettings:
    """The settings with another context of one request, in tokens."""
    return replace(settings, max_model_len=length)


def asked_share(settings: EngineSettings) -> float | None:
    """The share of a host's memory that the engine takes, from 0 to 1; None when it is not known."""
    return settings.utilisation


@dataclass(frozen=True, slots=True)
class EngineModel:
    """One engine as the estimator models it; its line in `memory.engines` says for which engine.

    `options` names the field of `EngineSettings` with options that only this engine has: they decide, all but
    those in `idle_options`, whether what one launch measured holds for another. `cache_by_length` says that the
    cache is as large as the context asks for, where others fill their share of memory with it; `kv_is_pool` that
    the cache in a host's picture is the pool which one request may fill. `convolved` says that it is known
    how the engine keeps the inputs of convolutions inside attention layers (Inkling). `special` names the
    families with caches of their own kind (`models.config.families.SPECIAL`) of which that is known.
    """

    estimate: Estimator
    options: str = ""
    idle_options: frozenset[str] = frozenset()
    length: Callable[[EngineSettings], int] = asked_length
    with_length: Callable[[EngineSettings, int], EngineSettings] = with_length
    share: Callable[[EngineSettings], float | None] = asked_share
    curve: Curve | None = None
    cache_by_length: bool = False
    kv_is_pool: bool = False
    convolved: bool = False
    special: frozenset[str] = frozenset()
