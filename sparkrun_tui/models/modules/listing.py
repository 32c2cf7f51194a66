"""Lists the modules of a model that hold weights, with the names of its checkpoint."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.models.config.drafters import is_block_drafter
from sparkrun_tui.models.config.families import LOOPED
from sparkrun_tui.models.config.values import flag, mapping, positive, whole
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.models.layers import Layer
from sparkrun_tui.models.modules.drafting import block_drafter_modules
from sparkrun_tui.models.modules.feed_forward import Feed, feed_modules, feeds_of, is_gated
from sparkrun_tui.models.modules.mixing import mixing_modules
from sparkrun_tui.models.modules.module import Kind, Module, Modules, Split, small
from sparkrun_tui.models.modules.ngrams import stream_modules
from sparkrun_tui.models.modules.vision import vision_modules

_OWN_HEADS = ("deepseek", "glm")
"""Families whose drafter has a head of its own (SharedHead in vllm/model_executor/models/deepseek_mtp.py)."""

_NAMED_DRAFTERS = ("qwen3_next", "qwen3_5", "qwen4_exp")
"""Families that keep their drafter under `mtp`; others give it the numbers after the last layer."""


def modules_of(facts: ModelFacts) -> Modules | None:
    """The modules of a model, None when its architecture or a size is not known.

    The shapes are those of vLLM's model classes (vllm/model_executor/models/), before any tensor parallelism.
    """
    if facts.layers is None or not facts.hidden or not facts.vocab or facts.model_type in LOOPED:
        return None
    feeds = feeds_of(facts, len(facts.layers))
    if facts.experts and facts.expert_width is None:
        return None
    if Feed.DENSE in feeds and not facts.intermediate:
        return None
    if is_block_drafter(facts.config):
        return Modules(text=block_drafter_modules(facts, facts.layers), gated=is_gated(facts))
    vision = vision_modules(facts)
    return Modules(
        text=(*_ends(facts), *_body(facts, facts.layers, feeds)),
        vision=vision or (),
        drafter=tuple(_drafter(facts, feeds)),
        gated=is_gated(facts),
        vision_known=vision is not None and not mapping(facts.config, "audio_config"),
    )


def _ends(facts: ModelFacts) -> list[Module]:
    """Embedding and head; no format quantises an embedding here."""
    vocab, hidden = facts.vocab or 0, facts.hidden or 0
    found = [Module("embed_tokens", Kind.EMBEDDING, vocab, hidden, linear=False)]
    if not flag(facts.config, "tie_word_embeddings", default=facts.model_type.startswith("gemma")):
        found.append(Module("lm_head", Kind.HEAD, vocab, hidden))
    found.append(small(hidden))
    found += _selection(facts)
    width = positive(facts.config, "hidden_size_per_layer_input") or 0
    words = positive(facts.config, "vocab_size_per_layer_input") or 0
    if width and words:
        # Gemma 3n and small Gemma 4 have embeddings for each layer, and a projection to all of them.
        layers = len(facts.layers or ())
        found.append(Module("embed_tokens_per_layer", Kind.EMBEDDING, words, width * layers, linear=False))
        found.append(
            Module("per_layer_model_projection", Kind.SMALL, width * layers, hidden, Split.WHOLE, linear=False)
        )
    return found


def _body(facts: ModelFacts, layers: tuple[Layer, ...], feeds: list[Feed]) -> list[Module]:
    """The modules of all decoder layers."""
    config, hidden = facts.config, facts.hidden or 0
    wide = 0
    if flag(config, "use_double_wide_mlp"):
        wide = whole(config, "num_kv_shared_layers") or 0
    per_layer = positive(config, "hidden_size_per_layer_input") or 0
    streams = positive(config, "hc_mult") or 0
    found: list[Module] = []
    for index, (layer, feed) in enumerate(zip(layers, feeds, strict=False)):
        at = f"layers.{index}"
        found += mixing_modules(facts, layer, at)
        found += feed_modules(facts, feed, at, wide=index >= len(layers) - wide)
        found += stream_modules(facts, layer, at)
        found.append(small(2 * hidden))
        if per_layer:
            found.append(Module(f"{at}.per_layer_input_gate", Kind.SMALL, per_layer, hidden, Split.WHOLE))
            found.append(Module(f"{at}.per_layer_projection", Kind.SMALL, hidden, per_layer, Split.WHOLE))
        if streams:
            found.append(_mixed_streams(hidden, streams))
    return found


def _drafter(facts: ModelFacts, feeds: list[Feed]) -> list[Module]:
    """The layers of the model's own drafter, and the projection that joins hidden state and embedding.

    The embedding is the model's, and the head in most families. Source: vllm/model_executor/models/*_mtp.py.
    """
    named = facts.model_type.startswith(_NAMED_DRAFTERS)
    hidden, count = facts.hidden or 0, len(feeds)
    feed = Feed.EXPERTS if Feed.EXPERTS in feeds else Feed.DENSE
    streams = positive(facts.config, "hc_mult") or 0
    found: list[Module] = []
    for index, layer in enumerate(draft_layers(facts)):
        at = f"mtp.layers.{index}" if named else f"layers.{count + index}"
        found += mixing_modules(facts, layer, at)
        found += feed_modules(facts, feed, at)
        found += stream_modules(facts, layer, at)
        found.append(small(5 * hidden))
        if facts.model_type.startswith(_OWN_HEADS):
            found.append(Module(f"{at}.shared_head.head", Kind.HEAD, facts.vocab or 0, hidden))
            found += _selection(facts)
        if streams:
            found += _joined_streams(at, hidden, streams)
        elif not named:
            found.append(Module(f"{at}.eh_proj", Kind.SMALL, hidden, 2 * hidden, Split.WHOLE, linear=False))
    if named and found:
        found.append(Module("mtp.fc", Kind.SMALL, hidden, 2 * hidden, Split.WHOLE))
    return found


def _mixed_streams(hidden: int, streams: int) -> Module:
    """What mixes DeepSeek-V4's residual streams before the attention and before the feed-forward of a layer."""
    return small(2 * (2 + streams) * streams * streams * hidden, element=4)


_BUFFERED_TOKENS = 2048
"""Tokens of one step, for which some models allocate buffers when they are built (a GB10's default)."""


def _selection(facts: ModelFacts) -> list[Module]:
    """The buffer for the tokens that sparse attention selects (models/deepseek_v2.py topk_indices_buffer)."""
    chosen = positive(facts.config, "index_topk") or 0
    return [small(_BUFFERED_TOKENS * chosen, element=4)] if chosen else []


def _joined_streams(at: str, hidden: int, streams: int) -> list[Module]:
    """The projections of DeepSeek-V4's drafter, and the hidden states of all streams that the model keeps for it.

    Source: vllm/models/deepseek_v4/nvidia/mtp.py, model.py (_mtp_hidden_buffer).
    """
    return [
        Module(f"{at}.e_proj", Kind.SMALL, hidden, hidden, Split.WHOLE),
        Module(f"{at}.h_proj", Kind.SMALL, hidden, hidden, Split.WHOLE),
        _mixed_streams(hidden, streams),
        small(streams * streams * hidden, element=4),
        small(_BUFFERED_TOKENS * streams * hidden),
    ]


def draft_layers(facts: ModelFacts) -> tuple[Layer, ...]:
    """The checkpoint's drafting layers, else one like the last layer with attention; empty without any."""
    if facts.mtp:
        return facts.mtp
    for layer in reversed(facts.layers or ()):
        if layer.attention is not None:
            return (replace(layer, state=None),)
    return ()
