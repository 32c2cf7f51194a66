"""Turns a model's `config.json` into facts: one function for every family."""

from __future__ import annotations

from sparkrun_tui.models.config.attention import (
    attention_heads,
    draft_layers_of,
    head_sizes,
    is_latent,
    kv_heads,
    layers_of,
    unfolded_width,
)
from sparkrun_tui.models.config.drafters import is_block_drafter
from sparkrun_tui.models.config.families import BLOCK_SPARSE, INDEXED, STEP5, STEP5_NOTE, is_modelled, not_modelled
from sparkrun_tui.models.config.kinds import Mix, layer_count
from sparkrun_tui.models.config.quant import quant_of
from sparkrun_tui.models.config.values import (
    Config,
    fraction,
    largest,
    mapping,
    numbers,
    positive,
    sequence,
    text_config,
    word,
)
from sparkrun_tui.models.dtypes import plain_name
from sparkrun_tui.models.facts import ModelFacts, WeightFacts
from sparkrun_tui.models.layers import Layer

_NO_LENGTH_FACTOR = frozenset({"llama3", "longrope", "mrope", "default", "proportional", "su"})


def facts_from_config(config: Config, weights: WeightFacts | None = None, source: str = "config") -> ModelFacts:
    """Read a model's architecture from its `config.json` (nested text configurations included).

    `weights` are what its tensor headers say, None when they were not read. What the file does not say
    stays None; a family that cannot be modelled has `layers` None and a note.
    """
    text = text_config(config)
    names = sequence(text, "architectures") or []
    family = word(text, "model_type")
    architecture = str(names[0]) if names else ""
    count = layer_count(text)
    layers = None
    drafts: tuple[Layer, ...] = ()
    notes: tuple[str, ...] = ()
    if _has_unknown_index(text):
        notes = ("how the model caches an index beside its tokens is not known here",)
    elif not is_modelled(family, architecture) and not is_block_drafter(text):
        notes = (not_modelled(family, architecture),)
    else:
        if count is not None:
            layers = layers_of(text, count)
        if count is not None and layers is not None:
            drafts = draft_layers_of(text, count)
        else:
            notes = ("the configuration does not say how the model caches tokens",)
        if family in STEP5:
            notes += (STEP5_NOTE,)
    active = positive(text, "num_experts_per_tok", "num_experts_per_token", "top_k_experts", "moe_k", "moe_top_k")
    return ModelFacts(
        source=source,
        model_type=family,
        architecture=architecture,
        dtype=plain_name(word(text, "torch_dtype", "dtype") or "bfloat16"),
        layers=layers,
        mtp=drafts,
        hidden=positive(text, "hidden_size", "n_embd", "d_model"),
        heads=attention_heads(text),
        kv_heads=kv_heads(text, Mix.FULL, 0),
        head_dim=_head_width(text),
        intermediate=largest(text, "intermediate_size") or positive(text, "ffn_hidden_size", "n_inner"),
        experts=positive(text, "num_experts", "num_local_experts", "n_routed_experts", "moe_num_experts") or 0,
        experts_per_token=active or 0,
        expert_intermediate=positive(text, "moe_intermediate_size", "expert_ffn_hidden_size") or 0,
        vocab=positive(text, "vocab_size"),
        max_length=max_length(text),
        multimodal=any(isinstance(config.get(key), dict) for key in ("vision_config", "audio_config")),
        quant=quant_of(text),
        weights=weights,
        config=text,
        notes=notes,
    )


def _has_unknown_index(config: Config) -> bool:
    """Whether layers other than latent ones cache keys of an index in a family where that is not modelled.

    As plain attention they would seem to hold more tokens than they do.
    """
    if is_latent(config) or word(config, "model_type") in INDEXED | BLOCK_SPARSE:
        return False
    if positive(config, "indexer_head_dim") is not None:
        return True
    sparse = mapping(config, "sparse_attention_config")
    has_layers = any(numbers(sparse, "sparse_attention_freq") or ())
    return has_layers and positive(sparse, "sparse_index_dim") is not None


def _head_width(config: Config) -> int | None:
    """The width of a head's key: of a latent model what it is unfolded to, else what is cached."""
    if is_latent(config):
        return unfolded_width(config)
    return head_sizes(config, Mix.FULL)[0]


def max_length(config: Config) -> int | None:
    """The context length a model was made for, scaled rope included, in tokens.

    Source: vllm/config/model.py (_get_and_verify_max_len).
    """
    base = positive(
        config, "max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "max_sequence_length"
    )
    if base is None:
        base = positive(config, "model_max_length")
    if base is None:
        return None
    scaling = mapping(config, "rope_scaling", "rope_parameters")
    kind = word(scaling, "rope_type", "type")
    factor = fraction(scaling, "factor")
    if not kind or kind in _NO_LENGTH_FACTOR or factor is None:
        return base
    if kind in ("yarn", "deepseek_yarn"):
        original = positive(scaling, "original_max_position_embeddings")
        if original is None:
            return base
        return max(base, int(original * factor))
    return int(base * factor)
