"""Models whose layers run several times: Dory and LoopCoder keep what is cached of each time.

Counted by hand from vLLM 0.33 (model_executor/models/dory.py, iquest_loopcoder.py) and SGLang 0.5.23
(model_executor/model_runner_components/layer_setup.py: the layers times `loop_num`, models/iquest_loopcoder.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.sglang.cell import cell_of
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import plan_cache
from sparkrun_tui.models.facts import WeightFacts
from tests.memory.models import facts, settings
from tests.memory.sglang import told

GIB = 1 << 30
DORY: dict[str, Any] = {
    "architectures": ["DoryForCausalLM"],
    "model_type": "dory",
    "dtype": "bfloat16",
    "vocab_size": 131072,
    "hidden_size": 2560,
    "num_hidden_layers": 72,
    "intermediate_size": 7168,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "max_position_embeddings": 8192,
    "sliding_window": 1024,
    "layer_types": (["sliding_attention", "mlp"] * 3 + ["full_attention", "mlp"]) * 9,
    "n_input_layers": 8,
    "n_output_layers": 8,
    "n_recurrent_loops": 4,
}
LOOP_CODER: dict[str, Any] = {
    "architectures": ["IQuestLoopCoderForCausalLM"],
    "model_type": "iquestloopcoder",
    "dtype": "bfloat16",
    "vocab_size": 76800,
    "hidden_size": 5120,
    "num_hidden_layers": 80,
    "intermediate_size": 27648,
    "num_attention_heads": 40,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 131072,
    "loop_num": 2,
    "loop_window_size": 64,
}


def windows(config: dict[str, Any], **changes: Any) -> tuple[int, int]:
    """How many full and how many windowed caches a model has."""
    layers = facts(config, **changes).layers
    assert layers is not None
    kept = [layer.attention.window for layer in layers if layer.attention is not None]
    return kept.count(None), len(kept) - kept.count(None)


@pytest.mark.parametrize(
    ("changes", "full", "window"),
    [
        ({}, 1 + 7 * 4 + 1, 3 + 21 * 4 + 3),
        ({"recurrent_kv_cache_mode": "last_loop"}, 9, 27),
        ({"n_recurrent_loops": 1}, 9, 27),
        ({"n_input_layers": 0, "n_output_layers": 0, "n_recurrent_loops": 2}, 18, 54),
    ],
)
def test_the_recurrent_layers_of_dory_have_a_cache_for_each_loop(
    changes: dict[str, Any], full: int, window: int
) -> None:
    assert windows(DORY, **changes) == (full, window)


def test_dory_needs_the_list_of_its_layers() -> None:
    assert facts(DORY, layer_types=None).layers is None


def test_vllm_runs_dory_on_one_gpu() -> None:
    plan = plan_cache(facts(DORY), settings(max_num_batched_tokens=2048), 8192)
    assert plan is not None
    # 30 full layers and 90 with a window: four groups of 30.
    assert sorted(len(group.layers) for group in plan.grouping.groups) == [30, 30, 30, 30]
    assert plan.bytes_per_block == 30 * 16 * 4 * 512 * 2
    with pytest.raises(Unsupported, match="one GPU"):
        plan_cache(facts(DORY), settings(tensor_parallel=2), 8192)


def test_sglang_does_not_run_dory() -> None:
    model = replace(facts(DORY), weights=WeightFacts(10 * GIB, "test", sharded=10 * GIB))
    found = estimate(model, told(max_model_len=8192), [assumed_spark("spark-1")])
    assert found.context.level is Level.UNKNOWN
    assert "how this engine caches models of the architecture dory is not known here" in found.notes


@pytest.mark.parametrize(("loops", "window"), [(2, 80), (3, 160), (1, 0), (None, 80)])
def test_repetitions_of_loop_coder_have_a_window(loops: int | None, window: int) -> None:
    assert windows(LOOP_CODER, loop_num=loops) == (80, window)


def test_sglang_keeps_every_token_of_every_loop() -> None:
    model = facts(LOOP_CODER)
    assert cell_of(model, model.layers or (), told()).total == 2 * 80 * 8 * 256 * 2


def test_vllm_keeps_a_window_of_the_second_loop() -> None:
    plan = plan_cache(facts(LOOP_CODER), settings(max_num_batched_tokens=2048), 131072)
    assert plan is not None
    # Both kinds have 80 layers: 8,192 blocks of full attention, and 63 + 2 x 2048 tokens more one block of windows.
    assert plan.bytes_per_block == 80 * 16 * 8 * 256 * 2
    assert plan.blocks_per_request(131072) == 8192 + (63 + 4096 + 15) // 16 + 1
