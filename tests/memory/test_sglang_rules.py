"""The rules by which SGLang 0.5.23 sizes its pools on a GB10: a case per rule, with figures it computed itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.sglang.cell import SglangRefusal, cell_of
from sparkrun_tui.memory.sglang.fraction import graph_sizes
from sparkrun_tui.memory.sglang.plan import stages_of
from sparkrun_tui.models.facts import QuantFacts
from tests.memory import models
from tests.memory.models import facts
from tests.memory.sglang import DRAFT4, GIB, GPT_OSS, fraction, plan, told

VISION = {"depth": 27, "hidden_size": 1152}


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (models.DENSE, {}, 0.888),
        (models.DENSE, {"tensor_parallel": 2}, 0.887),
        (models.DENSE, {"tensor_parallel": 4}, 0.881),
        (models.LATENT, {}, 0.880),
        (models.DENSE, {"max_num_seqs": 16}, 0.892),
        (models.DENSE, {"max_num_seqs": 16, "chunked_prefill_size": 2048}, 0.918),
        (models.DENSE, {"max_num_seqs": 16, "chunked_prefill_size": 4096}, 0.918),
        (models.DENSE, {"chunked_prefill_size": 16384}, 0.789),
        (models.DENSE, {"disable_cuda_graph": True}, 0.896),
        (models.DENSE, {"pipeline_parallel": 2}, 0.891),
        (models.COMPRESSED, {"tensor_parallel": 2}, 0.891),
        (models.DELTA, {"tensor_parallel": 2}, 0.891),
    ],
)
def test_the_default_fraction(model: dict[str, Any], fields: dict[str, Any], expected: float) -> None:
    assert fraction(model, **fields) == expected


def test_images_take_a_share_of_the_fraction() -> None:
    hybrid = {**models.HYBRID, "architectures": ["Qwen3_5ForConditionalGeneration"], "vision_config": VISION}
    assert fraction(hybrid) == pytest.approx(0.8212, abs=5e-5)
    assert fraction(hybrid, tensor_parallel=2, max_num_seqs=32) == pytest.approx(0.823966, abs=1e-6)
    tower = {"num_hidden_layers": 27, "hidden_size": 1152}
    plain = {**models.UNEQUAL, "architectures": ["Gemma4ForConditionalGeneration"], "vision_config": tower}
    assert fraction(plain) == pytest.approx(0.811485, abs=1e-6)


def test_some_families_are_text_only_unless_told_otherwise() -> None:
    tower = {"num_hidden_layers": 27, "hidden_size": 1152}
    model = {**models.WINDOWED, "architectures": ["Gemma3ForConditionalGeneration"], "vision_config": tower}
    assert fraction(model) == 0.888
    assert fraction(model, enable_multimodal=True) == pytest.approx(0.811485, abs=1e-6)


@pytest.mark.parametrize(("chunk", "sizes"), [(1024, 38), (2048, 42), (4096, 50), (8192, 58), (16384, 74)])
def test_sizes_of_prefill_graphs(chunk: int, sizes: int) -> None:
    assert graph_sizes(chunk) == sizes


@pytest.mark.parametrize(
    ("model", "before", "after", "fields", "tokens"),
    [
        (models.DENSE, 112, 96.6, {"utilisation": 0.8, "kv_cache_dtype": "fp8_e4m3"}, 1080615),
        (models.DENSE, 112, 96.6, {"max_num_seqs": 16, "chunked_prefill_size": 4096}, 636543),
        (models.DENSE, 112, 96.6, {"disable_cuda_graph": True}, 618601),
        (models.LATENT, 112, 82, {}, 2366761),
        (models.LATENT, 112, 82, {"utilisation": 0.5, "kv_cache_dtype": "fp8_e4m3", "block_size": 64}, 1795072),
        (GPT_OSS, 112, 98, {}, 2074238),
    ],
)
def test_tokens_are_what_the_rest_holds(
    model: dict[str, Any], before: float, after: float, fields: dict[str, Any], tokens: int
) -> None:
    assert plan(model, before, after, **fields).tokens == tokens


def test_a_checkpoint_may_ask_for_an_fp8_cache() -> None:
    model = replace(facts(models.DENSE), quant=QuantFacts("modelopt", kv_dtype="fp8"))
    assert plan(model, 112, 96.6, utilisation=0.8).tokens == 1080615


def test_vllms_word_for_fp8_is_taken_as_the_launcher_writes_it() -> None:
    assert plan(models.DENSE, 112, 96.6, utilisation=0.8, kv_cache_dtype="fp8").tokens == 1080615
    with pytest.raises(SglangRefusal, match="fp8_ds_mla"):
        plan(models.DENSE, 112, 96.6, kv_cache_dtype="fp8_ds_mla")


def test_tokens_are_rounded_down_to_pages() -> None:
    assert plan(models.DENSE, 112, 104.2, block_size=16, max_total_tokens=100003).tokens == 100000
    assert plan(models.DENSE, 112, 104.2, block_size=16).tokens % 16 == 0


def test_heads_are_shared_among_ranks_and_one_stays() -> None:
    def per_token(ranks: int, **fields: Any) -> float:
        model = facts(models.DENSE)
        return cell_of(model, model.layers or (), told(tensor_parallel=ranks, **fields)).total

    assert (per_token(1), per_token(2), per_token(8), per_token(16)) == (147456, 73728, 18432, 18432)
    assert per_token(4, attn_dp_size=2) == 73728
    assert per_token(1, kv_cache_dtype="mxfp8") == 73728 * (1 + 1 / 32)
    assert per_token(1, kv_cache_dtype="nvfp4") == 8 * 128 * 36 * (1 + 1 / 8) + 2 * 8 * 128


def test_windows_without_a_pool_are_cached_in_full() -> None:
    found = plan(models.WINDOWED, 112, 60.5)
    assert (found.tokens, found.window_tokens) == (101382, None)


def test_window_pools_hold_a_share_of_the_tokens() -> None:
    found = plan(GPT_OSS, 112, 98)
    assert found.window_tokens == int(found.tokens * 0.8)
    tilted = plan(GPT_OSS, 112, 98, swa_full_tokens_ratio=0.5)
    assert tilted.window_tokens == tilted.tokens // 2 and tilted.tokens > found.tokens
    assert plan(GPT_OSS, 112, 98, disable_hybrid_swa_memory=True).window_tokens is None


def test_layers_that_share_a_cache_are_counted_all_the_same() -> None:
    model = facts(models.UNEQUAL, num_kv_shared_layers=10)
    whole = facts(models.UNEQUAL)
    assert cell_of(model, model.layers or (), told()).total == cell_of(whole, whole.layers or (), told()).total
    assert cell_of(whole, whole.layers or (), told(kv_cache_dtype="fp8_e4m3")).total == 92160


def test_a_window_pool_that_holds_no_request_is_refused() -> None:
    with pytest.raises(SglangRefusal, match="14 tokens cannot hold one request"):
        plan(GPT_OSS, 112, 98, utilisation=0.128, swa_full_tokens_ratio=0.001)


def test_a_stage_without_full_layers_keeps_all_in_the_window_pool_whatever_sizes_it() -> None:
    windowed = GPT_OSS | {"layer_types": ["sliding_attention"] * 12 + ["full_attention"] * 12}
    found = plan(windowed, 110, 90, pipeline_parallel=2, prefix_caching=False, max_num_seqs=4)
    assert found.tokens > 0 and found.kv > 0


def test_requests_size_the_windows_without_the_radix_cache() -> None:
    found = plan(GPT_OSS, 112, 98, prefix_caching=False, max_num_seqs=8)
    assert found.window_tokens == 8 * (127 + 128 + 2) + 2 * 8192 + 1
    one_chunk = plan(GPT_OSS, 112, 98, prefix_caching=False, max_num_seqs=8, disable_overlap_schedule=True)
    assert one_chunk.window_tokens == 8 * (127 + 128 + 2) + 8192 + 1
    assert found.tokens > 1.7 * plan(GPT_OSS, 112, 98, max_num_seqs=8).tokens


@pytest.mark.parametrize(
    ("fields", "per_layer"),
    [
        ({}, 656),
        ({"kv_cache_dtype": "bfloat16"}, 1152),
        ({"dsa_prefill_backend": "trtllm", "dsa_decode_backend": "trtllm"}, 576),
    ],
)
def test_sparse_latents_are_fp8_on_a_gb10(fields: dict[str, Any], per_layer: int) -> None:
    model = facts(models.SPARSE)
    cell = cell_of(model, model.layers or (), told(**fields))
    owners = sum(bool(layer.attention and layer.attention.indexer) for layer in model.layers or ())
    assert cell.total == 78 * per_layer + owners * 132


def test_deepseeks_sparse_rows_are_plain() -> None:
    model = facts(models.SPARSE, architectures=["DeepseekV32ForCausalLM"], model_type="deepseek_v32")
    assert cell_of(model, model.layers or (), told()).total == 78 * (576 + 132)
    packed = told(dsa_prefill_backend="flashmla_sparse")
    assert cell_of(model, model.layers or (), packed).total == 78 * (656 + 132)


def test_shared_index_keys_are_counted_in_whole_bytes_and_stored_exactly() -> None:
    model = facts(models.POOLED)
    cell = cell_of(model, model.layers or (), told())
    assert cell.total == 11 * (512 + 9)
    assert cell.full - cell.rounding == 11 * (512 + 8.25)


def test_pages_and_the_tracking_of_states_must_agree() -> None:
    with pytest.raises(SglangRefusal, match="--mamba-track-interval 1024"):
        plan(models.POOLED, 112, 50, utilisation=0.85)
    assert plan(models.POOLED, 112, 50, utilisation=0.85, mamba_track_interval=1024).page == 1024


@pytest.mark.parametrize(
    ("fields", "requests"),
    [
        ({}, 4096),
        ({"max_num_seqs": 8}, 8),
        ({"max_num_seqs": 64, "attn_dp_size": 2, "tensor_parallel": 2}, 32),
        (DRAFT4, 48),
    ],
)
def test_running_requests(fields: dict[str, Any], requests: int) -> None:
    assert plan(models.DENSE, 112, 96.6, **fields).requests == requests


def test_requests_follow_the_tokens_between_their_bounds() -> None:
    assert plan(models.WINDOWED, 112, 60.5).requests == 2048
    assert plan(models.DENSE, 112, 96.6, max_total_tokens=200000).requests == 2500
    assert plan(models.DENSE, 112, 96.6, max_total_tokens=100).requests == 50


def test_the_request_table_lies_outside_the_budget() -> None:
    few = plan(models.DENSE, 112, 96.6, max_num_seqs=8, utilisation=0.8)
    many = plan(models.DENSE, 112, 96.6, max_num_seqs=4096, utilisation=0.8)
    assert few.table == 9 * (40960 + 4) * 4
    assert many.table == 671318032
    assert few.tokens == many.tokens


def test_images_hold_memory_back() -> None:
    hybrid = {**models.UNEQUAL, "vision_config": VISION, "architectures": ["Gemma4ForConditionalGeneration"]}
    with_images, without = plan(hybrid, 112, 62, utilisation=0.8), plan(models.UNEQUAL, 112, 62, utilisation=0.8)
    assert without.budget - with_images.budget == 100 << 20
    cuda = plan(hybrid, 112, 62, utilisation=0.8, mm_feature_transport="cuda_ipc")
    assert with_images.budget - cuda.budget == GIB


def test_a_pool_shorter_than_the_context_is_no_refusal() -> None:
    found = plan(models.DENSE, 112, 96.6, max_total_tokens=20480)
    assert found.tokens == 20480 < found.length


def test_weights_that_leave_nothing_are_refused_with_the_fraction_that_would_do() -> None:
    with pytest.raises(SglangRefusal, match=r"0\.200; above 0\.257 is needed"):
        plan(models.DENSE, 60, 44.6, utilisation=0.2)


def test_stages_get_the_rest_of_the_layers_at_the_end() -> None:
    layers = facts(models.DENSE, num_hidden_layers=64).layers or ()
    assert [len(stage) for stage in stages_of(layers, 3)] == [21, 21, 22]
    found = plan(facts(models.DENSE, num_hidden_layers=64), 112, 80.9, utilisation=0.85, pipeline_parallel=3)
    assert found.tokens == 763792


def test_deepseek_v4_has_pools_of_its_own() -> None:
    found = plan(models.COMPRESSED, 112, 37, utilisation=0.82, max_model_len=262144, max_num_seqs=8, tensor_parallel=2)
    assert (found.tokens, found.window_tokens, found.page) == (2535168, 253440, 256)
    drafting = plan(models.COMPRESSED, 112, 37, utilisation=0.82, max_num_seqs=8, **DRAFT4)
    assert drafting.tokens < found.tokens
    assert plan(models.COMPRESSED, 112, 37, utilisation=0.82).requests == 256


def test_unknown_layers_are_not_guessed() -> None:
    with pytest.raises(SglangRefusal, match="not known"):
        plan(facts({"model_type": "x"}), 112, 90)
