"""SGLang's pools for DeepSeek V4: compressed latents, windows, and the rings of the compressors."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.cell import SglangRefusal
from sparkrun_tui.memory.sglang.family import page_size, window_ratio
from sparkrun_tui.memory.sglang.fraction import running_requests
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer

_ROW = 584
"""One latent row in bytes: 448 fp8 values, 64 rope values in bf16, and scales."""

_PADDED_ROW, _PADDED_WIDE_ROW = 585, 864
"""The same with its share of a page's padding: of a page of 64 or 256 rows, and of one of 2."""

_WINDOW_PAGE = 128
"""Tokens of a window page, by which rings were counted before pages were padded."""


@dataclass(frozen=True, slots=True)
class V4Pools:
    """Tokens of the full and the window pool, the page, and the bytes of all pools."""

    tokens: int
    window_tokens: int
    page: int
    bytes: int


def v4_pools(facts: ModelFacts, settings: EngineSettings, layers: Sequence[Layer], budget: int) -> V4Pools:
    """The pools of a stage's layers that `budget` bytes hold; raises SglangRefusal when not one page fits.

    Per full token: the window share, a quarter row and an index key for ratio-4 layers, a 128th row for
    ratio-128 layers; fixed: the rings of the ratio-128 compressors, by requests. Drafting adds one layer's
    share. Source: sglang/srt/model_executor/pool_configurator.py (DSV4PoolConfigurator).
    """
    ratios = [layer.attention.compress for layer in layers if layer.attention is not None]
    count, quarter, wide = len(ratios), ratios.count(4), ratios.count(128)
    drafting = settings.speculative is not None
    scale = (count + 1) / count if drafting else 1.0
    row, wide_row, ring_page = _ROW, _ROW, _WINDOW_PAGE
    if rules_for(settings.version).padded_pages:
        row, wide_row, ring_page = _PADDED_ROW, _PADDED_WIDE_ROW, page_size(facts, settings)
    window = (row * count + (16 if drafting else 8) / ring_page * 10240 * quarter) * scale
    ratio = window_ratio(facts, settings)
    full = (quarter * (row / 4 + 33) + wide * wide_row / 128) * scale + ratio * window
    ring = 256 if drafting else 128
    requests = running_requests(facts, settings) or 256
    rows = -(-((requests + 1) * ring + ring + 1) // 128) * 128
    fixed = int(rows * 4096 * wide * scale)
    page = page_size(facts, settings)
    tokens = int((budget - fixed) / full // page) * page
    limit = settings.sglang.max_total_tokens
    if limit is not None:
        tokens = min(tokens, limit // page * page)
    if tokens <= 0:
        raise SglangRefusal(f"not one page of {page} tokens fits; raise --mem-fraction-static")
    windows = int(tokens * ratio) // page * page
    return V4Pools(tokens, windows, page, int(tokens * full) + fixed)
