"""What vLLM 0.33 plans differently; figures are those of its own planning code."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import VllmPlan, plan_cache
from tests.memory import models
from tests.memory.models import MTP2, facts, plan, settings

GIB = 1 << 30
NEW = {"version": "0.33", "max_num_batched_tokens": 2048}

INKLING: dict[str, Any] = {
    "architectures": ["InklingForConditionalGeneration"],
    "model_type": "inkling_mm_model",
    "mtp_config": {"num_nextn_predict_layers": 8, "local_layer_ids": [1, 2, 3]},
    "text_config": {
        "hidden_size": 6144,
        "num_hidden_layers": 66,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "sliding_window_size": 512,
        "swa_num_attention_heads": 64,
        "swa_num_key_value_heads": 16,
        "swa_head_dim": 128,
        "use_sconv": True,
        "sconv_kernel_size": 4,
        "model_max_length": 1048576,
        "vocab_size": 201024,
    },
}


def inkling(**changes: Any) -> dict[str, Any]:
    """Inkling's configuration with keys of the text model changed."""
    return {**INKLING, "text_config": {**INKLING["text_config"], **changes}}


def on(host: HostMemory, config: dict[str, Any], length: int, **fields: Any) -> VllmPlan:
    """The plan of a configuration on the GPU of a host."""
    found = plan_cache(facts(config), settings(**fields), length, device=device_of(host))
    assert found is not None
    return found


def test_gated_delta_net_keeps_one_more_state_and_blocks_of_64() -> None:
    old, new = plan(models.HYBRID, 262144, version="0.32"), plan(models.HYBRID, 262144, **NEW)
    assert (old.block, old.blocks_per_request(262144)) == (784, 341)
    assert (new.block, new.blocks_per_request(262144)) == (832, 325)
    assert new.request_bytes(262144) / GIB == pytest.approx(16.504, abs=0.001)
    assert (old.state_blocks, new.state_blocks) == (2, 3)


@pytest.mark.parametrize("fields", [{"gdn_prefill_backend": "triton"}, {"prefix_caching": False}])
def test_other_kernels_and_no_prefix_caching_plan_as_before(fields: dict[str, Any]) -> None:
    before = plan(models.HYBRID, 262144, **{**NEW, **fields, "version": "0.32"})
    after = plan(models.HYBRID, 262144, **{**NEW, **fields})
    assert (after.block, after.state_blocks) == (before.block, before.state_blocks)


@pytest.mark.parametrize(
    ("gpu", "states"),
    [("NVIDIA H100 80GB HBM3", 3), ("NVIDIA B200", 3), ("NVIDIA L40S", 2), ("NVIDIA A100-SXM4-80GB", 2), ("Odd", 2)],
)
def test_the_gpu_decides_on_the_kernel(gpu: str, states: int) -> None:
    host = HostMemory("host", 100 * GIB, None, False, "probe", unified=False, gpu_name=gpu)
    assert on(host, models.HYBRID, 65536, **NEW).state_blocks == states


def test_the_width_of_a_key_decides_on_blackwell_and_not_on_hopper() -> None:
    narrow = {**models.HYBRID, "linear_key_head_dim": 64}
    hopper = HostMemory("host", 80 * GIB, None, False, "probe", unified=False, gpu_name="NVIDIA H100")
    assert on(assumed_spark("spark-1"), narrow, 65536, **NEW).state_blocks == 2
    assert on(hopper, narrow, 65536, **NEW).state_blocks == 3


def test_n_grams_keep_two_batches_in_flight() -> None:
    drafts = {"speculative": Speculative("ngram", 4)}
    assert plan(models.WINDOWED, 131072, **{**NEW, **drafts}).in_flight == 4096
    assert plan(models.WINDOWED, 131072, **{**NEW, **drafts, "version": "0.32"}).in_flight == 2048
    assert plan(models.WINDOWED, 131072, **NEW, speculative=Speculative("suffix", 4)).in_flight == 2048


@pytest.mark.parametrize(("version", "refused"), [("0.32", False), ("0.33", True)])
@pytest.mark.parametrize(("cache", "dtype"), [("float16", "auto"), ("bfloat16", "float16")])
def test_a_plain_cache_must_be_of_the_models_own_type(version: str, refused: bool, cache: str, dtype: str) -> None:
    asked = settings(**{**NEW, "version": version, "kv_cache_dtype": cache, "dtype": dtype})
    found = estimate(facts(models.DENSE), asked, [assumed_spark("spark-1")])
    assert (found.context.level is Level.BAD) == refused
    assert ("--kv-cache-dtype auto" in found.context.detail) == refused


@pytest.mark.parametrize(("cache", "dtype"), [("bfloat16", "auto"), ("float16", "float16"), ("fp8", "auto")])
def test_the_models_own_type_and_quantised_caches_start(cache: str, dtype: str) -> None:
    asked = settings(**NEW, kv_cache_dtype=cache, dtype=dtype)
    found = estimate(facts(models.DENSE), asked, [assumed_spark("spark-1")])
    assert found.context.level is Level.GOOD


def drafted(version: str, **drafter: Any) -> int | None:
    """The context in tokens that a target asked for 131,072 gets with a draft model made for 40,960."""
    target = replace(facts(models.DENSE, max_position_embeddings=131072), drafter=facts(models.DENSE, **drafter))
    method = Speculative("draft_model", 3, "draft")
    asked = settings(**{**NEW, "version": version, "max_model_len": 131072, "speculative": method})
    return work_out(target, asked, assumed_spark("spark-1")).length


