"""The memory figures of a recipe whose metadata is all that is known, in the shape of the recipe format."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.units import GIB
from sparkrun_tui.models.dtypes import head_bytes
from sparkrun_tui.models.facts import DeclaredFacts, ModelFacts
from sparkrun_tui.models.gguf.types import element_size
from sparkrun_tui.models.weight_formats import bytes_per_parameter, format_named

USABLE_GIB = 121.0
"""What the format counts as a DGX Spark's usable memory, in GiB."""


@dataclass(frozen=True, slots=True)
class MetadataBlock:
    """The declared estimate in bytes: weights, cache of one full-length request, both on one GPU, and the fit."""

    weights: int
    kv: int | None
    max_model_len: int | None
    tensor_parallel: int
    pipeline_parallel: int
    per_gpu: int
    fits: bool | None

    def lines(self) -> Iterator[str]:
        """The lines of the block as the recipe format prints it; its GB are GiB by that format's own convention."""
        yield "VRAM Estimation:"
        yield f"  Model weights:    {self.weights / GIB:.2f} GB"
        if self.kv is not None and self.max_model_len is not None:
            yield f"  KV cache:         {self.kv / GIB:.2f} GB (max_model_len={self.max_model_len:,})"
        else:
            yield "  KV cache:         unknown"
        yield f"  Tensor parallel:  {self.tensor_parallel}"
        if self.pipeline_parallel > 1:
            yield f"  Pipeline stages:  {self.pipeline_parallel}"
        total = f"{self.per_gpu / GIB:.2f} GB"
        yield f"  Per-GPU total:    {total if self.kv is not None else f'{total} and the KV cache'}"
        yield f"  DGX Spark fit:    {'UNKNOWN' if self.fits is None else 'YES' if self.fits else 'NO'}"


def metadata_block(
    facts: ModelFacts,
    max_model_len: object,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    kv_dtype: str = "",
) -> MetadataBlock | None:
    """The block for a recipe's declared facts, None when they do not state the weights.

    `max_model_len` is the chain's value in tokens (anything but a positive whole number is unknown), `kv_dtype` the
    format of the cache that the engine is given, which counts where the recipe declares none. The cache counts every
    layer as full attention; the fit is unknown without it, unless the weights alone do not fit.
    """
    declared = facts.declared
    if declared is None:
        return None
    weights = declared_weights(declared)
    if weights is None:
        return None
    length = whole_of(max_model_len, least=1)
    per_token = declared_token_bytes(declared, kv_dtype)
    kv = None
    if per_token is not None and length is not None:
        kv = int(per_token * length)
    tensor, stages = max(1, tensor_parallel), max(1, pipeline_parallel)
    per_gpu = (weights + (kv or 0)) // (tensor * stages)
    fits: bool | None = per_gpu <= USABLE_GIB * GIB
    if fits and kv is None:
        fits = None
    return MetadataBlock(weights, kv, length, tensor, stages, per_gpu, fits)


def declared_weights(declared: DeclaredFacts) -> int | None:
    """The declared weight bytes: `model_vram`, else parameters x bytes of their dtype."""
    if declared.model_vram is not None:
        return declared.model_vram
    if declared.params is None or not declared.model_dtype:
        return None
    size = bytes_per_parameter(declared.model_dtype)
    return None if size is None else int(declared.params * size)


def declared_token_bytes(declared: DeclaredFacts, kv_dtype: str = "") -> float | None:
    """The declared cache bytes per token: the recipe's own figure, else layers x heads x width x 2.

    `kv_dtype` is the format where the recipe declares none; bfloat16 where neither says one.
    """
    if declared.kv_per_token is not None:
        return declared.kv_per_token
    if not (declared.num_layers and declared.num_kv_heads and declared.head_dim):
        return None
    stated = [word for word in (declared.kv_dtype, kv_dtype) if word not in ("", "auto")]
    dtype = stated[0] if stated else "bfloat16"
    head: float | None = head_bytes(dtype, declared.head_dim, declared.head_dim, 2)
    if head is None:
        head = _llama_head_bytes(dtype, declared.head_dim)
    return None if head is None else float(declared.num_layers * declared.num_kv_heads * head)


def _llama_head_bytes(dtype: str, width: int) -> float | None:
    """The bytes of one head's key and value in a cache type of llama.cpp, or another format; None when unknown."""
    size = element_size(dtype)
    if size is not None:
        return 2 * width * size
    form = format_named(dtype)
    if form is None:
        return None
    return 2 * width * form.bits / 8
