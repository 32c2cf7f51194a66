"""SGLang's slots for recurrent states: bytes of one, how many, and how many a running request holds."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.cell import BLOCK_METHODS, SglangRefusal, attention_ranks
from sparkrun_tui.memory.sglang.family import attention_replicas, page_size
from sparkrun_tui.memory.sglang.fraction import running_requests
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.config.drafters import draft_block
from sparkrun_tui.models.config.values import word
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer, State, StateKind, grouped, kinds

_FULL_MEMORY_RATIO = 0.9
_TRACK_INTERVAL = 256


@dataclass(frozen=True, slots=True)
class Slots:
    """Recurrent slots of one rank: their number, how many one request holds, and the bytes they take in all.

    `per_slot` is the whole model's state on one rank in bytes, `drafting` the bytes of intermediate
    states of speculation.
    """

    count: int
    per_request: int
    per_slot: int
    bytes: int
    drafting: int


def recurrence_bytes(facts: ModelFacts, settings: EngineSettings) -> int:
    """The bytes of one element of the recurrence: the flag, the model's `mamba_ssm_dtype`, else fp32."""
    chosen = settings.mamba_ssm_cache_dtype
    dtype = chosen if chosen not in ("auto", "") else word(facts.config, "mamba_ssm_dtype")
    return element_bytes(dtype) or 4


def state_bytes(state: State, ranks: int, element: int) -> int:
    """One layer's state on one of `ranks` in bytes: the convolution in bf16, then `element` bytes each.

    Speculation does not widen the convolution. Groups that the ranks cannot share are repeated. Source:
    sglang/srt/configs/mamba_utils.py.
    """
    groups = state.groups if state.groups % ranks == 0 else ranks
    channels = (state.inner + 2 * groups * state.group_width) // ranks
    recurrence = state.heads * state.rows * state.columns // ranks * element
    return channels * (state.kernel - 1) * 2 + recurrence


def bytes_per_slot(facts: ModelFacts, layers: Sequence[Layer], settings: EngineSettings) -> int:
    """The bytes of one slot over some layers."""
    ranks, element = attention_ranks(settings), recurrence_bytes(facts, settings)
    return sum(count * state_bytes(layer.state, ranks, element) for layer, count in grouped(layers) if layer.state)


def slots_per_request(facts: ModelFacts, settings: EngineSettings) -> int:
    """How many slots one running request holds.

    1 without the radix cache; 3 with no buffer; 2 more for the buffers of overlapped scheduling, 1 without
    overlap or when they are made lazily. Short-convolution models have no buffers. Source:
    sglang/srt/mem_cache/kv_cache_configurator.py (mamba ratio).
    """
    options = settings.sglang
    if settings.prefix_caching is False:
        return 1
    strategy = strategy_of(facts, settings)
    if strategy == "no_buffer":
        return 3
    overlap = not options.disable_overlap_schedule and settings.pipeline_parallel == 1
    return 5 if overlap and strategy == "extra_buffer" else 4


def strategy_of(facts: ModelFacts, settings: EngineSettings) -> str:
    """The radix cache strategy for states: the flag, else extra_buffer where the model allows it.

    Models of states alone do not, nor do older releases. Source: sglang/srt/arg_groups/overrides.py
    (_mamba_radix_cache_resolution), server_args.py.
    """
    chosen = settings.sglang.mamba_radix_cache_strategy
    if chosen not in ("auto", ""):
        return chosen
    if not rules_for(settings.version).buffered_states:
        return "no_buffer"
    short = any(layer.state is not None and layer.state.kind is StateKind.SHORT_CONV for layer in kinds(facts.layers))
    alone = not any(layer.attention is not None for layer in kinds(facts.layers))
    return "no_buffer" if short or alone or settings.sglang.disable_overlap_schedule else "extra_buffer"


