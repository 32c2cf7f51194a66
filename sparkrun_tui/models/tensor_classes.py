"""Sorts a checkpoint's tensors by name into the classes that decide how ranks share them."""

from __future__ import annotations

from collections.abc import Iterable

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.models.facts import WeightFacts

_VISION = late_regex(
    r"(^|\.)(visual|vision_tower|vision_model|vision_encoder|vit|image_newline|multi_modal_projector"
    r"|mm_projector|audio_tower|audio_model|embed_vision|embed_audio)(\.|$)"
)
_DRAFTER = late_regex(r"(^|\.)(mtp|mtp_layers|mtp_block|nextn|draft)(\.|$)")
_LAYER = late_regex(r"(^|\.)layers\.(\d+)\.")
_EMBEDDING = late_regex(r"(^|\.)(embed_tokens|wte|tok_embeddings|word_embeddings|embeddings)\.(weight|qweight)")
_HEAD = late_regex(r"(^|\.)(lm_head|embed_out)\.|^output\.weight$")
_EXPERT = late_regex(r"\.experts?\.|\.experts\.\d+\.|\.(w1|w2|w3)_experts")
_REPLICATED = late_regex(
    r"norm\d?\.|_norm\b|layernorm|\.ln_|\.gate\.(weight|bias|e_score)|\.router\.|e_score_correction|q_a_proj|kv_a_proj"
    r"|\.indexer\.|\.shared_expert_gate\.|\.attn\.(wq_a|wkv)\.|\.compressor\.|(^|\.)hc_(attn|ffn|head)"
    r"|^(model\.)?fc\.|\.(attention|mlp)_conv\.|(^|\.)candidate_selector\.|markov_w1|confidence_head\."
    r"|hyper_connection\.|\.index_qk_proj\.|\.ple\.(key|value)_proj\.|\.ple\.conv1d\."
)


def weight_facts(
    tensors: Iterable[tuple[str, int]], *, layers: int | None = None, tied: bool = False, source: str = "headers"
) -> WeightFacts:
    """A checkpoint's bytes by class from its tensors' names and sizes in bytes.

    `layers` is the number of decoder layers (tensors of later ones belong to a drafter); `tied` leaves
    out a head that repeats the embedding. Projections, experts, embedding and head are split over
    tensor-parallel ranks; each rank keeps norms, routers, low-rank latent projections, indexers and compressors, what
    mixes hidden streams, and of a drafter what joins the target's hidden states, its convolutions and its selector.
    Source: vllm/model_executor/layers/linear.py, vllm/model_executor/models/.
    """
    sums = dict.fromkeys(("vision", "drafter", "embedding", "head", "experts", "replicated", "sharded"), 0)
    for name, size in tensors:
        kind = tensor_class(name, layers)
        if kind == "head" and tied:
            continue
        sums[kind] += size
    split = sums["sharded"] + sums["experts"] + sums["embedding"] + sums["head"]
    return WeightFacts(
        total=split + sums["replicated"] + sums["vision"] + sums["drafter"],
        source=source,
        sharded=split,
        replicated=sums["replicated"],
        experts=sums["experts"],
        embedding=sums["embedding"],
        head=sums["head"],
        vision=sums["vision"],
        drafter=sums["drafter"],
    )


def tensor_class(name: str, layers: int | None = None) -> str:
    """A tensor's class by its name: vision, drafter, embedding, head, experts, replicated or sharded."""
    if _VISION.search(name):
        return "vision"
    layer = _LAYER.search(name)
    if layer is not None and layers is not None:
        number = whole(layer.group(2))
        if number is not None and number >= layers:
            return "drafter"
    if _DRAFTER.search(name):
        return "drafter"
    if _EMBEDDING.search(name):
        return "embedding"
    if _HEAD.search(name):
        return "head"
    if _EXPERT.search(name):
        return "experts"
    return "replicated" if _REPLICATED.search(name) else "sharded"
