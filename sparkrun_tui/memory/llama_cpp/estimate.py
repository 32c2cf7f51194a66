"""The estimate for llama.cpp: pictures of the hosts, three verdicts and proposals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from sparkrun_tui.base.units import format_gib
from sparkrun_tui.memory import verdicts
from sparkrun_tui.memory.bands import exact, part, worst_headroom, worst_verdict
from sparkrun_tui.memory.hosts import assumed_spark, floors, free_at_start, others
from sparkrun_tui.memory.llama_cpp.advice import proposals_for
from sparkrun_tui.memory.llama_cpp.case import LlamaCase, work_out
from sparkrun_tui.memory.llama_cpp.plan import FIT_FLOOR
from sparkrun_tui.memory.measured import Measured
from sparkrun_tui.memory.result import Estimate, HostMemory, HostPicture, Level, Verdict, badness
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts

NEWEST = "b11669"
"""The build whose rules are assumed when the image does not state one."""


def estimate_llama(
    facts: ModelFacts,
    settings: EngineSettings,
    hosts: Sequence[HostMemory],
    measured: Mapping[str, Measured],
) -> Estimate:
    """Estimate what llama-server allocates; several hosts share the model evenly (RPC)."""
    used = (list(hosts) or [assumed_spark("spark-1")])[: max(1, settings.ranks)]
    cases = [work_out(facts, settings, host, len(used), measured.get(host.name)) for host in used]
    weakest = max(cases, key=lambda case: (badness(case.level), -case.free))
    pictures = tuple(_picture(case) for case in cases)
    version = settings.version or f"{NEWEST} (assumed)"
    return Estimate(
        hosts=pictures,
        starts=worst_verdict(_starts(case) for case in cases),
        context=_context(weakest),
        headroom=worst_headroom(pictures),
        notes=_notes(weakest),
        engine_version=f"llama.cpp {version}",
        facts_source=facts.source,
        max_context=weakest.longest,
        concurrency=weakest.at_once,
        min_hosts=_min_hosts(facts, settings, weakest),
        proposals=proposals_for(weakest),
        kv_bytes_per_request=_request_bytes(weakest),
        pool_tokens=weakest.plan.shape.allocated if weakest.plan else None,
        weights_bytes=weakest.weights.likely * weakest.hosts if weakest.weights else None,
    )


def _request_bytes(case: LlamaCase) -> int | None:
    """The cache and the state of one request of full length, in bytes."""
    if case.plan is None:
        return None
    shape, cache = case.plan.shape, case.plan.cache
    return ceil(cache.kv / shape.streams) + ceil(cache.state / shape.slots)


def _picture(case: LlamaCase) -> HostPicture:
    """Draw one host: other tenants, weights, context, compute buffers, overheads, and what stays free."""
    host, plan = case.host, case.plan
    parts = [others(host)]
    if case.weights is not None:
        parts.append(part("weights", case.weights))
    if plan is not None:
        context = exact(ceil(plan.context / case.hosts), "allocated at start")
        parts.append(part("kv", context))
        if plan.compute is not None:
            parts.append(part("activation", plan.buffers))
    parts.append(part("overhead", case.overhead))
    red, green = floors(host)
    taken = case.taken
    free = None if taken is None else host.total - others(host).bytes - taken.likely
    return HostPicture(host, tuple(parts), None, free, red, green)


def _starts(case: LlamaCase) -> Verdict:
    """Judge whether the server starts: refusals, then everything it allocates against the host's memory."""
    if case.refused:
        return verdicts.refused(case.refused)
    taken = case.taken
    if taken is None:
        missing = "the size of the weights" if case.weights is None else "how the model is cached"
        return verdicts.unknown("start unknown", f"{case.host.name}: {missing} is not known")
    free = free_at_start(case.host)
    said = f"{case.host.name}: it takes about {format_gib(taken.likely)}, "
    if case.level is Level.BAD:
        return Verdict(Level.BAD, "will not fit in memory", said + f"only {format_gib(case.free)} are free")
    said += f"{format_gib(free)} are free at the start"
    if case.level is Level.TIGHT:
        return Verdict(Level.TIGHT, "may not fit in memory", said)
    return Verdict(Level.GOOD, "starts", said)


