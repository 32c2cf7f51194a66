"""Turns a GGUF header into facts of a model: its keys, and the tensors' sizes where they were read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.config.values import positive, word
from sparkrun_tui.models.facts import ModelFacts, QuantFacts, WeightFacts
from sparkrun_tui.models.gguf.keys import Keys, block_count, draft_blocks, plain_keys, widest
from sparkrun_tui.models.gguf.layers import gguf_layers
from sparkrun_tui.models.gguf.types import file_bits, tensor_bytes


@dataclass(frozen=True, slots=True)
class GgufTensor:
    """One tensor of a header: its name, its type (number or name), and how many elements it has."""

    name: str
    kind: int | str
    elements: int


def facts_from_gguf(
    header: Keys,
    tensors: Iterable[GgufTensor] = (),
    quant: str = "",
    source: str = "GGUF header",
    total_bytes: int | None = None,
) -> ModelFacts:
    """Read a model's architecture from the keys of its GGUF header, prefixed or not.

    `tensors` are those of all shards; without them `total_bytes` (of the files) or `quant` (`Q4_K_M`)
    give the weights. An architecture that cannot be modelled has `layers` None and a note.
    """
    keys = plain_keys(header)
    items = tuple(tensors)
    weights = None
    if items:
        weights = gguf_weights(items, keys)
    if weights is None and total_bytes is not None:
        weights = WeightFacts(total_bytes, "file size")
    facts = replace(_sizes(keys), source=source, params=_parameters(items, keys), weights=weights)
    if quant:
        facts = replace(facts, quant=QuantFacts(f"gguf {quant}", file_bits(quant)))
    found = gguf_layers(keys)
    if found is None:
        note = f"how llama.cpp caches a model of architecture {word(keys, 'arch')} is not known"
        return replace(facts, notes=(note,))
    layers, drafts = found
    facts = replace(facts, layers=layers, mtp=drafts)
    for layer in layers:
        if layer.attention is not None:
            return replace(facts, kv_heads=layer.attention.kv_heads, head_dim=layer.attention.head_k)
    return facts


def _sizes(keys: Keys) -> ModelFacts:
    """What the header states as single figures."""
    arch = word(keys, "arch")
    return ModelFacts(
        source="GGUF header",
        model_type=arch,
        architecture=arch,
        dtype="float16",
        hidden=positive(keys, "embedding_length"),
        heads=widest(keys, "attention.head_count") or None,
        intermediate=widest(keys, "feed_forward_length") or None,
        experts=widest(keys, "expert_count"),
        experts_per_token=widest(keys, "expert_used_count"),
        expert_intermediate=widest(keys, "expert_feed_forward_length"),
        vocab=positive(keys, "vocab"),
        max_length=positive(keys, "context_length"),
        gguf=keys,
    )


def _parameters(tensors: Sequence[GgufTensor], keys: Keys) -> int | None:
    """The number of parameters: the tensors' elements, else what the header states."""
    return sum(tensor.elements for tensor in tensors) or positive(keys, "general.parameter_count")


def gguf_weights(tensors: Sequence[GgufTensor], keys: Keys) -> WeightFacts | None:
    """The bytes of a file by class from its tensors; None when a type is unknown.

    `embedding` and `head` are the token embedding and the output matrix, `drafter` the blocks that
    only draft. Source: ggml/src/ggml.c (ggml_nbytes).
    """
    count = (block_count(keys) or 0) - draft_blocks(keys)
    sums = dict.fromkeys(("embedding", "head", "experts", "drafter", "rest"), 0)
    for tensor in tensors:
        size = tensor_bytes(tensor.kind, tensor.elements)
        if size is None:
            return None
        sums[_class_of(tensor.name, count)] += size
    total = sum(sums.values())
    return WeightFacts(
        total=total,
        source="headers",
        sharded=total - sums["drafter"],
        experts=sums["experts"],
        embedding=sums["embedding"],
        head=sums["head"],
        drafter=sums["drafter"],
    )


def _class_of(name: str, blocks: int) -> str:
    """A tensor's class by its name (gguf-py/gguf/constants.py, TENSOR_NAMES)."""
    if name.startswith("token_embd."):
        return "embedding"
    if name.startswith("output."):
        return "head"
    parts = name.split(".")
    if parts[0] != "blk" or len(parts) < 3:
        return "rest"
    block = whole(parts[1])
    if block is None:
        return "rest"
    if block >= blocks:
        return "drafter"
    if parts[2].endswith("_exps"):
        return "experts"
    return "rest"