def test_a_drafter_with_a_shorter_context_shortens_the_targets() -> None:
    assert drafted("0.33") == 40960
    assert drafted("0.32") == 131072
    assert drafted("0.33", max_position_embeddings=262144) == 131072


def test_a_shortened_context_is_said() -> None:
    target = replace(facts(models.DENSE, max_position_embeddings=131072), drafter=facts(models.DENSE))
    asked = settings(**NEW, max_model_len=131072, speculative=Speculative("draft_model", 3, "draft"))
    found = estimate(target, asked, [assumed_spark("spark-1")])
    assert "the draft model limits the context to 40,960 tokens" in found.notes


MAMBA: dict[str, Any] = {
    "architectures": ["Mamba2ForCausalLM"],
    "model_type": "mamba2",
    "torch_dtype": "bfloat16",
    "hidden_size": 4096,
    "num_hidden_layers": 64,
    "num_heads": 128,
    "head_dim": 64,
    "state_size": 128,
    "n_groups": 8,
    "conv_kernel": 4,
    "vocab_size": 32768,
}


def test_a_model_without_attention_keeps_one_state() -> None:
    assert plan(MAMBA, 8192, **NEW).request_bytes(8192) == 138_149_888
    assert plan(MAMBA, 8192, **NEW, prefix_caching=True).request_bytes(8192) == 3 * 138_149_888
    assert plan(MAMBA, 8192, version="0.32").request_bytes(8192) == 3 * 138_149_888


def test_a_hybrid_without_attention_layers_keeps_its_prefixes() -> None:
    granite = {**MAMBA, "architectures": ["GraniteMoeHybridForCausalLM"], "model_type": "granitemoehybrid"}
    granite |= {"mamba_n_heads": 128, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_n_groups": 8}
    granite["layers_block_type"] = ["mamba"] * 64
    assert plan(granite, 8192, **NEW).request_bytes(8192) == 3 * 138_149_888


def test_inkling_caches_the_inputs_of_its_convolutions() -> None:
    # With no window layers named, as transformers saves its defaults: the figure of vLLM 0.33 for that file.
    assert plan(inkling(local_layer_ids=None), 8192, **NEW).request_bytes(8192) == 11_090_264_064
    windowed = plan(inkling(local_layer_ids=[i for i in range(66) if (i + 1) % 6]), 8192, **NEW)
    # One group of full layers, five of windows, six of inputs, eleven layers each of 128 KiB a block.
    assert windowed.bytes_per_block == 11 * 131072
    assert windowed.blocks_per_request(8192) == 256 + 5 * 289 + 6 * 1026


def test_inkling_drafts_with_as_many_modules_as_tokens() -> None:
    local = [i for i in range(66) if (i + 1) % 6]
    layers = [len(group.layers) for group in plan(inkling(local_layer_ids=local), 8192, **NEW).grouping.groups]
    drafting = plan(inkling(local_layer_ids=local), 8192, **NEW, speculative=MTP2).grouping.groups
    assert sum(len(group.layers) for group in drafting) == sum(layers) + 2 * 2


def test_inkling_is_not_split_over_more_ranks_than_kv_heads() -> None:
    with pytest.raises(Unsupported, match="8 KV heads cannot be split over 16"):
        plan(inkling(local_layer_ids=None), 8192, **NEW, tensor_parallel=16)


def test_inkling_is_not_known_in_the_other_engines() -> None:
    for engine in ("sglang", "llama-cpp"):
        found = estimate(facts(INKLING), EngineSettings(engine, max_model_len=8192), [assumed_spark("spark-1")])
        assert found.context.level is Level.UNKNOWN
        assert any("convolutions" in note for note in found.notes)


# --- files that transformers saved anew ---------------------------------------------------------------------------

COMPRESSED: dict[str, Any] = {
    "architectures": ["DeepseekV4ForCausalLM"],
    "model_type": "deepseek_v4",
    "dtype": "bfloat16",
    "hidden_size": 4096,
    "head_dim": 512,
    "qk_rope_head_dim": 64,
    "index_head_dim": 128,
    "index_topk": 512,
    "num_attention_heads": 64,
    "num_key_value_heads": 1,
    "num_hidden_layers": 6,
    "num_nextn_predict_layers": 1,
    "sliding_window": 128,
    "max_position_embeddings": 1048576,
}


def test_compression_reads_alike_in_both_forms() -> None:
    ratios = {"compress_ratios": [128, 128, 4, 0, 4, 128, 0]}
    words = {0: "sliding_attention", 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}
    kinds = {
        "layer_types": [words[ratio] for ratio in ratios["compress_ratios"][:6]],
        "compress_rates": {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128},
    }
    old, new = facts({**COMPRESSED, **ratios}), facts({**COMPRESSED, **kinds})
    assert new.layers == old.layers and new.mtp == old.mtp
    for length in (8192, 131072):
        for drafts in (None, MTP2):
            fields = {**NEW, "speculative": drafts}
            one, two = plan({**COMPRESSED, **ratios}, length, **fields), plan({**COMPRESSED, **kinds}, length, **fields)
            assert one.request_bytes(length) == two.request_bytes(length)


def test_the_length_may_have_its_newer_name() -> None:
    renamed = {key: value for key, value in models.DENSE.items() if key != "max_position_embeddings"}
    assert facts({**renamed, "model_max_length": 40960}).max_length == facts(models.DENSE).max_length == 40960