def _context(case: LlamaCase) -> Verdict:
    """Judge the context: what the machine takes, how it is shared among slots, and what --fit makes of it."""
    if case.refused:
        return verdicts.refused(case.refused)
    if case.plan is None or case.slot_length is None or case.at_once is None:
        return verdicts.unknown("context unknown", "how llama.cpp caches tokens of this model is not known")
    if case.weights is None:
        return verdicts.unknown("context unknown", "the size of the weights is not known")
    shape, size = case.plan.shape, _request_bytes(case) or 0
    shared = "shared by" if shape.unified else "split among"
    detail = (
        f"{shape.n_ctx:,} tokens {shared} {shape.slots} slots take {format_gib(case.plan.context, 2)}, "
        f"one request of {case.slot_length:,} tokens {format_gib(size, 2)}"
    )
    if case.level is Level.BAD:
        longest = case.longest or 0
        text = f"only {longest:,} tokens fit" if longest else "no room for a KV cache"
        return Verdict(Level.BAD, text, detail)
    if case.context is not None and case.wanted is not None and case.context < case.wanted:
        text = f"--fit cuts the context to {case.context:,} tokens"
        return Verdict(Level.TIGHT, text, detail + f"; {case.wanted:,} were wanted")
    if case.slot_length < verdicts.SHORTEST:
        return verdicts.context_fits(case.level, case.slot_length, 0, 0, 0)
    text = f"{case.slot_length:,} tokens fit, {case.at_once:.1f} at once"
    return Verdict(case.level, text, detail)


def _min_hosts(facts: ModelFacts, settings: EngineSettings, case: LlamaCase) -> int | None:
    """The fewest hosts like this one that the recipe fits on, None when none does or it is unknown."""
    if case.taken is None:
        return None
    for count in (1, 2, 3, 4, 8):
        found = work_out(facts, settings, case.host, count)
        if found.level in (Level.GOOD, Level.TIGHT):
            return count
    return None


def _notes(case: LlamaCase) -> tuple[str, ...]:
    """Notes about the estimate's inputs and about memory that grows after the start."""
    facts, settings, plan = case.facts, case.settings, case.plan
    notes = [*settings.notes, *facts.notes]
    own_files = facts.config or facts.gguf
    if facts.layers is not None and facts.declared is not None and not own_files:
        notes.append("only the recipe's metadata is known: every layer counts as full attention")
    if not settings.version:
        notes.append(f"the image does not state its build; {NEWEST} is assumed")
    elif settings.version != NEWEST:
        notes.append(f"build {settings.version} is sized by the rules of {NEWEST}")
    if plan is not None and settings.llama.parallel is None and plan.cache.state:
        notes.append(f"{plan.shape.slots} slots are the default, and each keeps a recurrent state of its own")
    asked, trained = settings.llama.ctx_size, facts.max_length
    if asked and trained and asked > trained:
        notes.append(
            f"slots get at most {trained:,} tokens, the model's trained length; the memory is allocated anyway"
        )
    was_cut = case.wanted is not None and case.wanted > FIT_FLOOR
    if was_cut and case.context == FIT_FLOOR:
        notes.append("--fit went down to its floor of 4,096 tokens: the model is too large for this host")
    if settings.llama.no_mmap:
        notes.append("recent builds refuse --no-mmap; use -lm none instead")
    elif case.host.unified and case.device:
        notes.append("while it loads, the pages of the file use memory in addition to the copy on the device")
    notes.append("while it serves, the prompt cache may take up to 8 GiB more (--cache-ram)")
    return tuple(dict.fromkeys(notes))
