"""The estimate for vLLM: pictures of the hosts, three verdicts, inversions and proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory import verdicts
from sparkrun_tui.memory.bands import part, worst_headroom, worst_verdict
from sparkrun_tui.memory.headroom import for_headroom
from sparkrun_tui.memory.hosts import floors, others
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, HostPicture, Level, Part, Verdict
from sparkrun_tui.memory.settings import AUTO_LENGTH, EngineSettings
from sparkrun_tui.memory.splitting import hosts_used
from sparkrun_tui.memory.vllm.advice import max_utilisation, min_hosts, min_utilisation, proposals_for
from sparkrun_tui.memory.vllm.case import VllmCase, work_out
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.plan import VllmPlan, unknown_cache
from sparkrun_tui.memory.vllm.pool import utilisation_of
from sparkrun_tui.memory.weights.ngram_table import table_note
from sparkrun_tui.models.facts import ModelFacts


def estimate_vllm(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured],
) -> Estimate:
    """Estimate what vLLM allocates on `hosts`; `measured` holds earlier starts by host name."""
    used, needed = hosts_used(hosts, settings.ranks * settings.data_parallel)
    cases = [work_out(facts, settings, host, measured.get(host.name)) for host in used]
    weakest = min(cases, key=_rank)
    pictures = tuple(_picture(case) for case in cases)
    plan, length, pool = weakest.plan, weakest.length, weakest.room
    share = utilisation_of(settings, weakest.rules)
    tokens = request_bytes = None
    if plan is not None and length:
        request_bytes = plan.request_bytes(length)
        if pool is not None and pool > 0:
            tokens = plan.pool_tokens(pool, length)
    return Estimate(
        hosts=pictures,
        starts=_starts(cases, needed),
        context=_context(weakest),
        headroom=worst_headroom(pictures),
        notes=_notes(weakest),
        engine_version=weakest.rules.name,
        facts_source=facts.source,
        max_context=weakest.longest,
        concurrency=weakest.concurrency,
        min_hosts=min_hosts(facts, settings, weakest.host),
        max_utilisation=min(max_utilisation(case.host) for case in cases),
        min_utilisation=min_utilisation(weakest),
        proposals=(*proposals_for(weakest, used), *for_headroom(pictures, share)),
        kv_bytes_per_request=request_bytes,
        pool_tokens=tokens,
        weights_bytes=weakest.weights.whole if weakest.weights else None,
        hosts_needed=needed,
    )


def _rank(case: VllmCase) -> tuple[int, int]:
    """Order cases: the smallest pool first, unknown pools by the host's size."""
    return (case.room if case.room is not None else 0, case.host.total)


def _picture(case: VllmCase) -> HostPicture:
    """Draw one host: other tenants, weights, cache, activations, graphs, overheads, and what stays free."""
    host, pool = case.host, case.pool
    tenants = others(host)
    parts = [tenants]
    if case.weights is not None:
        parts.append(part("weights", case.weights.band))
    if pool.pool is not None:
        low, high = max(pool.pool_low or 0, 0), max(pool.pool_high or 0, 0)
        source = "--kv-cache-memory-bytes" if case.fixed_cache else "what the budget leaves"
        parts.append(Part("kv", max(pool.pool, 0), low, high, source))
    parts += [part("activation", pool.activation), part("graphs", pool.graphs)]
    parts.append(part("overhead", pool.context, pool.outside))
    red, green = floors(host)
    sum_of_parts = sum(item.bytes for item in parts)
    if case.fixed_cache:
        free = None if case.weights is None else host.total - sum_of_parts
        return HostPicture(host, tuple(parts), None, free, red, green)
    taken = tenants.bytes + pool.budget + pool.outside.likely
    if pool.pool is not None:
        taken = max(taken, sum_of_parts)
    return HostPicture(host, tuple(parts), pool.budget, host.total - taken, red, green)


