"""One set of SGLang settings on one host, worked out once: weights, pools, and what must fit beside the budget."""

from __future__ import annotations

from dataclasses import replace
from math import floor

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.memory.assistants import reads_targets_cache
from sparkrun_tui.memory.bands import add, exact
from sparkrun_tui.memory.hosts import free_at_start
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.overheads import Band, activation_memory
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import MOST_EAGLE_LAYERS, EngineSettings
from sparkrun_tui.memory.sglang.cell import BLOCK_METHODS, SglangRefusal
from sparkrun_tui.memory.sglang.family import is_deepseek_v4
from sparkrun_tui.memory.sglang.fraction import chunk_of, graph_sizes, largest_batch
from sparkrun_tui.memory.sglang.kernels import sglang_kernel_refusal
from sparkrun_tui.memory.sglang.plan import SglangPlan, budget_of, plan_sglang, sglang_fraction
from sparkrun_tui.memory.sglang.versions import EXACT, is_too_old, rules_for
from sparkrun_tui.memory.weights.on_rank import Weights, weights_of
from sparkrun_tui.models.config.kinds import layer_count
from sparkrun_tui.models.facts import ModelFacts

_LOADED_BESIDE = Band(GIB // 2, 0, int(1.5 * GIB), "allocator and libraries, assumed")
_NOISE = int(0.6 * GIB)
"""How much identical starts differ (bytes), published repeated starts."""

_UNKNOWN_ACTIVATION = Band(GIB, GIB // 4, 4 * GIB, "assumed")


@dataclass(frozen=True, slots=True)
class SglangCase:
    """Settings on a host, sizes in bytes of one rank: `plan` is None when refused or unknown.

    `before` is what the server sees as available at its start; `fewest` is the plan when the load takes
    more than likely (None: it would not start then). `slack` is what stays outside the pools for graphs,
    activations and tables; `loading` what the load takes beside the weights.
    """

    facts: ModelFacts
    settings: EngineSettings
    host: HostMemory
    weights: Weights | None
    before: int
    fraction: float
    plan: SglangPlan | None
    fewest: SglangPlan | None
    graphs: Band
    activation: Band
    loading: Band
    refused: str = ""
    measured: Measured | None = None
    by_kernels: bool = False
    """Whether it is refused because no kernel takes a rank's share of the weights, whatever the memory."""

    @property
    def length(self) -> int | None:
        """The context length in tokens: the flag, else what the model was made for."""
        return self.settings.max_model_len or self.facts.max_length

    @property
    def after(self) -> int:
        """Bytes that are likely available when the weights are loaded."""
        return self.before - (self.weights.rank if self.weights else 0) - self.loading.likely

    @property
    def slack(self) -> int:
        """Bytes of the memory available at start that the pools leave."""
        return int(self.before * (1 - self.fraction))

    @property
    def beside(self) -> Band | None:
        """What must fit into the slack: request table, a drafter's pool, graphs and activations."""
        if self.plan is None:
            return None
        fixed = exact(self.plan.table + self.plan.outside, "request table")
        return add(fixed, self.graphs, self.activation)

    @property
    def unknown_drafter(self) -> bool:
        """Whether a drafter of several layers is there of which nothing is known: its pool may be of any size.

        DeepSeek V4's is part of its checkpoint.
        """
        speculative = self.settings.speculative
        if speculative is not None and reads_targets_cache(self.facts, speculative):
            return self.facts.drafter is None or layer_count(self.facts.drafter.config) is None
        if speculative is None:
            return False
        blocks = speculative.method in BLOCK_METHODS and not is_deepseek_v4(self.facts)
        if not blocks and speculative.method != "standalone":
            return False
        return self.facts.drafter is None or self.facts.drafter.layers is None

    @property
    def by_unknown_rules(self) -> bool:
        """Whether the release is older than any whose rules are known, and the weights alone do not decide.

        Of DeepSeek V4's pools more is unknown: 0.5.14 is 105 % from what is counted for it.
        """
        old = is_too_old(self.settings.version)
        if is_deepseek_v4(self.facts):
            old = rules_for(self.settings.version).version < EXACT
        if not old:
            return False
        return self.weights is None or self.weights.low < self.before

    @property
    def longest(self) -> int | None:
        """The longest request in tokens that the pool holds, up to the model's own or the stated length."""
        if self.by_unknown_rules:
            return None
        ceiling = max(self.facts.max_length or 0, self.length or 0)
        if self.refused:
            return 0
        return min(self.plan.tokens, ceiling) if self.plan is not None and ceiling else None

    @property
    def concurrency(self) -> float | None:
        """Requests of full length at once: what the pool holds, at most the running requests."""
        if self.plan is None or not self.length or self.by_unknown_rules:
            return None
        return min(self.plan.tokens / self.length, float(self.plan.requests))


def work_out(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, measured: Measured | None = None
) -> SglangCase:
    """Work settings out on one host: what the server will allocate there, or why it will not start."""
    weights, loading = weights_of(facts, settings), _LOADED_BESIDE
    if measured is not None and measured.weights is not None:
        size = measured.weights
        weights = Weights(size, size, size, size, measured.source, size)
        loading = Band(0, 0, _NOISE, measured.source)
    before = free_at_start(host)
    fraction = sglang_fraction(facts, settings, host.total)
    plan, fewest = None, None
    refused = sglang_kernel_refusal(facts, settings)
    by_kernels = bool(refused)
    if not refused and weights is not None and facts.layers is not None and before > 0:
        try:
            plan = plan_sglang(facts, settings, before, before - weights.rank - loading.likely, host.total)
        except SglangRefusal as error:
            refused = str(error)
        least = before - weights.high - loading.high
        least -= int(max(0, budget_of(facts, settings, fraction, before, least)) * rules_for(settings.version).margin)
        fewest = _or_none(facts, with_most_layers(settings), host, before, least)
    graphs = graph_band(settings)
    if measured is not None and measured.graphs is not None:
        graphs = exact(measured.graphs, measured.source)
    return SglangCase(
        facts,
        settings,
        host,
        weights,
        before,
        fraction,
        plan,
        fewest,
        graphs,
        activation_band(facts, settings),
        loading,
        refused,
        measured,
        by_kernels,
    )


def changed(case: SglangCase, **fields: object) -> SglangCase:
    """Work the same out with other settings; what an earlier start measured still holds."""
    settings = replace(case.settings, **fields)  # type: ignore[arg-type]
    return work_out(case.facts, settings, case.host, case.measured)


def with_most_layers(settings: EngineSettings) -> EngineSettings:
    """The settings with the most layers that an EAGLE drafter may have of which nothing is known."""
    if settings.speculative is None:
        return settings
    return replace(settings, speculative=replace(settings.speculative, assumed_layers=MOST_EAGLE_LAYERS))


def _or_none(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, before: int, after: int
) -> SglangPlan | None:
    """A plan, None when the server would not start."""
    try:
        return plan_sglang(facts, settings, before, after, host.total)
    except SglangRefusal:
        return None


def graph_band(settings: EngineSettings) -> Band:
    """What CUDA graphs take in bytes, by what the server's own default leaves for them.

    2 MiB a captured sequence and 8 MiB a captured prefill size. Source: sglang/srt/arg_groups/memory_hook.py.
    """
    if settings.sglang.disable_cuda_graph or settings.enforce_eager:
        return Band(0, 0, 0, "no CUDA graphs")
    likely = (2 * largest_batch(settings) + 8 * graph_sizes(chunk_of(settings))) * MIB
    return Band(likely, likely // 4, 2 * likely, "the server's own reserve for graphs")


def activation_band(facts: ModelFacts, settings: EngineSettings) -> Band:
    """The activations of one prefill chunk in bytes; assumed when the model's widths are unknown."""
    return activation_memory(facts, settings, chunk_of(settings), 0) or _UNKNOWN_ACTIVATION


def max_fraction(case: SglangCase) -> float | None:
    """The largest fraction whose slack holds the memory outside the pools, to two digits."""
    if case.beside is None or case.before <= 0:
        return None
    return max(0.0, floor((1 - case.beside.likely / case.before) * 100) / 100)
