"""What SGLang's pools hold per token, in bytes: full and window layers, latents, index keys, drafters."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.memory.assistants import reads_targets_cache
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.sglang.family import (
    attention_replicas,
    budgets_own_modules,
    has_window_pool,
    is_deepseek_v4,
    is_sparse,
    sparse_row_bytes,
    window_ratio,
)
from sparkrun_tui.memory.sglang.versions import rules_for
from sparkrun_tui.models.config.kinds import layer_count
from sparkrun_tui.models.config.values import positive
from sparkrun_tui.models.dtypes import element_bytes, index_bytes
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer, grouped, kinds


class SglangRefusal(Exception):
    """The server refuses these settings or dies of them at start; the text says why."""


BLOCK_METHODS = frozenset({"dflash", "dspark"})
"""Algorithms whose draft model drafts a block at once and has a pool of its own."""

_FP8 = frozenset({"fp8_e4m3", "fp8_e5m2"})
_ACCEPTED = _FP8 | {"fp8", "auto", "bf16", "bfloat16", "mxfp8", "nvfp4", "fp4_mx_block16"}


@dataclass(frozen=True, slots=True)
class Cell:
    """Bytes per token on one rank: of full layers, of window layers (0 without a window pool), and drafters'.

    `draft` counts per full token, `draft_window` per window token; `unbudgeted` is what a drafter takes
    per token beside the budget. `rounding` is what the budget counts per full token above what is stored
    (index keys that several tokens share are counted in whole bytes).
    """

    full: float
    window: float
    draft: float
    draft_window: float
    unbudgeted: float
    ratio: float
    rounding: float = 0.0

    @property
    def total(self) -> float:
        """Bytes of the budget that one full token costs, its share of the window pool included."""
        return self.full + self.draft + self.ratio * (self.window + self.draft_window)


def cache_dtype(facts: ModelFacts, settings: EngineSettings) -> str:
    """The cache's data type: the flag, else the checkpoint's scheme, else the model's own.

    Sparse latent models take fp8 on a GB10 by themselves; a recipe's `fp8` is written fp8_e4m3 for it.
    Source: sglang/srt/model_executor/model_runner.py
    (configure_kv_cache_dtype), arg_groups/ (DSA defaults by capability).
    """
    stated = settings.kv_cache_dtype
    if stated not in _ACCEPTED:
        raise SglangRefusal(f"--kv-cache-dtype {stated} is not known to SGLang")
    if stated != "auto":
        return {"bf16": "bfloat16", "fp8": "fp8_e4m3"}.get(stated, stated)
    if facts.kv_scheme.startswith("fp8") or is_sparse(facts):
        return "fp8_e4m3"
    return facts.dtype


def attention_ranks(settings: EngineSettings) -> int:
    """Over how many ranks one attention replica is split."""
    return max(1, settings.tensor_parallel // attention_replicas(settings))


def cell_of(facts: ModelFacts, layers: Sequence[Layer], settings: EngineSettings) -> Cell:
    """The bytes per token of some layers (a stage's) and of the drafter, which every stage reserves.

    Every layer counts, also those that share another's cache and, without a window pool, window layers.
    Source: sglang/srt/model_executor/pool_configurator.py (DefaultPoolConfigurator, HybridSWAPoolConfigurator).
    """
    dtype = cache_dtype(facts, settings)
    ranks = attention_ranks(settings)
    pooled = has_window_pool(facts, settings)
    full = window = rounding = 0.0
    own = [(layer.attention, count) for layer, count in grouped(layers) if layer.attention is not None]
    for attention, count in own:
        if attention.kind is AttentionKind.MLA:
            rounding += count * (index_row(facts, settings, attention) - _stored_index(facts, settings, attention))
        size = count * layer_bytes(facts, settings, attention, dtype, ranks)
        if pooled and attention.window is not None:
            window += size
        else:
            full += size
    if dtype == "nvfp4" and own:
        full += _workspace(own[0][0], ranks)
    ratio = window_ratio(facts, settings) if pooled else 0.0
    draft = draft_window = beside = 0.0
    if own:
        draft, draft_window, beside = _drafter(facts, settings, dtype, ranks, pooled)
    return Cell(full, window, draft, draft_window, beside, ratio, rounding)


def _workspace(attention: Attention, ranks: int) -> float:
    """The workspace per token that nvfp4 caches unpack one layer into."""
    return max(1, attention.kv_heads // ranks) * (attention.head_k + attention.head_v)


def layer_bytes(facts: ModelFacts, settings: EngineSettings, attention: Attention, dtype: str, ranks: int) -> float:
    """One layer's bytes per token on one rank: heads are split (at least one stays), latents are not.

    Index keys of full layers are shared among the tokens of a group, in bfloat16 on every rank. Source:
    sglang/srt/mem_cache/qsa_kv_pool.py (qsa_bytes_per_token).
    """
    if attention.kind is AttentionKind.MLA:
        return _latent(facts, settings, attention, dtype) + index_row(facts, settings, attention)
    heads = max(1, attention.kv_heads // ranks)
    index = attention.indexer * 2 // attention.index_pool
    return heads * (attention.head_k + attention.head_v) * _element(facts, dtype) + index


def _element(facts: ModelFacts, dtype: str) -> float:
    """Bytes per cached element, with the block scales of the packed formats."""
    if dtype in _FP8:
        return 1.0
    if dtype == "mxfp8":
        return 1 + 1 / 32
    if dtype in ("nvfp4", "fp4_mx_block16"):
        return 0.5 * (1 + 1 / 8)
    return float(element_bytes(dtype) or facts.element_bytes)


def _latent(facts: ModelFacts, settings: EngineSettings, attention: Attention, dtype: str) -> float:
    """One latent row in bytes; sparse models have packed layouts for fp8."""
    if dtype in _FP8 and is_sparse(facts):
        return sparse_row_bytes(facts, settings, attention.head_k)
    return attention.head_k * _element(facts, dtype)


def index_row(facts: ModelFacts, settings: EngineSettings, attention: Attention) -> int:
    """The bytes of a layer's index key per token, shared among the tokens of a pool."""
    return ceil(_stored_index(facts, settings, attention))


def _stored_index(facts: ModelFacts, settings: EngineSettings, attention: Attention) -> float:
    """The bytes of a layer's index key per token as they are stored.

    Older releases keep one for each token, and one in layers that read another's.
    """
    rules = rules_for(settings.version)
    indexer = attention.indexer
    if not rules.index_owners and is_sparse(facts):
        indexer = max((layer.attention.indexer for layer in kinds(facts.layers) if layer.attention), default=0)
    if not indexer:
        return 0.0
    return index_bytes(indexer) / (attention.index_pool if rules.pooled_index else 1)


def _drafter(
    facts: ModelFacts, settings: EngineSettings, dtype: str, ranks: int, pooled: bool
) -> tuple[float, float, float]:
    """What the drafter takes per full token, per window token, and beside the budget.

    EAGLE and a standalone model count their number of layers in the target's size, even Gemma 4's assistant, which
    then keeps none of them; DFlash and DSpark their own; the checkpoint's own modules as many as
    `num_nextn_predict_layers` says, on the window side in window models. Without that key nothing is reserved and one
    full layer comes on top. Source: sglang/srt/model_executor/model_runner_components/spec_aux_hidden_state.py
    (_resolve_eagle_aux_hidden_state), speculative/spec_info.py (is_eagle).
    """
    speculative = settings.speculative
    if speculative is None or speculative.method == "ngram":
        return 0.0, 0.0, 0.0
    reference = _target_layer(facts, settings, dtype, ranks, window=False)
    blocks = speculative.method in BLOCK_METHODS and not is_deepseek_v4(facts)
    if not blocks and not rules_for(settings.version).drafters_budgeted:
        return 0.0, 0.0, reference * _beside(facts, speculative)
    if reads_targets_cache(facts, speculative):
        return reference * _layers_of_drafter(facts, speculative.assumed_layers), 0.0, 0.0
    if _drafts_itself(facts, speculative):
        modules = positive(facts.config, "num_nextn_predict_layers")
        if modules is not None and not budgets_own_modules(facts, settings):
            return 0.0, 0.0, modules * reference
        if modules is None and speculative.model:
            return reference, 0.0, 0.0
        if modules is None:
            return 0.0, 0.0, reference
        if pooled:
            return 0.0, modules * _target_layer(facts, settings, dtype, ranks, window=True), 0.0
        return modules * _module_bytes(facts, settings, dtype, ranks, reference), 0.0, 0.0
    drafter = None
    if facts.drafter is not None:
        drafter = facts.drafter.layers
    if speculative.method == "standalone" and drafter is not None:
        return reference * len(drafter), 0.0, 0.0
    if speculative.method in BLOCK_METHODS and drafter is not None and not is_deepseek_v4(facts):
        return _block_drafter(facts, settings, drafter), 0.0, 0.0
    return reference * _layers_of_drafter(facts, speculative.assumed_layers), 0.0, 0.0


def _beside(facts: ModelFacts, speculative: Speculative) -> int:
    """The layers of a drafter's own pool in releases that do not count it in the budget."""
    if reads_targets_cache(facts, speculative):
        return 0
    if _drafts_itself(facts, speculative):
        return positive(facts.config, "num_nextn_predict_layers") or 1
    return _layers_of_drafter(facts, speculative.assumed_layers)


def _layers_of_drafter(facts: ModelFacts, assumed: int) -> int:
    """The layers of a separate draft model; where nothing is known of it, as many as the settings assume."""
    config = facts.drafter.config if facts.drafter is not None else {}
    return positive(config, "num_nextn_predict_layers") or layer_count(config) or assumed


def _block_drafter(facts: ModelFacts, settings: EngineSettings, layers: Sequence[Layer]) -> float:
    """The bytes per token of a block drafter on one rank.

    Every layer keeps every token, windowed ones too. The data type is the drafter's own flag, else the server's; where
    that is `auto` the drafter keeps its own type, whatever the target's checkpoint asks for. A packed type counts one
    byte an element. Source: sglang/srt/mem_cache/draft_kv_budget.py, speculative/dflash_utils.py
    (dflash_draft_cell_size_per_token), mem_cache/kv_cache_dtype.py (configure_kv_cache_dtype).
    """
    drafter = facts.drafter or facts
    stated = settings.speculative.cache_dtype if settings.speculative is not None else ""
    dtype = stated or settings.kv_cache_dtype
    if dtype == "auto" and not stated and is_sparse(facts):
        dtype = "fp8_e4m3"
    element = 1
    if dtype in ("auto", "bf16", "bfloat16"):
        element = drafter.element_bytes
    ranks = attention_ranks(settings)
    total = 0.0
    for layer in layers:
        if layer.attention is not None:
            heads = max(1, layer.attention.kv_heads // ranks)
            total += heads * (layer.attention.head_k + layer.attention.head_v) * element
    return total


def _drafts_itself(facts: ModelFacts, speculative: Speculative) -> bool:
    """Whether the checkpoint's own modules draft (NEXTN, or EAGLE without a draft model)."""
    if speculative.method in ("nextn", "mtp"):
        return True
    return speculative.method == "eagle" and not speculative.model and facts.drafter is None


def _module_bytes(facts: ModelFacts, settings: EngineSettings, dtype: str, ranks: int, reference: float) -> float:
    """One drafting module's bytes per token: its own layer's where the facts have it."""
    own = next((layer.attention for layer in facts.mtp if layer.attention is not None), None)
    if own is None or own.kind is not AttentionKind.MLA:
        return reference
    return layer_bytes(facts, settings, own, dtype, ranks)


def _target_layer(facts: ModelFacts, settings: EngineSettings, dtype: str, ranks: int, window: bool) -> float:
    """The bytes per token of one of the target's layers, a window layer if asked for and there is one."""
    own = [layer.attention for layer in kinds(facts.layers) if layer.attention is not None]
    chosen = next((a for a in own if (a.window is not None) is window), own[0] if own else None)
    return layer_bytes(facts, settings, chosen, dtype, ranks) if chosen is not None else 0.0