def _starts(cases: Sequence[VllmCase], needed: int) -> Verdict:
    """Judge whether the engine starts: hosts, refusals, its check of free memory, room for any cache."""
    if len(cases) < needed:
        return verdicts.too_few_hosts(needed, len(cases))
    found = []
    for case in cases:
        if case.refused:
            return verdicts.refused(case.refused)
        share = utilisation_of(case.settings, case.rules)
        gate = verdicts.start_gate(case.host, case.pool.budget, share)
        if gate.level is Level.BAD:
            found.append(gate)
            continue
        if case.room is not None and case.room <= 0:
            gate = verdicts.no_room(case.host, case.pool.budget, case.pool.fixed or 0)
        elif case.weights is None:
            gate = verdicts.unknown("start unknown", f"{case.host.name}: the size of the weights is not known")
        elif case.fixed_cache and _device_bytes(case) > case.host.total - others(case.host).bytes:
            gate = verdicts.out_of_memory(case.host, _device_bytes(case))
        elif gate.level is Level.GOOD and _beyond(case):
            gate = verdicts.too_long(case.settings.max_model_len or 0, case.facts.max_length or 0)
        found.append(gate)
    return worst_verdict(found)


def _device_bytes(case: VllmCase) -> int:
    """Bytes that weights, overheads and the cache take on the device, 0 when the weights are unknown."""
    if case.pool.fixed is None or case.room is None:
        return 0
    return case.pool.fixed + case.room


def _beyond(case: VllmCase) -> bool:
    """Whether the recipe asks for more context than the model was made for."""
    asked, own = case.settings.max_model_len, case.facts.max_length
    return asked is not None and own is not None and asked != AUTO_LENGTH and asked > own


def _context(case: VllmCase) -> Verdict:
    """Judge whether one request of full length fits and how many at once."""
    plan, length, room = case.plan, case.length, case.room
    if case.refused:
        return verdicts.refused(case.refused)
    if plan is None:
        reason = unknown_cache(case.facts, case.rules, device_of(case.host))
        return verdicts.unknown("context unknown", reason or "how the model caches tokens is not known")
    if length is None:
        return verdicts.unknown("context unknown", "neither the recipe nor the model states a context length")
    if room is None:
        return verdicts.unknown("context unknown", "the size of the weights is not known")
    level = case.context_level
    if plan.unknown_drafter:
        longest = f"; counted like layers of the model, {case.longest:,} tokens would fit" if case.longest else ""
        return verdicts.unknown("context unknown", f"how the draft model caches tokens is not known{longest}")
    if case.depends_on_backend:
        return verdicts.unknown("context unknown", _by_backend(case, plan, length))
    if level is Level.BAD:
        return verdicts.context_too_long(length, case.longest or 0, plan.request_bytes(length), room)
    at_once = case.concurrency or 0.0
    return verdicts.context_fits(level, length, at_once, plan.request_bytes(length), room)


def _by_backend(case: VllmCase, plan: VllmPlan, length: int) -> str:
    """What a request takes with FlashInfer for the draft model, and with a backend that takes longer blocks."""
    needed = format_gib(plan.request_bytes(length), 2)
    other = format_gib(case.other_plan.request_bytes(length), 2) if case.other_plan is not None else "less"
    return (
        f"it depends on the draft model's attention backend: with FlashInfer, which vLLM chooses for this cache, one "
        f"request of {length:,} tokens takes {needed}, with TRITON_ATTN {other}; "
        f"the cache has about {format_gib(max(case.room or 0, 0), 2)}"
    )


def _notes(case: VllmCase) -> tuple[str, ...]:
    """What a person should know of the estimate's inputs."""
    facts, settings = case.facts, case.settings
    notes = [*settings.notes, *facts.notes]
    if case.plan is not None:
        notes += case.plan.notes
    tables = table_note(facts, settings)
    if tables:
        notes.append(tables)
    if case.capped is not None and case.capped == case.length:
        notes.append(f"the draft model limits the context to {case.capped:,} tokens")
    counted = facts.declared is not None and not facts.declared.kv_per_token
    if facts.layers is not None and counted and not facts.config:
        notes.append("only the recipe's metadata is known: every layer is counted as full attention")
    if case.fixed_cache:
        notes.append(
            "--kv-cache-memory-bytes sets the size of the KV cache: gpu_memory_utilization only decides "
            "whether vLLM starts, and does not limit what it takes"
        )
    if not case.rules.known:
        notes.append(f"the image does not state its version; {case.rules.name}")
    if case.plan is not None and case.length:
        sizes = sorted({plan.request_bytes(case.length) for plan in (case.plan, *case.older)})
        if len(sizes) > 1:
            low, high = format_gib(sizes[0], 2), format_gib(sizes[-1], 2)
            notes.append(f"by the image's date it may be an older release: one request takes {low} to {high}")
    if settings.cpu_offload_gib:
        notes.append("weights offloaded to the CPU stay in the same memory on a unified host")
    return tuple(dict.fromkeys(notes))
