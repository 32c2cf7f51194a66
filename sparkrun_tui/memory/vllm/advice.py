"""What to change when a vLLM recipe does not fit: each proposal is worked out before it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from math import ceil, floor

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory.hosts import free_at_start
from sparkrun_tui.memory.result import HostMemory, Level, Proposal
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.splitting import hosts_for, sizes_to_try
from sparkrun_tui.memory.vllm.case import VllmCase, work_out
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.vllm.pool import utilisation_of
from sparkrun_tui.models.facts import ModelFacts

_ENOUGH = (Level.GOOD, Level.TIGHT)
_STEP = 1024
"""Proposed lengths are rounded down to this many tokens."""


def max_utilisation(host: HostMemory) -> float:
    """The largest share of the device that passes the engine's check at start, to two digits."""
    return max(0.0, floor(free_at_start(host) / host.total * 100) / 100)


def min_utilisation(case: VllmCase) -> float | None:
    """The smallest share that takes one request of full length, rounded up; None when unknown."""
    if case.needed is None or case.pool.fixed is None or case.settings.kv_cache_memory_bytes is not None:
        return None
    share = ceil((case.pool.fixed + case.needed) / case.host.total * 100) / 100
    return round(share, 2)


def min_hosts(facts: ModelFacts, settings: EngineSettings, host: HostMemory) -> int | None:
    """The fewest hosts like `host` on which a request of full length fits, None when none does.

    Tried as tensor-parallel sizes; pipeline stages stay as they are.
    """
    for ranks in sizes_to_try(facts, settings, host, vllm_weights(facts, settings)):
        case = work_out(facts, replace(settings, tensor_parallel=ranks), host)
        if case.context_level is Level.UNKNOWN:
            return None
        if case.context_level in _ENOUGH:
            return hosts_for(case.settings.ranks * settings.data_parallel, host)
    return None


def proposals_for(case: VllmCase, hosts: Sequence[HostMemory]) -> tuple[Proposal, ...]:
    """What would help, best first: nothing when all is well or a needed input is unknown."""
    found = list(_for_start(case))
    if case.context_level in (Level.BAD, Level.TIGHT) and not case.refused:
        found += _for_context(case, len(hosts))
    return tuple(found)


def _for_start(case: VllmCase) -> Iterator[Proposal]:
    """Propose a lower share when the engine's check at start would refuse."""
    share = utilisation_of(case.settings, case.rules)
    most = max_utilisation(case.host)
    if share <= most or most <= 0:
        return
    lower = replace(case.settings, utilisation=most)
    after = work_out(case.facts, lower, case.host)
    effect = "the start check passes"
    if after.context_level is Level.BAD:
        effect += f", but only {after.longest or 0:,} tokens fit then"
    yield Proposal("gpu_memory_utilization", f"{share:.2f}", f"{most:.2f}", effect)


def _for_context(case: VllmCase, hosts: int) -> Iterator[Proposal]:
    """Propose, in this order: shorter context, larger share, fp8 cache, fewer batched tokens, one more host."""
    length, longest = case.length or 0, _safe_length(case)
    if longest and longest < length:
        what = "the largest context that fits"
        if longest == case.facts.max_length:
            what = "the length that the model was made for"
        yield Proposal("max_model_len", str(length), str(longest), what)
    yield from _more_memory(case)
    yield from _smaller_cache(case)
    yield from _fewer_tokens(case)
    yield from _more_hosts(case, hosts)


def _safe_length(case: VllmCase) -> int:
    """The longest context that the likely pool takes and the model was made for, in whole steps; 0 when none does."""
    longest = case.longest or 0
    if case.facts.max_length:
        longest = min(longest, case.facts.max_length)
    return longest // _STEP * _STEP if longest >= _STEP else longest


def _more_memory(case: VllmCase) -> Iterator[Proposal]:
    """Propose the smallest larger share that suffices, if the start check allows it."""
    share, needed = utilisation_of(case.settings, case.rules), min_utilisation(case)
    if needed is None or needed <= share or needed > max_utilisation(case.host):
        return
    extra = format_gib((needed - share) * case.host.total)
    yield Proposal("gpu_memory_utilization", f"{share:.2f}", f"{needed:.2f}", f"{extra} more for the cache")


def _smaller_cache(case: VllmCase) -> Iterator[Proposal]:
    """Propose an fp8 cache when the present one is wider."""
    if case.plan is None or case.plan.cache_dtype not in ("auto", "bfloat16", "float16"):
        return
    after = work_out(case.facts, replace(case.settings, kv_cache_dtype="fp8"), case.host)
    if after.refused or not _longer(after, case):
        return
    yield Proposal("kv_cache_dtype", case.settings.kv_cache_dtype, "fp8", _reach(after))


def _fewer_tokens(case: VllmCase) -> Iterator[Proposal]:
    """Propose fewer batched tokens: less activation memory, and less for windows."""
    if case.plan is None or case.plan.batched_tokens <= 2048:
        return
    after = work_out(case.facts, replace(case.settings, max_num_batched_tokens=2048), case.host)
    if _longer(after, case):
        yield Proposal("max_num_batched_tokens", str(case.plan.batched_tokens), "2048", _reach(after))


def _more_hosts(case: VllmCase, hosts: int) -> Iterator[Proposal]:
    """Propose the next tensor-parallel size that the model can be split over and that suffices."""
    present = case.settings.tensor_parallel
    for ranks in sizes_to_try(case.facts, case.settings, case.host, case.weights, above=present):
        after = work_out(case.facts, replace(case.settings, tensor_parallel=ranks), case.host)
        if after.context_level in _ENOUGH:
            what = f"{_reach(after)}, on {hosts_for(after.settings.ranks, case.host)} hosts"
            yield Proposal("tensor_parallel", str(present), str(ranks), what)
            return


def _longer(after: VllmCase, before: VllmCase) -> bool:
    """Whether a change lets a longer context fit."""
    return (after.longest or 0) > (before.longest or 0)


def _reach(case: VllmCase) -> str:
    """What fits after a change, in words."""
    if case.context_level in _ENOUGH and case.length:
        return f"{case.length:,} tokens fit"
    return f"{case.longest or 0:,} tokens fit"
