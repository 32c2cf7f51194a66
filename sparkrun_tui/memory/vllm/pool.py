"""How much of a host vLLM gives to its KV cache: the budget less weights, context, activations and graphs."""

from __future__ import annotations

from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.overheads import Band, activation_memory, context_memory, graph_memory
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.plan import batch_limits
from sparkrun_tui.memory.vllm.versions import VllmRules
from sparkrun_tui.memory.weights.on_rank import Weights
from sparkrun_tui.models.facts import ModelFacts

_UNKNOWN_ACTIVATION = Band(int(1.0 * GIB), int(0.2 * GIB), int(4 * GIB), "assumed")
_OUTSIDE = Band(6 * GIB, 3 * GIB, 9 * GIB, "host side of the engine, published figures")


@dataclass(frozen=True, slots=True)
class VllmPool:
    """One rank's memory in bytes: the budget, its parts, and the cache pool with its pessimistic and best value.

    `pool` is None when the weights are unknown. `outside` is what the process takes of the host beside
    its budget.
    """

    budget: int
    weights: Weights | None
    context: Band
    activation: Band
    graphs: Band
    outside: Band
    pool: int | None
    pool_low: int | None
    pool_high: int | None

    @property
    def fixed(self) -> int | None:
        """Bytes that come off the budget before the cache, None when the weights are unknown."""
        if self.weights is None:
            return None
        return self.weights.rank + self.context.likely + self.activation.likely + self.graphs.likely


def utilisation_of(settings: EngineSettings, rules: VllmRules) -> float:
    """The share of the device that the engine takes: the flag, else the version's default."""
    return settings.utilisation if settings.utilisation is not None else rules.utilisation


def pool_on(
    host: HostMemory,
    facts: ModelFacts,
    settings: EngineSettings,
    rules: VllmRules,
    weights: Weights | None,
    measured: Measured | None = None,
) -> VllmPool:
    """What one rank has for its cache on `host`.

    budget = ceil(total x utilisation); pool = budget - weights - context - activations - graphs, or the
    bytes of `--kv-cache-memory-bytes`. An earlier start's remainder replaces the three bands. Source:
    vllm/v1/worker/gpu_worker.py (determine_available_memory), vllm/v1/worker/utils.py (request_memory).
    """
    length = max(1, settings.max_model_len or facts.max_length or 1)
    tokens, sequences = batch_limits(settings, rules, length, device_of(host))
    budget = ceil(host.total * utilisation_of(settings, rules))
    context = context_memory(host.unified, settings.ranks, settings.load_format)
    activation = activation_memory(facts, settings, tokens, sequences) or _UNKNOWN_ACTIVATION
    graphs = graph_memory(settings, sequences)
    if not rules.graphs_charged:
        graphs = Band(0, 0, 0, "not charged by this version")
    if measured is not None:
        weights = _with_measured(weights, measured)
        context, activation, graphs = _as_measured(measured, activation, tokens)
    outside = _OUTSIDE if host.unified else Band(0, 0, 0, "discrete card")
    pools = _pools(budget, weights, (context, activation, graphs), settings.kv_cache_memory_bytes)
    return VllmPool(budget, weights, context, activation, graphs, outside, *pools)


def _pools(
    budget: int, weights: Weights | None, bands: tuple[Band, ...], stated: int | None
) -> tuple[int | None, int | None, int | None]:
    """Likely, low and high pool bytes; all None when the weights are unknown and none is stated."""
    if stated is not None:
        return stated, stated, stated
    if weights is None:
        return None, None, None
    likely = budget - weights.rank - sum(band.likely for band in bands)
    low = budget - weights.high - sum(band.high for band in bands)
    high = budget - weights.low - sum(band.low for band in bands)
    return likely, low, high


def _with_measured(weights: Weights | None, measured: Measured) -> Weights | None:
    """Replace the weights by what the engine said it loaded."""
    if measured.weights is None:
        return weights
    size = measured.weights
    whole = weights.whole if weights is not None else size
    return Weights(whole, size, size, size, measured.source, whole)


def _as_measured(measured: Measured, activation: Band, tokens: int) -> tuple[Band, Band, Band]:
    """Split an earlier start's remainder into the three bands; identical starts differ by about 0.6 GiB."""
    nothing = Band(0, 0, 0, measured.source)
    remainder = measured.remainder
    if remainder is None:
        return nothing, activation, Band(measured.graphs or 0, 0, measured.graphs or 0, measured.source)
    if measured.batched_tokens and measured.batched_tokens != tokens:
        earlier = activation.likely * measured.batched_tokens // max(1, tokens)
        remainder += activation.likely - earlier
    noise = int(0.6 * GIB)
    graphs = Band(measured.graphs or 0, measured.graphs or 0, measured.graphs or 0, measured.source)
    rest = remainder - graphs.likely
    return Band(rest, rest - noise, rest + noise, measured.source), nothing, graphs
