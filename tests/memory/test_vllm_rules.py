"""One case per rule of vLLM's cache planning; figures are bytes and blocks that the engine itself computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import plan_cache, stage_sizes
from sparkrun_tui.models.dtypes import head_bytes
from tests.memory import models
from tests.memory.models import facts, plan, settings

GIB = 1 << 30


def figures(config: dict[str, Any], length: int, **fields: Any) -> tuple[int, int, int]:
    """Bytes per block, blocks per request and attention block of a plan."""
    found = plan(config, length, **fields)
    return found.bytes_per_block, found.blocks_per_request(length), found.block


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, (2359296, 2560, 16)),
        ({"tensor_parallel": 2, "kv_cache_dtype": "fp8"}, (589824, 2560, 16)),
        ({"tensor_parallel": 16}, (294912, 2560, 16)),
        ({"kv_cache_dtype": "nvfp4"}, (663552, 2560, 16)),
        ({"kv_cache_dtype": "int8_per_token_head"}, (1216512, 2560, 16)),
        ({"kv_cache_dtype": "turboquant_4bit_nc"}, (1622016, 1280, 32)),
        ({"block_size": 64}, (9437184, 640, 64)),
        ({"speculative": Speculative("ngram", 4)}, (2359296, 2560, 16)),
        ({"pipeline_parallel": 3}, (786432, 2560, 16)),
    ],
)
def test_dense_model_is_one_group_of_equal_pages(fields: dict[str, Any], expected: tuple[int, int, int]) -> None:
    assert figures(models.DENSE, 40960, **fields) == expected


def test_a_drafter_of_its_own_shape_shares_the_group_of_a_full_only_target() -> None:
    drafter = facts(models.DENSE, num_hidden_layers=1, num_key_value_heads=4)
    target = replace(facts(models.DENSE), drafter=drafter)
    found = plan_cache(target, settings(speculative=Speculative("eagle3", 3, "draft")), 40960)
    assert found is not None
    assert len(found.grouping.groups) == 1
    assert found.bytes_per_block == 36 * 65536 + 32768


def test_windows_hold_every_batch_in_flight() -> None:
    assert figures(models.WINDOWED, 131072) == (1310720, 14726, 16)
    assert figures(models.WINDOWED, 65536, max_num_batched_tokens=2048) == (1310720, 6022, 16)


def test_windows_held_one_batch_before_version_0_26() -> None:
    assert plan(models.WINDOWED, 131072, version="0.25").blocks_per_request(131072) == 11654


def test_one_batch_is_in_flight_without_asynchronous_scheduling() -> None:
    assert plan(models.DENSE, 4096, async_scheduling=False).in_flight == 8192
    assert plan(models.DENSE, 4096, speculative=Speculative("ngram", 4)).in_flight == 8192
    assert plan(models.DENSE, 4096, pipeline_parallel=3).in_flight == 4 * 8192


def test_windows_count_as_full_without_the_hybrid_manager() -> None:
    assert figures(models.WINDOWED, 131072, hybrid_kv_cache=False) == (8126464, 8192, 16)


def test_unequal_pages_are_made_equal_by_longer_blocks() -> None:
    found = plan(models.UNEQUAL, 262144)
    assert (found.bytes_per_block, found.blocks_per_request(262144)) == (655360, 13637)
    assert {(g.spec.block, g.spec.page) for g in found.grouping.groups} == {(16, 131072), (32, 131072)}


def test_shared_layers_allocate_nothing() -> None:
    shared = plan(models.UNEQUAL | {"num_kv_shared_layers": 18}, 4096)
    layers = sum(len(group.layers) for group in shared.grouping.groups)
    assert layers == 12


def test_a_window_in_every_layer_is_one_group() -> None:
    windowed = {**models.DENSE, "model_type": "mistral", "sliding_window": 4096, "num_hidden_layers": 32}
    assert figures(windowed, 32768) == (2097152, 1281, 16)


def test_the_window_of_cohere_is_one_token_longer() -> None:
    cohere = {**models.DENSE, "model_type": "cohere2", "sliding_window": 4096, "sliding_window_pattern": 4}
    windows = {g.spec.window for g in plan(cohere, 4096).grouping.groups}
    assert windows == {0, 4097}


def test_chunks_are_held_with_the_tokens_in_flight() -> None:
    llama = {**models.DENSE, "model_type": "llama4_text", "num_hidden_layers": 48, "attention_chunk_size": 8192}
    found = plan(llama, 131072, tensor_parallel=2, kv_cache_dtype="fp8")
    assert (found.bytes_per_block, found.blocks_per_request(131072)) == (196608, 12800)
    eagle = plan(llama, 131072, speculative=Speculative("eagle", 2))
    assert len(eagle.grouping.groups) == 1


def test_latent_cache_is_not_split_over_ranks() -> None:
    assert figures(models.LATENT, 131072) == (497664, 8192, 16)
    assert figures(models.LATENT, 131072, tensor_parallel=4) == (497664, 8192, 16)


def test_sparse_latent_models_store_656_bytes_on_a_gb10() -> None:
    assert figures(models.SPARSE, 131072, tensor_parallel=8) == (3933696, 2048, 64)
    assert figures(models.SPARSE, 131072, tensor_parallel=8, speculative=models.MTP2) == (3984128, 2048, 64)


def test_only_owners_of_an_indexer_pay_for_it() -> None:
    fewer = models.SPARSE | {"index_topk_freq": 4, "index_skip_topk_offset": 3}
    assert plan(fewer, 4096, tensor_parallel=8).bytes_per_block == 64 * (78 * 656 + 21 * 132)


def test_a_plain_cache_of_a_sparse_model_has_no_backend_on_a_gb10() -> None:
    with pytest.raises(Unsupported, match="bfloat16"):
        plan(models.SPARSE, 4096, tensor_parallel=8, kv_cache_dtype="bfloat16")


@pytest.mark.parametrize(
    ("fields", "block", "per_request"),
    [
        ({}, 784, 174),
        ({"kv_cache_dtype": "fp8", "tensor_parallel": 4}, 1568, 90),
        ({"mamba_ssm_cache_dtype": "bfloat16"}, 400, 334),
        ({"block_size": 64}, 832, 164),
        ({"block_size": 1024}, 1024, 134),
        ({"kv_cache_dtype": "nvfp4", "speculative": Speculative("mtp", 3)}, 2848, 62),
        ({"prefix_caching": False}, 784, 171),
    ],
)
def test_hybrid_blocks_are_long_enough_for_a_state(fields: dict[str, Any], block: int, per_request: int) -> None:
    found = plan(models.HYBRID, 131072, **fields)
    assert (found.block, found.blocks_per_request(131072)) == (block, per_request)


def test_one_odd_drafter_layer_makes_groups_of_one() -> None:
    drafter = facts(models.DENSE, num_hidden_layers=1, num_key_value_heads=8, head_dim=128)
    target = replace(facts(models.HYBRID), drafter=drafter)
    found = plan_cache(target, settings(speculative=Speculative("dflash", 15, "draft")), 65536)
    assert found is not None
    assert {len(group.layers) for group in found.grouping.groups} == {1}
    assert found.bytes_per_block == found.grouping.groups[0].spec.page


def test_groups_are_made_over_all_stages_and_weighed_on_each() -> None:
    found = plan(models.HYBRID, 65536, pipeline_parallel=3)
    assert found.bytes_per_block == 19267584
    assert found.pool_tokens(int(13.3 * GIB), 65536) == 539579


def test_stages_leave_the_remainder_before_the_last() -> None:
    assert stage_sizes(80, 3) == [27, 27, 26]
    assert stage_sizes(62, 4) == [15, 16, 16, 15]


@pytest.mark.parametrize(
    ("version", "blocks"),
    [("0.32", 3), ("0.29", 2)],
)
def test_mamba2_keeps_a_checkpoint_with_prefix_caching(version: str, blocks: int) -> None:
    found = plan(models.MAMBA2, 262144, version=version, kv_cache_dtype="fp8")
    states = [group.spec.states for group in found.grouping.groups if group.spec.states]
    assert set(states) == {blocks}
    assert found.block == 4176


def test_groups_of_mamba2_are_repeated_where_ranks_do_not_divide_them() -> None:
    one_group = models.MAMBA2 | {"n_groups": 1, "num_key_value_heads": 2}
    split = plan(one_group, 4096, tensor_parallel=2)
    assert split.state_bytes == (64 * 64 + 2 * 2 * 128) // 2 * 3 * 2 + 32 * 64 * 128 * 4


def test_delta_attention_beside_a_latent_cache_aligns_to_128_tokens() -> None:
    assert figures(models.DELTA, 262144, tensor_parallel=2, kv_cache_dtype="fp8") == (7741440, 143, 1920)
    assert plan(models.DELTA, 4096, tensor_parallel=4).block == 512


def test_state_dtypes_follow_family_and_flag() -> None:
    jamba = {
        **models.DENSE,
        "model_type": "jamba",
        "num_hidden_layers": 32,
        "attn_layer_period": 8,
        "attn_layer_offset": 4,
        "mamba_d_state": 16,
        "mamba_d_conv": 4,
        "mamba_expand": 2,
    }
    assert figures(jamba, 262144) == (1310720, 3291, 80)
    lfm = {
        **models.DENSE,
        "model_type": "lfm2",
        "hidden_size": 2048,
        "head_dim": 64,
        "num_hidden_layers": 16,
        "conv_L_cache": 3,
        "full_attn_idxs": [2, 5, 8, 10, 12, 14],
    }
    assert figures(lfm, 128000) == (196608, 8004, 16)


def test_deepseek_v4_packs_its_caches_side_by_side() -> None:
    assert figures(models.COMPRESSED, 262144, tensor_parallel=2, max_num_batched_tokens=2048) == (1002240, 2714, 256)
    drafted = plan(
        models.COMPRESSED, 131072, tensor_parallel=2, max_num_batched_tokens=4096, speculative=Speculative("mtp", 1)
    )
    assert drafted.blocks_per_request(131072) == 3866


def test_deepseek_v4_was_padded_to_its_pattern_before_version_0_30() -> None:
    found = plan(models.COMPRESSED, 30000, version="0.22", tensor_parallel=2, max_num_batched_tokens=16384)
    assert found.bytes_per_block == 1051776
    assert found.longest(int(5.44 * GIB), 30000) == pytest.approx(13528, rel=0.001)


def test_pooled_index_keys_add_a_ring_and_round_the_block() -> None:
    found = plan(models.POOLED, 131072, tensor_parallel=2, kv_cache_dtype="fp8")
    assert found.block == 5120
    assert found.bytes_per_block == 28 * 1385472
    sizes = sorted(len(group.layers) for group in found.grouping.groups)
    assert sizes == [11, 11, 11, 12, 22]
    assert plan(models.POOLED, 131072, tensor_parallel=4, kv_cache_dtype="fp8").block == 3072


def test_one_block_is_held_back_in_the_check() -> None:
    found = plan(models.DENSE, 40960)
    need = 2560 * 2359296
    assert not found.fits(need, 40960)
    assert found.fits(need + 2359296, 40960)
    assert not found.fits(need + 2359295, 40960)
    assert plan(models.DENSE, 40960, version="0.29").fits(need, 40960)


def test_longest_and_printed_size_are_the_engines() -> None:
    found = plan(models.DENSE, 40960)
    assert found.longest(int(4.11 * GIB), 40960) == 29904
    assert found.pool_tokens(int(55.23 * GIB), 40960) == 402160
    assert found.num_blocks(int(55.23 * GIB)) == 25135


def test_older_versions_print_the_slots_of_one_group() -> None:
    found = plan(models.HYBRID, 65536, version="0.19")
    blocks = found.num_blocks(20 * GIB)
    assert found.pool_tokens(20 * GIB, 65536) == blocks // 4 * 784


def test_a_checkpoints_own_scheme_makes_auto_fp8() -> None:
    scheme = {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}
    quantised = facts(models.DENSE, quantization_config=scheme)
    found = plan_cache(quantised, settings(), 4096)
    assert found is not None
    assert found.cache_dtype == "fp8"
    explicit = plan_cache(quantised, settings(kv_cache_dtype="bfloat16"), 4096)
    assert explicit is not None
    assert explicit.bytes_per_block == 2 * found.bytes_per_block


@pytest.mark.parametrize(
    ("config", "ranks", "reason"),
    [
        (models.DENSE, 3, "32 attention heads"),
        ({**models.DENSE, "num_attention_heads": 40, "num_key_value_heads": 10}, 4, "10 KV heads"),
    ],
)
def test_what_tensor_parallelism_allows(config: dict[str, Any], ranks: int, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        plan(config, 4096, tensor_parallel=ranks)


def test_an_unknown_cache_format_is_refused_not_guessed() -> None:
    with pytest.raises(Unsupported, match="octave9"):
        plan(models.DENSE, 4096, kv_cache_dtype="octave9")


def test_context_parallelism_divides_tokens() -> None:
    assert plan(models.DENSE, 40960, context_parallel=2).blocks_per_request(40960) == 1280


def test_a_block_outermost_layout_packs_unequal_pages() -> None:
    # The five full layers set the block, which takes two of the 25 windowed ones: thirteen groups of those.
    found = plan(models.UNEQUAL, 65536, kv_cache_layout="BLHNC")
    assert found.bytes_per_block == 5 * 65536
    assert found.blocks_per_request(65536) == 4096 + 13 * 1089
    usual = plan(models.UNEQUAL, 65536)
    assert found.request_bytes(65536) / usual.request_bytes(65536) == pytest.approx(1.22, abs=0.005)
    before = plan(models.UNEQUAL, 65536, kv_cache_layout="BLHNC", version="0.29")
    assert before.bytes_per_block == 25 * 131072


def test_bytes_of_a_head_by_cache_format() -> None:
    widths = {name: head_bytes(name, 128, 128, 2) for name in ("auto", "fp8", "nvfp4", "int4_per_token_head")}
    assert widths == {"auto": 512, "fp8": 256, "nvfp4": 144, "int4_per_token_head": 136}
    assert head_bytes("turboquant_4bit_nc", 128, 128, 2) == 134
    assert head_bytes("turboquant_k8v4", 128, 128, 2) == 196
    assert head_bytes("nonsense", 128, 128, 2) is None
