"""What is known of a model: its layers, sizes, quantisation and weights, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.models.dtypes import element_bytes
from sparkrun_tui.models.layers import MOST_LAYERS, Attention, AttentionKind, Layer


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """The bytes of a checkpoint by tensor class, read from its headers (or only their total).

    `sharded` is split over tensor-parallel ranks, `replicated` kept by each. `experts` (part of
    `sharded`), `embedding` and `head` are listed separately because expert and pipeline parallelism
    treat them differently; `vision` is what `--language-model-only` leaves out, `drafter` (MTP) what is
    loaded only when speculation uses it. `loaded_as` is set when the engine is known to unpack them.
    All figures are bytes; `total` covers every tensor of the index once.
    """

    total: int
    source: str
    sharded: int | None = None
    replicated: int = 0
    experts: int | None = None
    embedding: int = 0
    head: int = 0
    vision: int = 0
    drafter: int = 0


@dataclass(frozen=True, slots=True)
class QuantFacts:
    """How a checkpoint's weights are stored: method, bits per quantised weight, and what stays as it was.

    `block` is the whole quantisation block, for the bits of single modules; empty when only a word is known.
    """

    method: str
    bits: float | None = None
    kept: tuple[str, ...] = ()
    kv_dtype: str = ""
    block: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class DeclaredFacts:
    """What a recipe's metadata says of its model; None where it says nothing.

    `params` is a count, `model_vram` and `kv_per_token` are bytes.
    """

    params: int | None = None
    model_dtype: str = ""
    kv_dtype: str = ""
    num_layers: int | None = None
    num_kv_heads: int | None = None
    head_dim: int | None = None
    model_vram: int | None = None
    kv_per_token: float | None = None


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """Everything the estimator knows of one model; what is not known is None or empty, never a guess.

    `layers` is None when the architecture is unknown. `mtp` are the layers that a speculative
    configuration with the checkpoint's own drafter adds, `drafter` the facts of a separate draft model.
    `config` is the merged text configuration it was read from and `gguf` the header's keys without the
    architecture's prefix, for rules that only one engine has. `source` says where the facts come from.
    """

    source: str
    model_type: str = ""
    architecture: str = ""
    dtype: str = "bfloat16"
    layers: tuple[Layer, ...] | None = None
    mtp: tuple[Layer, ...] = ()
    hidden: int | None = None
    heads: int | None = None
    kv_heads: int | None = None
    head_dim: int | None = None
    intermediate: int | None = None
    experts: int = 0
    experts_per_token: int = 0
    expert_intermediate: int = 0
    vocab: int | None = None
    max_length: int | None = None
    params: int | None = None
    multimodal: bool = False
    quant: QuantFacts | None = None
    weights: WeightFacts | None = None
    declared: DeclaredFacts | None = None
    drafter: ModelFacts | None = None
    config: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    gguf: Mapping[str, object] = field(default_factory=dict, repr=False, compare=False)
    notes: tuple[str, ...] = ()

    @property
    def element_bytes(self) -> int:
        """The bytes of one element of the model's own dtype; 2 for one that is not known, as most models have."""
        return element_bytes(self.dtype) or 2

    @property
    def expert_width(self) -> int | None:
        """Width of one routed expert's feed-forward, None when the model has none or it is not known."""
        if not self.experts:
            return None
        return self.expert_intermediate or self.intermediate

    @property
    def kv_scheme(self) -> str:
        """The KV cache dtype that the checkpoint itself asks for, empty when it does not."""
        return self.quant.kv_dtype if self.quant else ""


def facts_from_metadata(
    *,
    model_params: int | None = None,
    model_dtype: str = "",
    kv_dtype: str = "",
    num_layers: int | None = None,
    num_kv_heads: int | None = None,
    head_dim: int | None = None,
    model_vram_bytes: int | None = None,
    kv_vram_per_token_bytes: float | None = None,
) -> ModelFacts:
    """What a recipe's metadata says of its model: every layer counts as full attention.

    `model_params` is a count; sizes are in bytes. Values of None or the empty string are unknown.
    """
    declared = DeclaredFacts(
        params=model_params,
        model_dtype=(model_dtype or "").lower(),
        kv_dtype=(kv_dtype or "").lower(),
        num_layers=num_layers,
        num_kv_heads=num_kv_heads,
        head_dim=head_dim,
        model_vram=model_vram_bytes,
        kv_per_token=kv_vram_per_token_bytes,
    )
    layers = None
    if num_layers and num_kv_heads and head_dim:
        layer = Layer(Attention(AttentionKind.FULL, num_kv_heads, head_dim, head_dim))
        if num_layers <= MOST_LAYERS:
            layers = (layer,) * num_layers
    return ModelFacts(
        source="recipe metadata",
        layers=layers,
        kv_heads=num_kv_heads,
        head_dim=head_dim,
        params=model_params,
        declared=declared if declared != DeclaredFacts() else None,
    )


def merge(declared: ModelFacts, known: ModelFacts) -> ModelFacts:
    """A recipe's metadata joined with the model's own facts: totals that the metadata states win.

    Parameters, weight bytes and cache bytes per token come from the metadata where it states them. Layer
    counts and head sizes cannot replace a known architecture (they do not distinguish windows or states
    from full attention): where they contradict it, the architecture wins and a note says so.
    """
    said = declared.declared
    if said is None:
        return known
    params = said.params or known.params
    if known.layers is None:
        return replace(
            known,
            layers=declared.layers,
            kv_heads=known.kv_heads or declared.kv_heads,
            head_dim=known.head_dim or declared.head_dim,
            params=params,
            declared=said,
            source=f"recipe metadata, {known.source}",
        )
    notes = (*known.notes, *_contradictions(said, known, len(known.layers)))
    return replace(known, params=params, declared=said, notes=notes)


def _contradictions(said: DeclaredFacts, known: ModelFacts, layers: int) -> list[str]:
    """Notes about where a recipe's metadata contradicts the model's own files."""
    notes = []
    pairs = (
        ("num_layers", said.num_layers, layers),
        ("num_kv_heads", said.num_kv_heads, known.kv_heads),
        ("head_dim", said.head_dim, known.head_dim),
    )
    for name, stated, own in pairs:
        both_known = stated is not None and own is not None
        if both_known and stated != own:
            notes.append(f"the recipe says {name} {stated}, the model's own files say {own}")
    if said.model_vram and known.weights:
        total = known.weights.total
        if abs(said.model_vram - total) > total // 20:
            notes.append("the recipe's model_vram differs from the model's own files by more than 5 %")
    if said.params and known.params:
        difference = abs(said.params - known.params)
        if difference > known.params // 10:
            notes.append(f"the recipe says {said.params:,} parameters, the model's own files say {known.params:,}")
    return notes
