"""How SGLang 0.5.23 holds the states of hybrid models: slots, their bytes and their number."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.memory.sglang.cell import SglangRefusal
from sparkrun_tui.memory.sglang.states import slots_per_request
from tests.memory import models
from tests.memory.models import facts
from tests.memory.sglang import DRAFT4, plan, told
from tests.memory.test_sglang_rules import VISION

SHORT_CONV: dict[str, Any] = {
    "architectures": ["Lfm2MoeForCausalLM"],
    "model_type": "lfm2_moe",
    "torch_dtype": "bfloat16",
    "hidden_size": 2048,
    "num_hidden_layers": 24,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 65536,
    "max_position_embeddings": 128000,
    "conv_L_cache": 3,
    "layer_types": ["conv", "conv", "full_attention", "conv"] * 6,
}

MAMBA2: dict[str, Any] = {
    "architectures": ["Mamba2ForCausalLM"],
    "model_type": "mamba2",
    "torch_dtype": "bfloat16",
    "hidden_size": 4096,
    "num_hidden_layers": 64,
    "num_heads": 128,
    "head_dim": 64,
    "n_groups": 8,
    "state_size": 128,
    "expand": 2,
    "conv_kernel": 4,
    "vocab_size": 32768,
}


@pytest.mark.parametrize(
    ("fields", "slots"),
    [
        ({"prefix_caching": False}, 1),
        ({"mamba_radix_cache_strategy": "no_buffer"}, 3),
        ({"mamba_radix_cache_strategy": "extra_buffer_lazy"}, 4),
        ({"disable_overlap_schedule": True}, 3),
        ({"disable_overlap_schedule": True, "mamba_radix_cache_strategy": "extra_buffer"}, 4),
        ({"pipeline_parallel": 2}, 4),
        ({}, 5),
    ],
)
def test_slots_of_a_running_request(fields: dict[str, Any], slots: int) -> None:
    assert slots_per_request(facts(models.HYBRID), told(**fields)) == slots


def test_short_convolutions_have_no_buffers() -> None:
    assert slots_per_request(facts(SHORT_CONV), told()) == 3


@pytest.mark.parametrize(
    ("model", "fields", "size"),
    [
        (models.HYBRID, {}, 153944064),
        (models.HYBRID, {"tensor_parallel": 2}, 76972032),
        (models.HYBRID, {"mamba_ssm_cache_dtype": "bfloat16"}, 78446592),
        (models.HYBRID, DRAFT4, 153944064),
        (models.MAMBA2, {}, 49082368),
        (models.MAMBA2, {"tensor_parallel": 4}, 12270592),
        ({**models.HYBRID, "mamba_ssm_dtype": None}, {}, 153944064),
        (SHORT_CONV, {}, 147456),
    ],
)
def test_bytes_of_a_slot(model: dict[str, Any], fields: dict[str, Any], size: int) -> None:
    slots = plan(model, 112, 90, utilisation=0.8, **fields).slots
    assert slots is not None and slots.per_slot == size


def test_groups_that_ranks_cannot_share_are_repeated() -> None:
    one_group = {**models.MAMBA2, "n_groups": 1}
    slots = plan(one_group, 112, 90, utilisation=0.8, tensor_parallel=4).slots
    assert slots is not None and slots.per_slot == 23 * ((4096 + 2 * 4 * 128) // 4 * 3 * 2 + 16 * 64 * 128 * 4)


@pytest.mark.parametrize(
    ("after", "fields", "count", "tokens"),
    [
        (94, {"utilisation": 0.6, "mamba_radix_cache_strategy": "no_buffer"}, 161, 423954),
        (94, {"utilisation": 0.6, "mamba_full_memory_ratio": 0.3, "mamba_ssm_cache_dtype": "bfloat16"}, 154, 618957),
        (94, {"utilisation": 0.7, "max_mamba_cache_size": 360, "kv_cache_dtype": "fp8_e4m3"}, 360, 280009),
        (86, {"tensor_parallel": 2, "prefix_caching": False, "max_num_seqs": 32}, 32, 2091284),
    ],
)
def test_how_many_slots_there_are(after: float, fields: dict[str, Any], count: int, tokens: int) -> None:
    seeing = {**models.HYBRID, "architectures": ["Qwen3_5ForConditionalGeneration"], "vision_config": VISION}
    found = plan(seeing, 112, after, **fields)
    assert found.slots is not None
    assert (found.slots.count, found.tokens) == (count, tokens)


def test_speculation_takes_slots_for_what_it_drafts() -> None:
    found = plan(models.HYBRID, 112, 94, utilisation=0.6, **DRAFT4)
    assert found.slots is not None
    per = found.slots.per_slot
    assert found.slots.drafting == per * (min(48, found.slots.count // 5) + 1) * 4
    assert found.slots.bytes == (found.slots.count + 1) * per + found.slots.drafting


def test_a_hybrid_without_room_for_one_request_does_not_start() -> None:
    with pytest.raises(SglangRefusal, match="4 recurrent slots are too few"):
        plan(models.HYBRID, 112, 60, utilisation=0.48)
    with pytest.raises(SglangRefusal, match="not enough memory for the recurrent states"):
        plan(models.HYBRID, 112, 58.4, utilisation=0.48)


def test_stages_of_hybrids_hold_their_own_states() -> None:
    one = plan(models.HYBRID, 112, 78, utilisation=0.6)
    two = plan(models.HYBRID, 112, 78, utilisation=0.6, pipeline_parallel=2)
    assert one.slots is not None and two.slots is not None
    assert two.slots.count > 1.9 * one.slots.count
    assert two.slots.per_request == 4


def test_a_model_of_states_alone_has_the_tokens_of_one_context() -> None:
    # pool_configurator.py (_zero_kv_max_tokens): the tokens cost nothing. Its states have no buffers.
    found = plan(MAMBA2, 112, 100, max_model_len=8192, utilisation=0.6)
    slot = 64 * ((8192 + 2 * 8 * 128) * 3 * 2 + 128 * 64 * 128 * 4)
    assert found.slots is not None
    assert (found.tokens, found.kv) == (8192, 0)
    assert (found.slots.per_slot, found.slots.per_request) == (slot, 3)
    assert found.requests == found.slots.count // 3
    with pytest.raises(SglangRefusal, match="context length"):
        plan({**MAMBA2, "max_position_embeddings": None}, 112, 100, utilisation=0.6)
