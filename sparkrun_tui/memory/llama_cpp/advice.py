"""What to change when a llama.cpp recipe does not fit: each proposal is worked out before it is made."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.units import GIB, format_gib
from sparkrun_tui.memory.hosts import floors
from sparkrun_tui.memory.llama_cpp.cache import flash_attention
from sparkrun_tui.memory.llama_cpp.case import LlamaCase, with_options
from sparkrun_tui.memory.llama_cpp.plan import plan_llama
from sparkrun_tui.memory.result import Level, Proposal
from sparkrun_tui.models.gguf.types import block_length

_STEP = 1024
_LEAST = 4096
_WORTH = GIB // 10
_ENOUGH = (Level.GOOD, Level.TIGHT)


def proposals_for(case: LlamaCase) -> tuple[Proposal, ...]:
    """What would help, best first: nothing when all is well or a needed input is unknown."""
    if case.refused:
        return tuple(_for_refusal(case))
    left = case.left
    if left is None or (case.level is Level.GOOD and left >= floors(case.host)[1]):
        return ()
    return (*_shorter(case), *_quantised(case), *_fewer_slots(case))


def _for_refusal(case: LlamaCase) -> Iterator[Proposal]:
    """Propose the value type that goes with the keys', or plain values where flash attention is off."""
    options = case.settings.llama
    for kind in (options.cache_type_k, "f16"):
        if kind != options.cache_type_v and not with_options(case, cache_type_v=kind).refused:
            yield Proposal("cache_type_v", options.cache_type_v, kind, "the server starts with it")
            return


def _shorter(case: LlamaCase) -> Iterator[Proposal]:
    """Propose the largest context that leaves the host comfortable, else out of danger, else one that fits."""
    red, green = floors(case.host)
    present, asked = case.context or 0, case.settings.llama.ctx_size
    for reserve, what in ((green, "leaves the host comfortable"), (red, "keeps the host out of danger"), (0, "fits")):
        longest = (case.longest_leaving(reserve) or 0) // _STEP * _STEP
        if longest >= min(_LEAST, present):
            if longest < present:
                old = "unset" if asked is None else str(asked)
                yield Proposal("ctx_size", old, str(longest), f"the largest context that {what}")
            return


def _quantised(case: LlamaCase) -> Iterator[Proposal]:
    """Propose q8_0 for keys and values, which need flash attention and halve the cache."""
    options = case.settings.llama
    if not flash_attention(case.facts, options) or block_length(options.cache_type_k) > 1 or case.plan is None:
        return
    after = with_options(case, cache_type_k="q8_0", cache_type_v="q8_0")
    if after.refused or after.plan is None or not _better(after, case):
        return
    what = f"both cache types q8_0 save {format_gib(_saved(case, after))}; {_reach(after)}"
    yield Proposal("cache_type_k", options.cache_type_k, "q8_0", what)
    if options.cache_type_v != "q8_0":
        yield Proposal("cache_type_v", options.cache_type_v, "q8_0", "goes with cache_type_k q8_0")


def _fewer_slots(case: LlamaCase) -> Iterator[Proposal]:
    """Propose one slot where several pay for windows, states or padding."""
    if case.plan is None or case.plan.shape.slots == 1:
        return
    after = with_options(case, parallel=1)
    if after.plan is None or not _better(after, case):
        return
    present = case.settings.llama.parallel
    what = f"one request at a time saves {format_gib(_saved(case, after))}; {_reach(after)}"
    yield Proposal("n_parallel", "unset" if present is None else str(present), "1", what)


def _saved(before: LlamaCase, after: LlamaCase) -> int:
    """The bytes that a change saves at the context that is allocated now."""
    if before.plan is None:
        return 0
    now = plan_llama(after.facts, after.settings, before.plan.shape.n_ctx, after.device)
    return max(0, before.plan.total - now.total)


def _better(after: LlamaCase, before: LlamaCase) -> bool:
    """Whether a change saves a noticeable amount at the context that is allocated now."""
    return _saved(before, after) >= _WORTH


def _reach(case: LlamaCase) -> str:
    """What fits after a change, in words."""
    if case.level in _ENOUGH and case.context:
        return f"{case.context:,} tokens fit"
    return f"{case.longest or 0:,} tokens fit"
