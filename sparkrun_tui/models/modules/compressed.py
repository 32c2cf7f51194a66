"""The modules of DeepSeek-V4's compressed attention."""

from __future__ import annotations

from sparkrun_tui.models.config.values import positive
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Attention
from sparkrun_tui.models.modules.module import Kind, Module, Split, small


def compressed_attention(facts: ModelFacts, attention: Attention, at: str) -> list[Module]:
    """Low-rank queries and outputs, one latent of keys, and the compressors of its cache.

    Source: vllm/model_executor/models/deepseek_v4.py.
    """
    config, hidden, heads = facts.config, facts.hidden or 0, facts.heads or 0
    width = attention.head_k
    q_rank = positive(config, "q_lora_rank") or hidden
    o_rank = positive(config, "o_lora_rank") or hidden
    groups = positive(config, "o_groups") or 1
    found = [
        Module(f"{at}.wq_a", Kind.ATTENTION, q_rank, hidden, Split.WHOLE),
        Module(f"{at}.wkv", Kind.ATTENTION, width, hidden, Split.WHOLE),
        Module(f"{at}.wq_b", Kind.ATTENTION, heads * width, q_rank),
        Module(f"{at}.wo_a", Kind.ATTENTION, groups * o_rank, heads * width // groups),
        Module(f"{at}.wo_b", Kind.ATTENTION, hidden, groups * o_rank, Split.COLUMNS),
        small(q_rank + width),
    ]
    if not attention.compress:
        return found
    found += _compressor(f"{at}.compressor", hidden, width, attention.compress)
    if attention.compress == 4 and attention.indexer:
        index_heads = positive(config, "index_n_heads") or 0
        rows = index_heads * attention.indexer
        found.append(Module(f"{at}.indexer.wq_b", Kind.ATTENTION, rows, q_rank, Split.WHOLE))
        found.append(
            Module(f"{at}.indexer.weights_proj", Kind.ATTENTION, index_heads, hidden, Split.WHOLE, linear=False)
        )
        found += _compressor(f"{at}.indexer.compressor", hidden, attention.indexer, attention.compress)
    return found


def _compressor(at: str, hidden: int, width: int, ratio: int) -> list[Module]:
    """What joins `ratio` tokens to one: keys and gates, twice where the windows overlap (ratio 4)."""
    rows = 2 * width if ratio == 4 else width
    return [
        Module(f"{at}.wkv", Kind.ATTENTION, rows, hidden, Split.WHOLE, linear=False),
        Module(f"{at}.wgate", Kind.ATTENTION, rows, hidden, Split.WHOLE, linear=False),
        small(ratio * rows, element=4),
    ]
