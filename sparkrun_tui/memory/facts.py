"""What is known of a model: its layers, sizes, quantisation and weights, each with where it came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sparkrun_tui.memory.layers import Layer


@dataclass(frozen=True, slots=True)
class WeightFacts:
    """The bytes of a checkpoint by tensor class, read from its headers (or only their total).

    ``sharded`` is split over tensor-parallel ranks, ``replicated`` kept by each. ``experts`` (part of
    ``sharded``), ``embedding`` and ``head`` are told apart because expert and pipeline parallelism treat
    them differently; ``vision`` is what ``--language-model-only`` leaves out, ``drafter`` (MTP) what is
    loaded only when speculation uses it. ``loaded_as`` is set when the engine is known to unpack them.
    All figures are bytes; ``total`` covers every tensor of the index once.
    """

    total: int
    source: str
    sharded: int | None = None
    replicated: int = 0
    experts: int = 0
    embedding: int = 0
    head: int = 0
    vision: int = 0
    drafter: int = 0


@dataclass(frozen=True, slots=True)
class QuantFacts:
    """How a checkpoint's weights are stored: method, bits per quantised weight, and what stays as it was."""

    method: str
    bits: float | None = None
    kept: tuple[str, ...] = ()
    kv_dtype: str = ""


@dataclass(frozen=True, slots=True)
class DeclaredFacts:
    """What a recipe's metadata says of its model; None where it says nothing.

    ``params`` is a count, ``model_vram`` and ``kv_per_token`` are bytes.
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

    ``layers`` is None when the architecture is unknown. ``mtp`` are the layers that a speculative
    configuration with the checkpoint's own drafter adds, ``drafter`` the facts of a separate draft model.
    ``config`` is the merged text configuration it was read from and ``gguf`` the header's keys without the
    architecture's prefix, for rules that one engine alone has. ``source`` says where the facts came from.
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
    def kv_scheme(self) -> str:
        """The KV cache dtype that the checkpoint itself asks for, empty when it does not."""
        return self.quant.kv_dtype if self.quant else ""
