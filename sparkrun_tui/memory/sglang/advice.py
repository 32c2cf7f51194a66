"""What to change when an SGLang recipe does not fit: each proposal is worked out before it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory.result import HostMemory, Proposal
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.case import SglangCase, changed, max_fraction, work_out
from sparkrun_tui.memory.sglang.cell import SglangRefusal
from sparkrun_tui.memory.sglang.plan import plan_sglang
from sparkrun_tui.memory.splitting import hosts_for, sizes_to_try
from sparkrun_tui.memory.weights.on_rank import weights_of
from sparkrun_tui.models.facts import ModelFacts

_FEW_REQUESTS = 16
_STEP = 1024
_TABLE = 256 << 20
"""A request table below this size, in bytes, is not mentioned."""


def short_of_slack(case: SglangCase) -> bool:
    """Whether the memory needed outside the pools exceeds what they leave."""
    return case.beside is not None and case.beside.likely > case.slack


def too_short(case: SglangCase) -> bool:
    """Whether the pool may not hold one request of full length."""
    if case.refused:
        return True
    fewest = case.fewest.tokens if case.fewest is not None else 0
    return case.plan is not None and case.length is not None and fewest < case.length


def min_fraction(case: SglangCase) -> float | None:
    """The smallest fraction whose pool holds one request of full length, to two digits; None if none does.

    Pools grow with the fraction, so it is found by halving.
    """
    if case.weights is None or not case.length or case.facts.layers is None:
        return None
    low, high = 0, 100
    while low < high:
        middle = (low + high) // 2
        if _holds(case, middle / 100):
            high = middle
        else:
            low = middle + 1
    if low < 100 and _holds(case, low / 100):
        return low / 100
    return None


def _holds(case: SglangCase, fraction: float) -> bool:
    """Whether a fraction's pool holds one request of full length."""
    if fraction <= 0:
        return False
    settings = replace(case.settings, utilisation=fraction)
    try:
        plan = plan_sglang(case.facts, settings, case.before, case.after, case.host.total)
    except SglangRefusal:
        return False
    return plan.tokens >= (case.length or 0)


def min_hosts(facts: ModelFacts, settings: EngineSettings, host: HostMemory) -> int | None:
    """The fewest hosts like `host` whose pool holds a request of full length, None when none does."""
    whole = weights_of(facts, settings)
    if whole is None or facts.layers is None:
        return None
    for ranks in sizes_to_try(facts, settings, host, whole):
        case = work_out(facts, replace(settings, tensor_parallel=ranks), host)
        if case.plan is not None and case.length and case.plan.tokens >= case.length and not short_of_slack(case):
            return hosts_for(case.settings.ranks, host)
    return None


def proposals_for(case: SglangCase) -> tuple[Proposal, ...]:
    """What would help, best first: nothing when all is well or a needed input is unknown."""
    if case.weights is None or case.facts.layers is None:
        return ()
    found: list[Proposal] = []
    if short_of_slack(case):
        found += _for_slack(case)
    if too_short(case) and not case.unknown_drafter:
        found += _for_pool(case)
    return tuple(found)


def _for_slack(case: SglangCase) -> Iterator[Proposal]:
    """Propose fewer running requests for the request table, and a smaller fraction where that is not enough."""
    if case.plan is not None and case.plan.table > _TABLE and case.plan.requests > _FEW_REQUESTS:
        after = changed(case, max_num_seqs=_FEW_REQUESTS)
        if after.plan is not None:
            saved = format_gib(case.plan.table - after.plan.table)
            present = case.settings.max_num_seqs
            old = "unset" if present is None else str(present)
            yield Proposal("max_num_seqs", old, str(_FEW_REQUESTS), f"{saved} less for the request table")
            if not short_of_slack(after):
                return
    most = max_fraction(case)
    if most is None or not 0 < most < case.fraction:
        return
    after = changed(case, utilisation=most)
    if after.plan is not None:
        effect = f"the memory outside the pools fits; {after.plan.tokens:,} tokens of cache then"
        yield Proposal("gpu_memory_utilization", f"{case.fraction:.3g}", f"{most:.2f}", effect)


def _for_pool(case: SglangCase) -> Iterator[Proposal]:
    """Propose a larger fraction, an fp8 cache, a shorter context, more hosts."""
    least, most = min_fraction(case), _most(case)
    if least is not None and case.fraction < least <= most:
        what = f"the pool holds {case.length or 0:,} tokens"
        yield Proposal("gpu_memory_utilization", f"{case.fraction:.3g}", f"{least:.2f}", what)
    if case.settings.kv_cache_dtype in ("auto", "bf16", "bfloat16"):
        after = changed(case, kv_cache_dtype="fp8_e4m3")
        before = case.plan.tokens if case.plan is not None else 0
        if after.plan is not None and after.plan.tokens > before:
            what = f"{after.plan.tokens:,} tokens of cache"
            yield Proposal("kv_cache_dtype", case.settings.kv_cache_dtype, "fp8_e4m3", what)
    if case.plan is not None and case.length is not None and case.plan.tokens < case.length:
        fitting = case.plan.tokens // _STEP * _STEP or case.plan.tokens
        if case.facts.max_length:
            fitting = min(fitting, case.facts.max_length)
        what = "the largest request that the pool holds"
        if fitting == case.facts.max_length:
            what = "the length that the model was made for"
        yield Proposal("max_model_len", str(case.length), str(fitting), what)
    yield from _more_hosts(case)


def _most(case: SglangCase) -> float:
    """The largest fraction that may be proposed: what the slack allows, else 0.9."""
    return max_fraction(case) or 0.9


def _more_hosts(case: SglangCase) -> Iterator[Proposal]:
    """Propose the next tensor-parallel size whose pool holds a request of full length."""
    present = case.settings.tensor_parallel
    for ranks in sizes_to_try(case.facts, case.settings, case.host, case.weights, above=present):
        after = work_out(case.facts, replace(case.settings, tensor_parallel=ranks), case.host)
        if after.plan is not None and case.length and after.plan.tokens >= case.length:
            hosts = hosts_for(after.settings.ranks, case.host)
            what = f"the pool holds {case.length:,} tokens, on {hosts} hosts"
            yield Proposal("tensor_parallel", str(present), str(ranks), what)
            return
