"""Sizes of number formats: plain elements, KV cache layouts per head, and bits of quantised weights."""

from __future__ import annotations

from math import ceil

ELEMENT_BYTES = {
    "float64": 8,
    "float32": 4,
    "float": 4,
    "float16": 2,
    "half": 2,
    "bfloat16": 2,
    "int8": 1,
    "uint8": 1,
    "float8_e4m3fn": 1,
    "float8_e5m2": 1,
}
"""Bytes of one element by the name that torch and config files use."""

_ALIASES = {
    "bf16": "bfloat16",
    "fp16": "float16",
    "f16": "float16",
    "fp32": "float32",
    "f32": "float32",
    "torch.bfloat16": "bfloat16",
    "torch.float16": "float16",
    "torch.float32": "float32",
}

_TURBOQUANT = {
    "turboquant_k8v4": (8, 4),
    "turboquant_4bit_nc": (4, 4),
    "turboquant_k3v4_nc": (3, 4),
    "turboquant_3bit_nc": (3, 3),
}
"""Key and value bits of vLLM's TurboQuant cache formats."""


def element_bytes(dtype: str) -> int | None:
    """The bytes of one element of `dtype` (any common spelling), None for an unknown one."""
    name = dtype.strip().lower()
    return ELEMENT_BYTES.get(_ALIASES.get(name, name).removeprefix("torch."))


def plain_name(dtype: str) -> str:
    """The canonical name of an unquantised dtype (`bf16` is `bfloat16`), others unchanged."""
    name = dtype.strip().lower()
    return _ALIASES.get(name, name)


def is_turboquant(cache_dtype: str) -> bool:
    """Whether a KV cache dtype is one of the TurboQuant layouts."""
    return cache_dtype in _TURBOQUANT


def head_bytes(cache_dtype: str, head_k: int, head_v: int, model_bytes: int) -> int | None:
    """The bytes that one KV head's key and value take per token, None for an unknown format.

    `auto` is the model's own element size. nvfp4 packs two values per byte and one fp8 scale per 16;
    the per-token-head formats add one fp32 scale per head and side; int4 packs two values per byte;
    TurboQuant keeps fp8 keys plain, else packed indices plus an fp16 norm, and values packed with an fp16
    scale and zero. Source: vllm/v1/kv_cache_interface.py, vllm/utils/torch_utils.py
    (nvfp4_kv_cache_full_dim), vllm/model_executor/layers/quantization/turboquant/config.py.
    """
    width = head_k + head_v
    if cache_dtype in ("auto", ""):
        return width * model_bytes
    plain = element_bytes(cache_dtype)
    if plain is not None:
        return width * plain
    if cache_dtype in ("int8_per_token_head", "fp8_per_token_head"):
        return width + 8
    if cache_dtype == "int4_per_token_head":
        return width // 2 + 8
    if cache_dtype.startswith("fp8"):
        return width
    if cache_dtype.startswith("nvfp4"):
        return head_k // 2 + head_k // 16 + head_v // 2 + head_v // 16
    if cache_dtype in _TURBOQUANT:
        return _turboquant_bytes(*_TURBOQUANT[cache_dtype], head_k, head_v)
    return None


def _turboquant_bytes(key_bits: int, value_bits: int, head_k: int, head_v: int) -> int:
    """One TurboQuant slot in bytes, rounded up to an even number."""
    key = head_k
    if key_bits != 8:
        key = ceil(_power_of_two(head_k) * key_bits / 8) + 2
    slot = key + ceil(head_v * value_bits / 8) + 4
    return slot + slot % 2


def _power_of_two(number: int) -> int:
    """The next power of two, the width that the rotation of the keys needs."""
    return 1 << max(0, number - 1).bit_length()


def latent_bytes(cache_dtype: str, width: int, model_bytes: int) -> int | None:
    """The bytes of one latent (MLA) entry of `width` elements, None for an unknown format.

    `fp8_ds_mla` stores 512 fp8 values, 4 fp32 scales and the rope part in bf16: 656 bytes for any
    width; `nvfp4_ds_mla` 352. Source: vllm/v1/attention/backends/mla/flashmla_sparse.py.
    """
    if cache_dtype == "fp8_ds_mla":
        return 656
    if cache_dtype == "nvfp4_ds_mla":
        return 352
    return head_bytes(cache_dtype, width, 0, model_bytes)


def index_bytes(width: int) -> int:
    """The bytes of one sparse-attention index key: fp8 values and one fp32 scale per 128.

    Source: vllm/v1/attention/backends/mla/indexer.py.
    """
    return width + 4 * ceil(width / 128)
