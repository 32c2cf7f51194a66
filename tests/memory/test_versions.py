"""What differs between vLLM versions, and how a version is told."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.registry import FAMILIES
from sparkrun_tui.memory.estimate import estimate
from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.vllm.devices import SPARK, Device, device_of
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import batch_limits, plan_cache
from sparkrun_tui.memory.vllm.versions import others_of, parse_version, rules_for
from tests.memory import models
from tests.memory.models import settings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0.23.1rc1.dev531", (0, 23)),
        ("v0.32.0", (0, 32)),
        ("0.6 (V0)", (0, 6)),
        ("nightly-20260415", (0, 19)),
        ("2026-09", (0, 29)),
        ("2026081102", (0, 27)),
        ("latest", None),
        ("", None),
    ],
)
def test_versions_are_read_from_releases_and_dates(text: str, expected: tuple[int, int] | None) -> None:
    assert parse_version(text) == expected


def test_the_newest_is_assumed_and_said_to_be() -> None:
    assert rules_for("").name == "vLLM 0.33 (assumed)"
    assert rules_for("0.32.0").name == "vLLM 0.32"
    assert rules_for("20260927").name == "vLLM 0.29 (by the image's date)"


def card(name: str, gib: int) -> Device:
    """The GPU of a host with a discrete card."""
    return device_of(HostMemory("host", gib * GIB, None, False, "probe", unified=False, gpu_name=name))


@pytest.mark.parametrize("version", ["0.11", "0.22", "0.27", "0.32", "0.33"])
def test_a_gb10_counts_as_a_small_card_in_every_version(version: str) -> None:
    plain = settings(max_num_batched_tokens=None)
    assert batch_limits(plain, rules_for(version), 131072) == (2048, 256)
    fast = settings(max_num_batched_tokens=None, performance_mode="throughput")
    assert batch_limits(fast, rules_for(version), 131072) == (4096, 512)
    short = settings(max_num_batched_tokens=None, max_num_seqs=2)
    assert batch_limits(short, rules_for(version), 512) == (1024, 2)


@pytest.mark.parametrize(
    ("name", "gib", "version", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", 79, "0.32", (8192, 1024)),
        ("NVIDIA H200", 140, "0.33", (8192, 1024)),
        ("NVIDIA RTX PRO 6000 Blackwell Server Edition", 95, "0.33", (8192, 1024)),
        ("NVIDIA B200", 179, "0.33", (16384, 1024)),
        ("NVIDIA B200", 179, "0.31", (8192, 1024)),
        ("NVIDIA A100-SXM4-80GB", 79, "0.33", (2048, 256)),
        ("NVIDIA L40S", 45, "0.33", (2048, 256)),
        ("NVIDIA GeForce RTX 5090", 32, "0.33", (2048, 256)),
    ],
)
def test_the_default_batch_follows_the_card(name: str, gib: int, version: str, expected: tuple[int, int]) -> None:
    plain = settings(max_num_batched_tokens=None)
    assert batch_limits(plain, rules_for(version), 131072, card(name, gib)) == expected


def test_without_a_probe_a_spark_is_assumed() -> None:
    assert device_of(assumed_spark("spark-1")) == SPARK
    assert SPARK.capability == (12, 1) and SPARK.memory is None


def test_graphs_are_charged_since_0_21_and_the_share_grew() -> None:
    assert not rules_for("0.20").graphs_charged
    assert rules_for("0.21").graphs_charged
    assert (rules_for("0.11").utilisation, rules_for("0.33").utilisation) == (0.90, 0.92)


@pytest.mark.parametrize(
    ("engine", "image", "expected"),
    [
        ("vllm", "vllm/vllm-openai:v0.32.0-aarch64", "0.32.0"),
        ("vllm", "nvcr.io/nvidia/vllm:26.08-py3", "0.27.1"),
        ("vllm", "nvcr.io/nvidia/vllm:26.10-py3", "2026-10"),
        ("vllm", "nvcr.io/nvidia/vllm:25.11-py3-igpu", "2025-11"),
        ("vllm", "nvcr.io/nvidia/vllm:26.13-py3", ""),
        ("sglang", "nvcr.io/nvidia/sglang:26.10-py3", ""),
        ("vllm", "vllm/vllm-openai:vllm-x86_64-cu13-0.25.1-7a33ba9", "0.25.1"),
        ("vllm", "docker.io/vllm/vllm-openai:aarch64-v0.25.1", "0.25.1"),
        ("vllm", "vllm/vllm-openai:nightly-cuda-13.0.1", ""),
        ("vllm", "vllm/vllm-openai:cu130-nightly", ""),
        ("vllm", "acme/vllm-tuned:aarch64-v0.25.1", ""),
        ("vllm", "registry:5000/team/vllm", ""),
        ("vllm", "vllm-node:latest", ""),
        ("vllm", "ghcr.io/team/vllm-nightly:20260927", "20260927"),
        ("sglang", "ghcr.io/team/sglang:20260927", ""),
        ("sglang", "lmsysorg/sglang:v0.5.23-cu130", "0.5.23"),
        ("llama-cpp", "ghcr.io/ggml-org/llama.cpp:server-cuda-b11669", "b11669"),
    ],
)
def test_versions_of_images(engine: str, image: str, expected: str) -> None:
    assert version_in_tag(FAMILIES[engine], image) == expected


def test_a_month_may_hold_more_than_one_release() -> None:
    assert others_of("2026-08-14") == ("0.25", "0.26")
    assert others_of("2026-10") == ("0.29", "0.30")
    assert others_of("0.31.0") == others_of("") == others_of("latest") == ()


def test_what_the_releases_of_a_month_disagree_on_is_the_band() -> None:
    """Windows are sized for two batches since 0.26: in August 2026 both were current."""
    needed = {}
    for version in ("0.25", "0.27"):
        needed[version] = estimate(
            models.facts(models.WINDOWED), settings(version=version, max_model_len=131_072), [assumed_spark("s")]
        ).kv_bytes_per_request
    assert needed["0.25"] is not None and needed["0.27"] is not None and needed["0.25"] < needed["0.27"]
    between = (needed["0.25"] + needed["0.27"]) // 2
    for version, level in (("0.25", Level.GOOD), ("0.27", Level.BAD), ("2026-08", Level.TIGHT)):
        asked = settings(version=version, max_model_len=131_072, kv_cache_memory_bytes=between, utilisation=0.9)
        found = estimate(models.facts(models.WINDOWED), asked, [assumed_spark("s")])
        assert (found.context.level, any("older release" in note for note in found.notes)) == (
            level,
            version == "2026-08",
        )


def test_a_cache_of_nvfp4_has_kernels_on_a_spark_since_0_32() -> None:
    for version in ("0.32", "0.33"):
        models.plan(models.DENSE, 4096, version=version, kv_cache_dtype="nvfp4")
    with pytest.raises(Unsupported, match="no kernel for a KV cache of nvfp4"):
        models.plan(models.DENSE, 4096, version="0.31", kv_cache_dtype="nvfp4")
    models.plan(models.DENSE, 4096, version="2026-10", kv_cache_dtype="nvfp4")
    server = HostMemory("h", 180 * GIB, None, True, "row", unified=False, gpu_name="NVIDIA B200")
    asked = settings(version="0.31", kv_cache_dtype="nvfp4")
    assert plan_cache(models.facts(models.DENSE), asked, 4096, device=device_of(server)) is not None


def test_mamba_2_keeps_one_more_state_since_0_32() -> None:
    """vLLM 0.30 and 0.31 plan two states for a request, 0.32 three, by their own planning code."""
    blocks = [models.plan(models.MAMBA2, 32_768, version=v).state_blocks for v in ("0.30", "0.31", "0.32", "0.33")]
    assert blocks == [2, 2, 3, 3]


MIMO: dict[str, Any] = {
    **models.DENSE,
    "model_type": "mimo_v2_flash",
    "hybrid_layer_pattern": [0] + [1] * 35,
    "sliding_window": 128,
    "head_dim": 192,
    "v_head_dim": 128,
    "num_key_value_heads": 4,
    "swa_num_key_value_heads": 8,
    "swa_head_dim": 192,
    "swa_v_head_dim": 128,
}
FP8 = {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic"}}
SCHEME = {
    "quantization_config": {
        "quant_method": "compressed-tensors",
        "kv_cache_scheme": {"type": "float", "num_bits": 8},
    }
}


@pytest.mark.parametrize("dtype", ["fp8", "fp8_e5m2", "nvfp4"])
def test_mimo_ignored_the_type_of_the_cache_before_0_32(dtype: str) -> None:
    plain = models.plan(MIMO, 32_768, version="0.31")
    asked = models.plan(MIMO, 32_768, version="0.31", kv_cache_dtype=dtype)
    assert asked.request_bytes(32_768) == plain.request_bytes(32_768)
    assert any("does not apply --kv-cache-dtype" in note for note in asked.notes)


@pytest.mark.parametrize("version", ["0.32", "0.33", ""])
def test_mimo_has_kernels_for_fp8_alone_since_0_32(version: str) -> None:
    plain = models.plan(MIMO, 32_768, version=version)
    halved = models.plan(MIMO, 32_768, version=version, kv_cache_dtype="fp8")
    assert 2 * halved.request_bytes(32_768) == plain.request_bytes(32_768)
    for dtype in ("fp8_e5m2", "nvfp4", "int8_per_token_head"):
        with pytest.raises(Unsupported, match=f"no kernel for a KV cache of {dtype}"):
            models.plan(MIMO, 32_768, version=version, kv_cache_dtype=dtype)


def test_mimo_s_kernels_on_hopper_are_flashattention_s() -> None:
    for dtype, starts in (("fp8", True), ("int8_per_token_head", True), ("fp8_e5m2", False)):
        asked = settings(version="0.33", kv_cache_dtype=dtype)
        if starts:
            assert plan_cache(models.facts(MIMO), asked, 4096, device=card("NVIDIA H100", 80)) is not None
        else:
            with pytest.raises(Unsupported):
                plan_cache(models.facts(MIMO), asked, 4096, device=card("NVIDIA H100", 80))


@pytest.mark.parametrize("family", ["falcon", "refinedwebmodel"])
def test_falcon_ignores_the_type_of_the_cache(family: str) -> None:
    falcon = {**models.DENSE, "model_type": family}
    plain, asked = (models.plan(falcon, 4096, version="0.33", kv_cache_dtype=dtype) for dtype in ("auto", "fp8"))
    assert asked.request_bytes(4096) == plain.request_bytes(4096)


@pytest.mark.parametrize(
    ("config", "dtype", "refused"),
    [
        ({**models.DENSE, **FP8}, "fp8_e5m2", "fp8 checkpoint"),
        ({**models.DENSE, **SCHEME}, "fp8_e5m2", "fp8 checkpoint"),
        ({**models.DENSE, **FP8}, "fp8", ""),
        (models.DENSE, "fp8_e5m2", ""),
        (models.LATENT, "fp8_e5m2", "latent attention has no kernel"),
        (models.LATENT, "int8_per_token_head", "latent attention has no kernel"),
        (models.LATENT, "fp8", ""),
        ({**models.DENSE, **FP8, "model_type": "falcon"}, "fp8_e5m2", ""),
    ],
)
def test_types_that_the_checkpoint_or_the_attention_rules_out(config: dict[str, Any], dtype: str, refused: str) -> None:
    for version in ("0.30", "0.33"):
        if refused:
            with pytest.raises(Unsupported, match=refused):
                models.plan(config, 4096, version=version, kv_cache_dtype=dtype)
        else:
            models.plan(config, 4096, version=version, kv_cache_dtype=dtype)
