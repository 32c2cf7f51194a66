"""One set of settings on one host, worked out once: plan, pool and length, or why the engine refuses it."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.settings import AUTO_LENGTH, MOST_EAGLE_LAYERS, EngineSettings
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import VllmPlan, plan_cache
from sparkrun_tui.memory.vllm.pool import VllmPool, pool_on
from sparkrun_tui.memory.vllm.versions import VllmRules, others_of, rules_for
from sparkrun_tui.memory.weights.on_rank import Weights
from sparkrun_tui.models.config.values import mapping, word
from sparkrun_tui.models.facts import ModelFacts

_KEEPS_LENGTH = frozenset({"", "default", "linear", "llama3", "ntk", "proportional"})
"""Kinds of rope with which a drafter may run beyond the context that it was made for."""


def _drafter_length(facts: ModelFacts, settings: EngineSettings, rules: VllmRules) -> int | None:
    """The context in tokens to which a draft model shortens the target's, None when it does not.

    Source: vllm/config/speculative.py, vllm/config/vllm.py (0.33).
    """
    drafter, speculative = facts.drafter, settings.speculative
    if drafter is None or speculative is None or not rules.drafter_caps_length:
        return None
    rope = mapping(drafter.config, "rope_parameters", "rope_scaling")
    kind = word(rope, "rope_type", "type")
    if speculative.method in ("", "draft_model") or kind not in _KEEPS_LENGTH:
        return drafter.max_length
    return None


@dataclass(frozen=True, slots=True)
class VllmCase:
    """Settings on a host: the cache plan (None: unknown), the pool, the length in tokens (None: unknown).

    `capped` is the length to which a draft model shortens the context, None when it does not. `other_plan` is the plan
    with another attention backend for the draft model, where that would need much less and is not stated. `older` are
    the plans of other releases that the image may hold, where only its month is known. `most_layers` is the plan with
    the most layers that an EAGLE drafter may have, where nothing is known of it.
    """

    facts: ModelFacts
    settings: EngineSettings
    host: HostMemory
    rules: VllmRules
    weights: Weights | None
    plan: VllmPlan | None
    pool: VllmPool
    length: int | None
    capped: int | None = None
    refused: str = ""
    other_plan: VllmPlan | None = None
    older: tuple[VllmPlan, ...] = ()
    most_layers: VllmPlan | None = None

    @property
    def candidates(self) -> tuple[VllmPlan, ...]:
        """Every plan that may be the right one, as far as is known. A release that refuses the settings has none."""
        plans = (self.plan, *self.older, self.most_layers)
        return tuple(plan for plan in plans if plan is not None)

    @property
    def room(self) -> int | None:
        """Likely bytes of the pool, None when unknown."""
        return self.pool.pool

    @property
    def fixed_cache(self) -> bool:
        """Whether the command states the bytes of the cache, so that the utilisation does not limit the engine.

        Source: vllm/v1/worker/gpu_worker.py (determine_available_memory returns `kv_cache_memory_bytes` as it is);
        the check of free memory at the start (request_memory) still uses the utilisation.
        """
        return self.settings.kv_cache_memory_bytes is not None

    @property
    def context_level(self) -> Level:
        """How a request of full length stands: good when even the pessimistic pool takes it."""
        if self.refused:
            return Level.BAD
        if self.plan is None or self.room is None or self.pool.pool_low is None or self.length is None:
            return Level.UNKNOWN
        if self.plan.unknown_drafter:
            return Level.UNKNOWN
        low, room, length = self.pool.pool_low, self.room, self.length
        if all(plan.fits(low, length) for plan in self.candidates):
            return Level.GOOD
        if any(plan.fits(room, length) for plan in self.candidates):
            return Level.TIGHT
        return Level.UNKNOWN if self.depends_on_backend else Level.BAD

    @property
    def depends_on_backend(self) -> bool:
        """Whether a request of full length fits only with another attention backend for the draft model."""
        if self.plan is None or self.other_plan is None or self.room is None or self.length is None:
            return False
        return not self.plan.fits(self.room, self.length) and self.other_plan.fits(self.room, self.length)

    @property
    def longest(self) -> int | None:
        """The longest context in tokens that the likely pool takes, up to what the model was made for."""
        if self.plan is None or self.room is None:
            return None
        ceiling = max(self.facts.max_length or 0, self.length or 0)
        return self.plan.longest(self.room, ceiling) if ceiling else None

    @property
    def concurrency(self) -> float | None:
        """Requests of full length at once: what the pool holds, at most the sequences the engine takes."""
        if self.plan is None or self.length is None or not self.room or self.room < 0:
            return None
        return min(self.plan.concurrency(self.room, self.length), float(self.plan.sequences))

    @property
    def needed(self) -> int | None:
        """Bytes of the smallest pool that passes the check for a request of full length."""
        if self.plan is None or self.length is None:
            return None
        return self.plan.needed(self.length)


def work_out(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, measured: Measured | None = None
) -> VllmCase:
    """The case of some settings on one host: what the engine plans there, or why it refuses."""
    rules = rules_for(settings.version)
    weights = vllm_weights(facts, settings)
    pool = pool_on(host, facts, settings, rules, weights, measured)
    length = settings.max_model_len
    automatic = length == AUTO_LENGTH
    if automatic or length is None:
        length = facts.max_length
    capped = _drafter_length(facts, settings, rules)
    if capped is not None and length is not None:
        length = min(length, capped)
    plan, refused = None, ""
    try:
        plan = plan_cache(facts, settings, length or 1, device=device_of(host))
    except Unsupported as error:
        refused = str(error)
    if automatic and plan is not None and pool.pool is not None and length:
        length = plan.longest(pool.pool, length) or length
    other = None
    if plan is not None and plan.short_windows and settings.speculative is not None:
        elsewhere = replace(settings.speculative, backend="triton_attn")
        other = plan_cache(facts, replace(settings, speculative=elsewhere), length or 1, device=device_of(host))
    older: tuple[VllmPlan, ...] = ()
    most_layers = None
    if plan is not None:
        older = _plans_of_others(facts, settings, host, length)
        if plan.few_layers:
            most_layers = _plan_of_most_layers(facts, settings, host, length)
    return VllmCase(
        facts, settings, host, rules, pool.weights, plan, pool, length, capped, refused, other, older, most_layers
    )


def _plan_of_most_layers(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, length: int | None
) -> VllmPlan | None:
    """The plan with the most layers that an EAGLE drafter may have of which nothing is known."""
    assert settings.speculative is not None
    drafting = replace(settings.speculative, assumed_layers=MOST_EAGLE_LAYERS)
    return plan_cache(facts, replace(settings, speculative=drafting), length or 1, device=device_of(host))


def _plans_of_others(
    facts: ModelFacts, settings: EngineSettings, host: HostMemory, length: int | None
) -> tuple[VllmPlan, ...]:
    """The plans of the other releases that the image may hold; one that refuses has none."""
    plans = []
    for version in others_of(settings.version):
        try:
            plan = plan_cache(facts, replace(settings, version=version), length or 1, device=device_of(host))
        except Unsupported:
            # Which release it is decides; the newest one starts.
            continue
        if plan is not None:
            plans.append(plan)
    return tuple(plans)
