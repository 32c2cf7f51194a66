"""The estimate for SGLang: pictures of the hosts, three verdicts, inversions and proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory import verdicts
from sparkrun_tui.memory.bands import exact, part, worst_headroom, worst_verdict
from sparkrun_tui.memory.headroom import for_headroom
from sparkrun_tui.memory.hosts import floors, others
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.overheads import Band
from sparkrun_tui.memory.result import Estimate, HostMemory, HostPicture, Level, Verdict
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.advice import min_fraction, min_hosts, proposals_for, short_of_slack
from sparkrun_tui.memory.sglang.case import SglangCase, max_fraction, work_out
from sparkrun_tui.memory.sglang.family import is_deepseek_v4
from sparkrun_tui.memory.sglang.fraction import chunk_of
from sparkrun_tui.memory.sglang.plan import widest_window
from sparkrun_tui.memory.sglang.versions import EXACT, NEWEST, OLDEST, rules_note, spelled
from sparkrun_tui.memory.splitting import hosts_used
from sparkrun_tui.memory.weights.ngram_table import table_note
from sparkrun_tui.models.facts import ModelFacts


def estimate_sglang(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured],
) -> Estimate:
    """Estimate what SGLang allocates on `hosts`; `measured` holds earlier starts by host name."""
    used, needed = hosts_used(hosts, settings.ranks)
    cases = [work_out(facts, settings, host, measured.get(host.name)) for host in used]
    weakest = min(cases, key=lambda case: (case.plan.tokens if case.plan else 0, case.host.total))
    pictures = tuple(_picture(case) for case in cases)
    starts = worst_verdict(_starts(case) for case in cases)
    if len(used) < needed:
        starts = verdicts.too_few_hosts(needed, len(used))
    version = settings.version or f"{spelled(NEWEST)} (assumed)"
    plan, proposals = weakest.plan, proposals_for(weakest)
    if weakest.by_unknown_rules:
        plan, proposals = None, ()
    return Estimate(
        hosts=pictures,
        starts=starts,
        context=_context(weakest),
        headroom=worst_headroom(pictures),
        notes=_notes(weakest),
        engine_version=f"SGLang {version}",
        facts_source=facts.source,
        max_context=weakest.longest,
        concurrency=weakest.concurrency,
        min_hosts=min_hosts(facts, settings, weakest.host),
        max_utilisation=max_fraction(weakest),
        min_utilisation=min_fraction(weakest),
        proposals=(*proposals, *for_headroom(pictures, weakest.fraction)),
        kv_bytes_per_request=request_bytes(weakest),
        pool_tokens=plan.tokens if plan else None,
        weights_bytes=weakest.weights.whole if weakest.weights else None,
        hosts_needed=needed,
    )


def request_bytes(case: SglangCase) -> int | None:
    """The bytes of one request of full length: its tokens, its windows (a chunk more), its recurrent slots."""
    plan, length = case.plan, case.length
    if plan is None or not length:
        return None
    if plan.cell is None:
        return ceil(plan.kv * length / plan.tokens)
    windows = min(length, plan.window_tokens or 0, widest_window(case.facts) + chunk_of(case.settings))
    slots = plan.slots.per_request * plan.slots.per_slot if plan.slots is not None else 0
    return int(length * plan.cell.full + windows * plan.cell.window) + slots


def _picture(case: SglangCase) -> HostPicture:
    """Draw one host: other tenants, weights, pools, graphs, activations and tables, and what stays free."""
    host, plan = case.host, case.plan
    tenants = others(host)
    parts = [tenants]
    if case.weights is not None:
        parts.append(part("weights", case.weights.band))
    if plan is not None:
        parts.append(part("kv", _pools(case)))
        parts += [part("activation", case.activation), part("graphs", case.graphs)]
        gap = max(0, host.total - tenants.bytes - case.before)
        tables = exact(plan.table + plan.outside, "request table")
        parts.append(part("overhead", tables, exact(gap, "container and CUDA context")))
    red, green = floors(host)
    free = host.total - sum(item.bytes for item in parts) if plan is not None and case.weights is not None else None
    return HostPicture(host, tuple(parts), int(case.before * case.fraction), free, red, green)


def _pools(case: SglangCase) -> Band:
    """The pools of the target, the drafter and the recurrent states, with what a heavier load leaves."""
    plan = case.plan
    if plan is None:
        return Band(0, 0, 0, "none")
    likely = _pool_bytes(case)
    few = case.fewest
    low = likely if few is None else likely - (plan.kv + plan.draft - few.kv - few.draft)
    return Band(likely, min(low, likely), likely, "what the fraction leaves")


def _pool_bytes(case: SglangCase) -> int:
    """The bytes of all pools inside the budget."""
    plan = case.plan
    if plan is None:
        return 0
    return plan.kv + plan.draft + (plan.slots.bytes if plan.slots is not None else 0)


def _starts(case: SglangCase) -> Verdict:
    """Judge whether the server starts: room for the pools, and room beside them for what is not budgeted."""
    host = case.host.name
    if case.by_kernels:
        return verdicts.refused(case.refused)
    if case.by_unknown_rules:
        return verdicts.unknown("start unknown", f"{host}: {_too_old(case)}")
    if case.refused:
        return Verdict(Level.BAD, "will not start", f"{host}: {case.refused}")
    if case.plan is None or case.beside is None:
        missing = "how the model caches tokens" if case.weights is not None else "the size of the weights"
        return verdicts.unknown("start unknown", f"{host}: {missing} is not known")
    beside, said = case.beside, f"{host}: {case.fraction:.3g} of {format_gib(case.before)} leaves "
    said += f"{format_gib(case.slack)} for what needs about {format_gib(beside.likely)}: the request table "
    said += f"({format_gib(case.plan.table)}), graphs and activations"
    if beside.low > case.slack:
        return Verdict(Level.BAD, "runs out of memory at start", said)
    if short_of_slack(case):
        return Verdict(Level.TIGHT, "may run out of memory", said)
    if case.fewest is None:
        return Verdict(Level.TIGHT, "may leave no room for a cache", said)
    return Verdict(Level.GOOD, "starts", said)


def _too_old(case: SglangCase) -> str:
    """What is to be said of a version whose rules are not known: the figure is another release's."""
    version, known = case.settings.version, spelled(OLDEST)
    if is_deepseek_v4(case.facts):
        known = spelled(EXACT)
    said = f"how SGLang {version} shares its memory is not known, only releases since {known}"
    if case.plan is not None:
        said += f"; the pool that is counted would hold {case.plan.tokens:,} tokens"
    return said


