"""Over how many ranks a model may be tried: the tensor-parallel sizes, and the hosts that ranks need."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.weights.on_rank import Weights
from sparkrun_tui.models.facts import ModelFacts

_SIZES = (1, 2, 3, 4, 6, 8, 12, 16)
_SAFE_SIZES = (1, 2, 4, 8, 16)
"""Sizes to try when it is not known how many heads there are to divide."""


def sizes_to_try(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, weights: Weights | None, *, above: int = 0
) -> Iterator[int]:
    """Tensor-parallel sizes `above` one, fewest first, that divide the heads and whose hosts hold the weights.

    Every rank has a host like `host`; pipeline stages stay as they are.
    """
    for ranks in _SIZES if facts.heads else _SAFE_SIZES:
        if ranks <= above or (facts.heads and facts.heads % ranks):
            continue
        if weights is None or weights.checkpoint <= ranks * settings.pipeline_parallel * host.total:
            yield ranks


def hosts_for(ranks: int, host: HostMemory) -> int:
    """How many hosts like `host` hold so many ranks."""
    return ceil(ranks / max(1, host.gpus))


def hosts_used(hosts: Sequence[HostMemory], ranks: int) -> tuple[Sequence[HostMemory], int]:
    """The hosts that are used, in order, and how many are needed; with none, one DGX Spark is assumed."""
    chosen = list(hosts) or [assumed_spark("spark-1")]
    needed = hosts_for(ranks, chosen[0])
    return chosen[:needed], needed
