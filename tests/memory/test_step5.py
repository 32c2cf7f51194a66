"""Step-5, which a plugin of vLLM runs on DGX Sparks, and vLLM itself on other GPUs since 0.33."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.facts import WeightFacts

GIB = 1 << 30
STEP5: dict[str, Any] = {
    "architectures": ["Step5ForCausalLM"],
    "model_type": "step5",
    "hidden_size": 4096,
    "intermediate_size": 13824,
    "num_hidden_layers": 92,
    "num_attention_heads": 64,
    "num_attention_groups": 4,
    "head_dim": 192,
    "vocab_size": 128896,
    "max_position_embeddings": 1048576,
    "layer_types": ["full_attention" if index % 4 == 3 else "sliding_attention" for index in range(95)],
    "sliding_window": 512,
    "num_nextn_predict_layers": 3,
    "moe_num_experts": 352,
    "moe_top_k": 8,
    "moe_intermediate_size": 1536,
    "share_expert_dim": 1536,
}
FOUR = [assumed_spark(f"spark-{number}") for number in range(1, 5)]
MODEL = replace(facts_from_config(STEP5), weights=WeightFacts(341 * 10**9, "files"))


@pytest.mark.parametrize("config", [STEP5, {"model_type": "step5_vl", "text_config": STEP5}])
def test_four_sparks_hold_what_was_published(config: dict[str, Any]) -> None:
    # github.com/0xSero/Step-5-Preview-Four-Sparks, README.md at 2538368: "~1.0M tokens at 262,144 context, 20 GB KV per
    # rank", tensor parallel 4, two drafted tokens.
    model = replace(facts_from_config(config), weights=WeightFacts(341 * 10**9, "files"))
    settings = EngineSettings(
        "vllm",
        tensor_parallel=4,
        max_model_len=262_144,
        max_num_seqs=4,
        max_num_batched_tokens=4096,
        kv_cache_memory_bytes=20_000_000_000,
        speculative=Speculative("mtp", 2),
    )
    found = estimate(model, settings, FOUR)
    assert found.pool_tokens is not None and 0.95e6 < found.pool_tokens < 1.08e6
    assert any("plugin for DGX Sparks" in note for note in found.notes)


def test_sglang_has_no_step_5() -> None:
    found = estimate(MODEL, EngineSettings("sglang", tensor_parallel=4, max_model_len=262_144), FOUR)
    assert found.context.level is Level.UNKNOWN


SPARSE = {**STEP5, "sparse_config": {"enabled": True, "topk": 512}}
CARDS = [HostMemory(f"h{n}", 180 * GIB, None, True, "row", unified=False, gpu_name="NVIDIA B200") for n in range(4)]


@pytest.mark.parametrize(
    ("config", "version", "hosts", "known"),
    [
        (SPARSE, "", FOUR, True),
        (SPARSE, "0.32", FOUR, True),
        (SPARSE, "0.33", FOUR, False),
        (SPARSE, "0.33", CARDS, False),
        (SPARSE, "", CARDS, False),
        (STEP5, "0.33", CARDS, True),
        ({**STEP5, "sparse_config": {"enabled": False}}, "0.33", FOUR, True),
    ],
)
def test_vllm_s_own_sparse_attention_is_not_counted_as_dense(
    config: dict[str, Any], version: str, hosts: list[HostMemory], known: bool
) -> None:
    model = replace(facts_from_config(config), weights=WeightFacts(341 * 10**9, "files"))
    asked = EngineSettings("vllm", version=version, tensor_parallel=4, max_model_len=65_536)
    found = estimate(model, asked, hosts)
    assert (found.context.level is not Level.UNKNOWN) is known
    if not known:
        assert "vLLM's own Step-5" in found.context.detail
