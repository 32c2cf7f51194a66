"""The modules of a draft model that drafts a whole block at once (DFlash, DFlash2, DSpark)."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.models.config.values import Config, flag, mapping, positive, sequence, word
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer
from sparkrun_tui.models.modules.feed_forward import Feed, feed_modules
from sparkrun_tui.models.modules.mixing import mixing_modules
from sparkrun_tui.models.modules.module import Kind, Module, Split, small

_TAPS = ("target_layer_ids", "eagle_aux_hidden_state_layer_ids", "aux_hidden_state_layer_ids")
"""Names of the list of the target's layers whose hidden states the drafter reads."""


def block_drafter_modules(facts: ModelFacts, layers: Sequence[Layer]) -> tuple[Module, ...]:
    """The layers of a block drafter, what joins the target's hidden states, and the heads of its kind.

    The embedding and the head are the target's, but for a head with fewer words. Source:
    vllm/model_executor/models/qwen3_dflash.py, qwen3_dflash2.py, qwen3_dspark.py, laguna_dflash.py,
    vllm/v1/worker/gpu/spec_decode/dflash/utils.py (load_dflash_model).
    """
    config, hidden = facts.config, facts.hidden or 0
    found: list[Module] = []
    for index, layer in enumerate(layers):
        at = f"layers.{index}"
        found += mixing_modules(facts, layer, at)
        found += feed_modules(facts, Feed.DENSE, at)
        found += _convolutions(config, hidden, at)
        found.append(small(2 * hidden))
    joined = _taps(config, len(layers)) * (positive(config, "target_hidden_size") or hidden)
    found.append(Module("fc", Kind.DENSE, hidden, joined, Split.WHOLE))
    found.append(small(3 * hidden))
    if word(config, "model_type") == "laguna":
        found.append(small(joined))
    found += _selector(facts)
    found += _markov(facts)
    found += _own_ends(facts)
    found += _joined_keys(facts, layers)
    return tuple(found)


def _taps(config: Config, layers: int) -> int:
    """How many of the target's layers the drafter reads; one for each of its own layers when the file has no list."""
    for place in (mapping(config, "dflash_config"), config):
        listed = sequence(place, *_TAPS)
        if listed:
            return len(listed)
    return layers


def _convolutions(config: Config, hidden: int, at: str) -> list[Module]:
    """DFlash2's convolutions around attention and feed-forward, of groups of channels, which each rank keeps whole."""
    own = mapping(config, "dflash_config")
    taps, group = positive(own, "conv_kernel_size"), positive(own, "conv_group_size")
    if taps is None or group is None:
        return []
    found: list[Module] = []
    for name in ("attention_conv", "mlp_conv"):
        rows = 2 * taps * (hidden // group)
        found.append(Module(f"{at}.{name}.kernel_projection", Kind.DENSE, rows, hidden, Split.WHOLE))
        found.append(small(2 * taps * hidden))
    return found


def _selector(facts: ModelFacts) -> list[Module]:
    """DFlash2's selector of candidates: two code books over the vocabulary, kept whole by each rank."""
    rank = positive(mapping(facts.config, "dflash_config"), "selector_rank")
    if rank is None:
        return []
    return [small(2 * (facts.vocab or 0) * rank), small(rank * (facts.hidden or 0))]


def _markov(facts: ModelFacts) -> list[Module]:
    """DSpark's head over pairs of words, and the one that judges its own drafts."""
    rank = positive(facts.config, "markov_rank")
    if rank is None:
        return []
    vocab = facts.vocab or 0
    words = positive(facts.config, "draft_vocab_size") or vocab
    found = [small(vocab * rank), Module("markov_head.markov_w2", Kind.HEAD, words, rank)]
    if flag(facts.config, "enable_confidence_head"):
        found.append(small((facts.hidden or 0) + rank))
    return found


def _own_ends(facts: ModelFacts) -> list[Module]:
    """The drafter's own embedding and head: a head of fewer words with the list of those words, and what is stated."""
    config, hidden, vocab = facts.config, facts.hidden or 0, facts.vocab or 0
    found: list[Module] = []
    words = positive(config, "draft_vocab_size") or vocab
    if words < vocab or flag(config, "has_own_lm_head"):
        found.append(Module("lm_head", Kind.HEAD, words, hidden))
    if words < vocab:
        found.append(small(words, element=8))
    if flag(config, "has_embed_tokens"):
        found.append(Module("embed_tokens", Kind.EMBEDDING, vocab, hidden, linear=False))
    return found


def _joined_keys(facts: ModelFacts, layers: Sequence[Layer]) -> list[Module]:
    """The second copy of all layers' key and value projections, for one product with the target's hidden states.

    There is none where the projections are quantised. Source: vllm/model_executor/models/qwen3_dflash.py
    (_build_context_kv_buffers), sglang/kernels/ops/speculative/fused_kv_materialize.py.
    """
    found = []
    for index, layer in enumerate(layers):
        attention = layer.attention
        if attention is not None:
            rows = attention.kv_heads * (attention.head_k + attention.head_v)
            name = f"layers.{index}.self_attn.k_proj"
            found.append(Module(name, Kind.ATTENTION, rows, facts.hidden or 0, heads=attention.kv_heads, made=True))
    return found
