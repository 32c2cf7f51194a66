"""One SGLang server worked out: fraction, budget, tokens, windows, recurrent slots, requests, and the rest."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.memory.assistants import reads_targets_cache
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.cell import BLOCK_METHODS, Cell, SglangRefusal, cell_of
from sparkrun_tui.memory.sglang.family import has_window_pool, is_deepseek_v4, page_size, takes_images
from sparkrun_tui.memory.sglang.fraction import chunk_of, default_fraction, running_requests
from sparkrun_tui.memory.sglang.sparse_v4 import V4Pools, v4_pools
from sparkrun_tui.memory.sglang.states import Slots, draft_tokens, slots_for
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import AttentionKind, Layer, kinds

_MM_RESERVE = 100 * MIB
_MM_TRANSPORT = GIB
_EVICTION_INTERVAL = 128
_LEAST_REQUESTS, _MOST_REQUESTS = 2048, 4096


@dataclass(frozen=True, slots=True)
class SglangPlan:
    """What one rank allocates: tokens of the pools, slots and requests, and sizes in bytes.

    `budget` is what is left for pools after the load. `kv` is the target's cache, `draft` the
    drafter's inside the budget, `outside` the drafter's beside it and `table` the request table, which
    is also outside. `window_tokens` is None without a window pool, `slots` without recurrent layers.
    """

    fraction: float
    budget: int
    cell: Cell | None
    page: int
    tokens: int
    window_tokens: int | None
    kv: int
    draft: int
    slots: Slots | None
    requests: int
    table: int
    outside: int
    length: int


def sglang_fraction(facts: ModelFacts, settings: EngineSettings, total: int) -> float:
    """The share of the memory available at start: the flag, else the default for `total` bytes."""
    if settings.utilisation is not None:
        return settings.utilisation
    return default_fraction(facts, settings, total // MIB)


def budget_of(facts: ModelFacts, settings: EngineSettings, fraction: float, before: int, after: int) -> int:
    """The bytes for pools: available after the load less the share of the start that stays free.

    Multimodal servers hold 100 MiB back since 0.5.18, 1 GiB more with CUDA transports. Source:
    sglang/srt/mem_cache/kv_cache_configurator.py (_profile_available_bytes).
    """
    reserve = 0
    if takes_images(facts, settings) and rules_for(settings.version).image_reserve:
        reserve = _MM_RESERVE
        if settings.sglang.mm_feature_transport in ("cuda_ipc", "cuda_vmm"):
            reserve += _MM_TRANSPORT
    return int(after - before * (1 - fraction) - reserve)


def stages_of(layers: Sequence[Layer], stages: int) -> list[Sequence[Layer]]:
    """Split layers over pipeline stages; those that do not divide go to the last ones."""
    base, extra = divmod(len(layers), stages)
    found: list[Sequence[Layer]] = []
    start = 0
    for stage in range(stages):
        size = base + (1 if stage >= stages - extra else 0)
        found.append(layers[start : start + size])
        start += size
    return found


def plan_sglang(facts: ModelFacts, settings: EngineSettings, before: int, after: int, total: int) -> SglangPlan:
    """Plan a rank that sees `before` bytes available at its start and `after` when weights are loaded.

    `total` is the device's memory in bytes. Raises SglangRefusal where the server would not start.
    Source: sglang/srt/mem_cache/kv_cache_configurator.py, model_executor/pool_configurator.py.
    """
    if facts.layers is None:
        raise SglangRefusal("how SGLang caches tokens of this model is not known")
    _check_drafter(facts, settings)
    length = settings.max_model_len or facts.max_length or 0
    fraction = sglang_fraction(facts, settings, total)
    budget = budget_of(facts, settings, fraction, before, after)
    if budget <= 0:
        viable = 1 - after / before if before > 0 else 1.0
        raise SglangRefusal(
            f"the weights leave no memory for the cache at a fraction of {fraction:.3f}; above {viable:.3f} is needed"
        )
    stages = stages_of(facts.layers, max(1, settings.pipeline_parallel))
    if is_deepseek_v4(facts):
        pools = [v4_pools(facts, settings, stage, budget) for stage in stages]
        smallest = min(pools, key=lambda pool: pool.tokens)
        _check_window(facts, smallest.window_tokens, smallest.page)
        return _v4_plan(facts, settings, smallest, fraction, budget, length)
    slots, rest = None, budget
    if any(layer.state is not None for layer in kinds(facts.layers)):
        slots = slots_for(facts, settings, stages, budget)
        rest = budget - slots.bytes
    cells = [cell for stage in stages if (cell := cell_of(facts, stage, settings)).total > 0]
    if not cells:
        if slots is None:
            raise SglangRefusal("the model caches no tokens")
        return _states_plan(facts, settings, slots, fraction, budget, length)
    return _plan(facts, settings, cells, slots, rest, fraction, length)


def _states_plan(
    facts: ModelFacts, settings: EngineSettings, slots: Slots, fraction: float, budget: int, length: int
) -> SglangPlan:
    """The plan of a model without attention: its tokens cost nothing, so there are as many as one context has.

    Source: sglang/srt/model_executor/pool_configurator.py (_zero_kv_max_tokens).
    """
    page = page_size(facts, settings)
    tokens = (settings.sglang.max_total_tokens or length) // page * page
    if tokens <= 0:
        raise SglangRefusal("neither the settings nor the model state a context length")
    requests = requests_of(facts, settings, tokens, length, slots)
    cell = Cell(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
    table = table_bytes(requests, length, draft_tokens(facts, settings))
    rest = budget - slots.bytes
    return SglangPlan(fraction, rest, cell, page, tokens, None, 0, 0, slots, requests, table, 0, length)


def _check_drafter(facts: ModelFacts, settings: EngineSettings) -> None:
    """Raises `SglangRefusal` where the server refuses a drafter (arg_groups/speculative_hook.py)."""
    speculative = settings.speculative
    if speculative is not None and speculative.method == "eagle3" and reads_targets_cache(facts, speculative):
        raise SglangRefusal("the draft model needs --speculative-algorithm NEXTN or EAGLE")
    if speculative is None or speculative.method not in BLOCK_METHODS:
        return
    name = speculative.method.upper()
    if settings.pipeline_parallel > 1:
        raise SglangRefusal(f"{name} drafts only without pipeline parallelism")
    if speculative.method == "dflash" and not speculative.model and facts.drafter is None:
        raise SglangRefusal(f"{name} needs --speculative-draft-model-path")


def _plan(
    facts: ModelFacts,
    settings: EngineSettings,
    cells: Sequence[Cell],
    slots: Slots | None,
    rest: int,
    fraction: float,
    length: int,
) -> SglangPlan:
    """Fill the pools: tokens are the fewest of any stage, rounded down to pages; each holds one page more."""
    page = page_size(facts, settings)
    found = [_tokens(facts, settings, cell, rest, page) for cell in cells]
    capped = settings.prefix_caching is False and settings.max_num_seqs is not None
    tokens = min(count for count, _ in found)
    windows = min((count for _, count in found if count is not None), default=None)
    limit = settings.sglang.max_total_tokens
    if limit is not None and limit < tokens:
        tokens = limit // page * page
        if windows is not None:
            windows = min(windows, tokens) if capped else int(tokens * cells[0].ratio) // page * page
    if tokens <= 0:
        raise SglangRefusal(f"not one page of {page} tokens fits; raise --mem-fraction-static")
    if not capped:
        _check_window(facts, windows, page)
    heaviest = max(cells, key=lambda cell: cell.total)
    rows, window_rows = tokens + page, windows + page if windows is not None else 0
    kv = int(rows * (heaviest.full - heaviest.rounding) + window_rows * heaviest.window)
    draft = int(rows * heaviest.draft + window_rows * heaviest.draft_window)
    requests = requests_of(facts, settings, tokens, length, slots)
    table = table_bytes(requests, length, draft_tokens(facts, settings))
    outside = int(tokens * cells[-1].unbudgeted)
    return SglangPlan(
        fraction, rest, heaviest, page, tokens, windows, kv, draft, slots, requests, table, outside, length
    )


def _tokens(facts: ModelFacts, settings: EngineSettings, cell: Cell, rest: int, page: int) -> tuple[int, int | None]:
    """The tokens of the full and of the window pool (None without one) that `rest` bytes hold.

    Without the radix cache and with a limit of requests the window pool is sized by those. Source:
    sglang/srt/model_executor/pool_configurator.py (HybridSWAPoolConfigurator).
    """
    if not has_window_pool(facts, settings):
        return int(rest / cell.total // page) * page, None
    per_full, per_window = cell.full + cell.draft, cell.window + cell.draft_window
    if per_full <= 0:
        tokens = int(rest / per_window // page) * page
        return tokens, tokens
    if settings.prefix_caching is False and settings.max_num_seqs is not None:
        window = _window_cap(facts, settings, page)
        return int((rest - window * per_window) / per_full // page) * page, window
    tokens = int(rest / cell.total // page) * page
    return tokens, int(tokens * cell.ratio) // page * page


def _window_cap(facts: ModelFacts, settings: EngineSettings, page: int) -> int:
    """The tokens of a window pool that is sized for the running requests (compute_swa_request_cap).

    Each holds its window, what is drafted or decoded between two evictions, and the pages ahead; chunks in
    flight come on top, two of them with overlapped scheduling.
    """
    requests = running_requests(facts, settings) or 1
    overlap = 1 if settings.sglang.disable_overlap_schedule else 2
    drafts = draft_tokens(facts, settings)
    ahead = 2 * drafts if drafts else page
    each = reach(facts) + _EVICTION_INTERVAL * max(1, drafts) + page + ahead
    tokens = requests * each + overlap * chunk_of(settings) + page
    return -(-tokens // page) * page


def widest_window(facts: ModelFacts) -> int:
    """The largest window in tokens."""
    return max((layer.attention.window or 0 for layer in kinds(facts.layers) if layer.attention), default=0)


def reach(facts: ModelFacts) -> int:
    """How far back a window layer looks, in tokens: one less than the window, or a whole chunk."""
    chunked = any(
        layer.attention is not None and layer.attention.kind is AttentionKind.CHUNKED for layer in kinds(facts.layers)
    )
    return widest_window(facts) - (0 if chunked else 1)


def _check_window(facts: ModelFacts, windows: int | None, page: int) -> None:
    """Raises `SglangRefusal` when the window pool cannot hold one request."""
    floor = reach(facts) + page
    if windows is not None and windows <= floor:
        raise SglangRefusal(f"the window pool of {windows} tokens cannot hold one request, which needs {floor + 1}")


def requests_of(facts: ModelFacts, settings: EngineSettings, tokens: int, length: int, slots: Slots | None) -> int:
    """How many requests run at once at most (resolve_max_num_reqs)."""
    requests = running_requests(facts, settings)
    if requests is None:
        guess = int(tokens / length * 512) if length else _MOST_REQUESTS
        requests = min(max(guess, _LEAST_REQUESTS), _MOST_REQUESTS)
    requests = min(requests, max(1, tokens // 2))
    return min(requests, slots.count // slots.per_request) if slots is not None else requests


def table_bytes(requests: int, length: int, drafts: int) -> int:
    """The request table in bytes: one 4-byte index per position of each request, outside the budget.

    Source: sglang/srt/mem_cache/memory_pool.py (ReqToTokenPool).
    """
    return (requests + 1) * (length + 4 + drafts) * 4


def _v4_plan(
    facts: ModelFacts, settings: EngineSettings, pools: V4Pools, fraction: float, budget: int, length: int
) -> SglangPlan:
    """The plan of a DeepSeek V4 server from its own pools."""
    requests = requests_of(facts, settings, pools.tokens, length, None)
    return SglangPlan(
        fraction,
        budget,
        None,
        pools.page,
        pools.tokens,
        pools.window_tokens,
        pools.bytes,
        0,
        None,
        requests,
        table_bytes(requests, length, draft_tokens(facts, settings)),
        0,
        length,
    )
