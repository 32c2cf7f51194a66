"""Headers of model files, built small: GGUF and safetensors."""

from __future__ import annotations

import json
import struct
from typing import Any

_STRING, _ARRAY, _U32, _F32, _BOOL = 8, 9, 4, 6, 7


def gguf(keys: dict[str, Any], tensors: list[tuple[str, list[int], int]]) -> bytes:
    """A GGUF header of version 3; a tensor is its name, its sizes and its type."""
    out = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, value in keys.items():
        out += _text(name) + _typed(value)
    for at, (name, sizes, kind) in enumerate(tensors):
        out += _text(name) + struct.pack("<I", len(sizes)) + b"".join(struct.pack("<Q", size) for size in sizes)
        out += struct.pack("<IQ", kind, at * 4096)
    return out


def safetensors(tensors: dict[str, Any]) -> bytes:
    """A safetensors header of tensors, each its dtype, shape and offsets."""
    return framed(json.dumps(tensors).encode())


def framed(text: bytes) -> bytes:
    """A JSON text as the header of a safetensors file."""
    return struct.pack("<Q", len(text)) + text


def _text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def _typed(value: Any) -> bytes:
    if isinstance(value, list):
        kind, items = _bare(value[0])[0], b"".join(_bare(item)[1] for item in value)
        return struct.pack("<IIQ", _ARRAY, kind, len(value)) + items
    kind, data = _bare(value)
    return struct.pack("<I", kind) + data


def _bare(value: Any) -> tuple[int, bytes]:
    if isinstance(value, bool):
        return _BOOL, struct.pack("<?", value)
    if isinstance(value, int):
        return _U32, struct.pack("<I", value)
    if isinstance(value, float):
        return _F32, struct.pack("<f", value)
    return _STRING, _text(value)


LLAMA_KEYS: dict[str, Any] = {
    "general.architecture": "llama",
    "general.file_type": 15,
    "llama.context_length": 131072,
    "llama.embedding_length": 4096,
    "llama.block_count": 4,
    "llama.attention.head_count": 32,
    "llama.attention.head_count_kv": [8, 8, 4, 8],
    "llama.attention.key_length": 128,
    "llama.attention.value_length": 128,
    "llama.attention.sliding_window": 1024,
    "llama.feed_forward_length": 14336,
    "llama.expert_count": 8,
    "llama.expert_used_count": 2,
    "llama.rope.freq_base": 500000.0,
    "llama.vocab_size": 32000,
    "tokenizer.ggml.tokens": ["<s>", "</s>", "a", "b"],
    "tokenizer.ggml.add_bos_token": True,
}

LLAMA_TENSORS: list[tuple[str, list[int], int]] = [
    ("token_embd.weight", [4096, 32000], 12),
    ("output.weight", [4096, 32000], 14),
    *((f"blk.{layer}.attn_q.weight", [4096, 4096], 12) for layer in range(4)),
    *((f"blk.{layer}.ffn_down_exps.weight", [14336, 4096, 8], 14) for layer in range(4)),
]

HYBRID_KEYS: dict[str, Any] = {
    "general.architecture": "qwen3next",
    "qwen3next.context_length": 262144,
    "qwen3next.embedding_length": 2048,
    "qwen3next.block_count": 8,
    "qwen3next.attention.head_count": 16,
    "qwen3next.attention.head_count_kv": 2,
    "qwen3next.attention.key_length": 256,
    "qwen3next.ssm.conv_kernel": 4,
    "qwen3next.ssm.inner_size": 4096,
    "qwen3next.ssm.state_size": 128,
    "qwen3next.ssm.group_count": 16,
    "qwen3next.ssm.time_step_rank": 32,
    "qwen3next.full_attention_interval": 4,
    "qwen3next.expert_count": 512,
}

TENSORS: dict[str, Any] = {
    "__metadata__": {"format": "pt"},
    "model.embed_tokens.weight": {"dtype": "BF16", "shape": [32000, 1024], "data_offsets": [0, 65536000]},
    "model.layers.0.self_attn.q_proj.weight": {
        "dtype": "BF16", "shape": [1024, 1024], "data_offsets": [65536000, 67633152],
    },
    "model.layers.0.mlp.experts.0.down_proj.weight": {
        "dtype": "F8_E4M3", "shape": [1024, 64], "data_offsets": [67633152, 67698688],
    },
    "lm_head.weight": {"dtype": "U8", "shape": [32000, 512], "data_offsets": [67698688, 84082688]},
}  # fmt: skip