def check_tracking(facts: ModelFacts, settings: EngineSettings) -> None:
    """Raises `SglangRefusal` when states cannot be tracked on page borders (a bare AssertionError at start)."""
    page = page_size(facts, settings)
    interval = settings.sglang.mamba_track_interval or _TRACK_INTERVAL
    if settings.prefix_caching is False or strategy_of(facts, settings) == "no_buffer":
        return
    if interval % page:
        raise SglangRefusal(
            f"the page of {page} tokens does not divide --mamba-track-interval {interval}; "
            f"pass --mamba-track-interval {page}"
        )


def slots_for(facts: ModelFacts, settings: EngineSettings, stages: Sequence[Sequence[Layer]], rest: int) -> Slots:
    """The slots that `rest` bytes are split into before any token is cached.

    Given a size it holds; without the radix cache one per request; else 0.9/1.9 of the rest (the ratio
    flag), with room for the intermediate states of `draft_tokens`. Pipeline stages count by the largest
    one's layers. Older releases take the states of drafted tokens off before they share. Source:
    sglang/srt/mem_cache/kv_cache_configurator.py (_handle_max_mamba_cache).
    """
    check_tracking(facts, settings)
    options = settings.sglang
    replicas = attention_replicas(settings)
    per = max(bytes_per_slot(facts, stage, settings) for stage in stages)
    share, drafts = slots_per_request(facts, settings), draft_tokens(facts, settings)
    requests = running_requests(facts, settings)
    rules = rules_for(settings.version)
    padding = 1 if rules.padding_slot else 0
    first = 0
    if drafts and not rules.draft_states_shared:
        first = per * (requests or 0) * drafts
        rest, drafts = rest - first, 0
    if options.max_mamba_cache_size is not None:
        count = options.max_mamba_cache_size // replicas
    elif settings.prefix_caching is False and settings.max_num_seqs is not None and requests is not None:
        count = requests
    else:
        ratio = options.mamba_full_memory_ratio
        if ratio is None:
            ratio = _FULL_MEMORY_RATIO
        budget = rest * ratio / (1 + ratio)
        count = int((budget - padding * per * (1 + drafts)) // (per * (1 + drafts / share)))
    if count <= 0:
        raise SglangRefusal("not enough memory for the recurrent states of even one request")
    if count // share == 0:
        raise SglangRefusal(f"{count} recurrent slots are too few: one running request holds {share}")
    running = count // share
    if requests is not None:
        running = min(requests, running)
    drafting = first + per * (running + padding) * drafts
    whole = sum(bytes_per_slot(facts, stage, settings) for stage in stages)
    return Slots(count, share, whole, (count + padding) * per + drafting, drafting)


_DFLASH_BLOCK, _DSPARK_BLOCK = 16, 7
"""The blocks of drafters whose file does not say (DEFAULT_DSPARK_GAMMA)."""

_WIDE_TREES = ("LlamaForCausalLM", "Grok")


def draft_tokens(facts: ModelFacts, settings: EngineSettings) -> int:
    """How many tokens one step drafts: the flags, else the algorithm's default; 0 without speculation.

    A block drafter's file says how many it drafts; DSpark's block does not count the token it begins with. Source:
    sglang/srt/server_args.py (auto_choose_speculative_params), arg_groups/speculative_hook.py (_handle_dflash,
    _handle_dspark).
    """
    speculative, options = settings.speculative, settings.sglang
    if speculative is None:
        return 0
    if options.speculative_num_draft_tokens is not None:
        return options.speculative_num_draft_tokens
    if speculative.method in BLOCK_METHODS:
        block = draft_block(facts.drafter.config) if facts.drafter is not None else None
        if speculative.method == "dspark":
            return (block or _DSPARK_BLOCK) + 1
        return block or _DFLASH_BLOCK
    if options.speculative_num_steps is not None and options.speculative_eagle_topk in (None, 1):
        return options.speculative_num_steps + 1
    if speculative.method == "ngram":
        return 12
    return 8 if facts.architecture.startswith(_WIDE_TREES) else 4