def _context(case: SglangCase) -> Verdict:
    """Judge the context: the server starts with any pool, so a short one limits requests and is no refusal."""
    plan, length = case.plan, case.length
    if case.by_kernels:
        return verdicts.refused(case.refused)
    if case.by_unknown_rules:
        return verdicts.unknown("context unknown", _too_old(case))
    if case.refused:
        return Verdict(Level.BAD, "no room for a KV cache", f"{case.host.name}: {case.refused}")
    if plan is None:
        return verdicts.unknown("context unknown", "the weights or how the model caches tokens are not known")
    if not length:
        return verdicts.unknown("context unknown", "neither the recipe nor the model states a context length")
    if case.unknown_drafter:
        missing = "how the draft model caches tokens is not known"
        return verdicts.unknown(
            "context unknown", f"{missing}; with one layer like the model's the pool holds {plan.tokens:,} tokens"
        )
    if length < verdicts.SHORTEST:
        return verdicts.context_fits(Level.TIGHT, length, 0, 0, 0)
    detail = f"the pool holds {plan.tokens:,} tokens, {plan.requests:,} requests at once at most"
    if plan.slots is not None:
        detail += f"; {plan.slots.count:,} recurrent slots, {plan.slots.per_request} for each request"
    if plan.tokens < length:
        detail += f"; the server starts, but a request may only have {plan.tokens - 1:,} of {length:,} tokens"
        return Verdict(Level.TIGHT, f"{plan.tokens:,} of {length:,} tokens fit", detail)
    if case.fewest is None or case.fewest.tokens < length:
        return Verdict(Level.TIGHT, f"{length:,} tokens may just fit", detail)
    return Verdict(Level.GOOD, f"{length:,} tokens fit, {case.concurrency or 0:.1f} at once", detail)


def _notes(case: SglangCase) -> tuple[str, ...]:
    """Notes about the estimate's inputs and about what the server chooses by itself."""
    facts, settings, plan = case.facts, case.settings, case.plan
    notes = [*settings.notes, *facts.notes]
    if facts.layers is not None and facts.declared is not None and not facts.config:
        notes.append("only the recipe's metadata is known: every layer counts as full attention")
    tables = table_note(facts, settings)
    if tables:
        notes.append(tables)
    rules = rules_note(settings.version)
    if rules:
        notes.append(rules)
    if settings.utilisation is None:
        notes.append(f"no --mem-fraction-static: the server chooses {case.fraction:.3g} of what is available at start")
    if plan is not None and plan.outside:
        notes.append(f"the drafter's pool of {format_gib(plan.outside)} comes on top of the fraction")
    if settings.max_model_len and facts.max_length and settings.max_model_len > facts.max_length:
        notes.append("a context longer than the model's own needs SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1")
    return tuple(dict.fromkeys(notes))
