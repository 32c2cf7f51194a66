"""MiniMax-M3, whose sparse layers cache a key of an index beside each token's keys and values."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.settings import EngineSettings
from tests.memory.models import DENSE, MTP2, facts, plan

M3: dict[str, Any] = {
    **DENSE,
    "architectures": ["MiniMaxM3ForCausalLM"],
    "model_type": "minimax_m3",
    "num_hidden_layers": 60,
    "num_attention_heads": 64,
    "num_key_value_heads": 4,
    "num_mtp_modules": 7,
    "num_nextn_predict_layers": 1,
    "max_position_embeddings": 1048576,
    "sparse_attention_config": {
        "sparse_attention_freq": [0] * 3 + [1] * 57,
        "sparse_index_dim": 128,
        "sparse_num_index_heads": 4,
    },
}
LENGTH = 131_072


@pytest.mark.parametrize(("ranks", "dtype", "element"), [(1, "auto", 2), (4, "auto", 2), (4, "fp8", 1)])
def test_an_index_key_is_whole_on_each_rank_and_in_bfloat16(ranks: int, dtype: str, element: int) -> None:
    # vllm/models/minimax_m3/common/indexer.py: one key of 128 elements a token, beside (4 / ranks) heads of 2 x 128.
    found = plan(M3, LENGTH, version="0.33", tensor_parallel=ranks, kv_cache_dtype=dtype)
    tokens = 60 * (4 // ranks) * 2 * 128 * element
    assert found.request_bytes(LENGTH) == LENGTH * (tokens + 57 * 128 * 2)
    assert len(found.grouping.groups) == 1


def test_the_drafter_s_layer_is_sparse_too() -> None:
    plain = plan(M3, LENGTH, version="0.33")
    drafted = plan(M3, LENGTH, version="0.33", speculative=MTP2)
    assert drafted.request_bytes(LENGTH) - plain.request_bytes(LENGTH) == LENGTH * (4 * 2 * 128 * 2 + 128 * 2)


def test_without_sparse_layers_there_is_no_index() -> None:
    dense = {**M3, "sparse_attention_config": {"sparse_attention_freq": [0] * 60, "sparse_index_dim": 128}}
    assert plan(dense, LENGTH, version="0.33").request_bytes(LENGTH) == LENGTH * 60 * 4 * 2 * 128 * 2


def test_sglang_s_index_of_it_is_not_known() -> None:
    asked = EngineSettings("sglang", tensor_parallel=4, max_model_len=LENGTH)
    found = estimate(facts(M3), asked, [assumed_spark(f"s{number}") for number in range(4)])
    assert found.context.level is Level.UNKNOWN
