"""Configurations of draft models that draft a block at once; sizes are those of public ones."""

from __future__ import annotations

from typing import Any

BLOCK: dict[str, Any] = {
    "architectures": ["DFlashDraftModel"],
    "model_type": "qwen3",
    "dtype": "bfloat16",
    "hidden_size": 5120,
    "intermediate_size": 17408,
    "num_hidden_layers": 5,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 248320,
    "max_position_embeddings": 262144,
    "block_size": 16,
    "dflash_config": {"target_layer_ids": [1, 16, 31, 46, 61]},
    "layer_types": ["sliding_attention"] * 4 + ["full_attention"],
    "sliding_window": 2048,
    "use_sliding_window": True,
}
"""The drafter of Qwen3.6-27B."""

CONVOLVED: dict[str, Any] = {
    **BLOCK,
    "architectures": ["DFlash2DraftModel"],
    "hidden_size": 4096,
    "intermediate_size": 12288,
    "vocab_size": 154880,
    "max_position_embeddings": 1048576,
    "layer_types": ["sliding_attention"] * 5,
    "dflash_config": {
        "block_size": 8,
        "conv_kernel_size": 2,
        "conv_group_size": 16,
        "selector_rank": 256,
        "target_layer_ids": [5, 14, 24, 33, 42],
    },
}
"""The DFlash2 drafter of GLM-5.3-Flash."""

SUNK: dict[str, Any] = {
    "architectures": ["Qwen3DSparkModel"],
    "model_type": "qwen3",
    "hidden_size": 2688,
    "intermediate_size": 6144,
    "num_hidden_layers": 6,
    "num_attention_heads": 32,
    "num_key_value_heads": 2,
    "head_dim": 128,
    "vocab_size": 131072,
    "max_position_embeddings": 262144,
    "block_size": 8,
    "markov_rank": 512,
    "sample_from_anchor": False,
    "dflash_config": {
        "use_swa": True,
        "swa_window_size": 1024,
        "attention_sink_bias": True,
        "target_layer_ids": [1, 5, 19, 29, 41, 51],
    },
}
"""A DSpark drafter of a Nemotron, whose windows are stated beside the list of kinds."""

LAGUNA: dict[str, Any] = {
    "architectures": ["DFlashLagunaForCausalLM"],
    "model_type": "laguna",
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 6,
    "num_attention_heads": 48,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 100352,
    "draft_vocab_size": 100352,
    "max_position_embeddings": 1048576,
    "layer_types": ["sliding_attention"] * 6,
    "sliding_window": 512,
    "gating": "per-head",
    "dflash_config": {"block_size": 16, "target_layer_ids": [1, 12, 24, 36, 46]},
}
