"""Draft models that draft a block at once (DFlash, DFlash2, DSpark): layers, caches and weights.

The figures are worked out by hand from vLLM 0.33's specifications (v1/kv_cache_interface.py), its grouping
(v1/core/kv_cache_planning.py) and its model classes (model_executor/models/qwen3_dflash.py, qwen3_dflash2.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import HostMemory, Level
from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import VllmPlan, plan_cache
from sparkrun_tui.memory.vllm.spec import SpecKind
from sparkrun_tui.models.facts import ModelFacts, WeightFacts
from sparkrun_tui.models.modules.listing import modules_of
from sparkrun_tui.models.tensor_classes import tensor_class
from tests.memory import drafters, models
from tests.memory.models import facts, settings

GIB = 1 << 30
NEW = {"version": "0.33", "max_num_batched_tokens": 2048}


def windows(config: dict[str, Any]) -> list[int | None]:
    """The window of each layer that a file describes."""
    layers = facts(config).layers
    assert layers is not None
    return [layer.attention.window for layer in layers if layer.attention is not None]


def drafted(target: dict[str, Any], drafter: dict[str, Any], length: int, **fields: Any) -> VllmPlan:
    """The plan of a model with a draft model, of fifteen tokens unless told otherwise."""
    method = fields.pop("speculative", Speculative("dflash", 15, "org/draft"))
    known = replace(facts(target), drafter=facts(drafter))
    device = device_of(fields.pop("host", assumed_spark("spark-1")))
    found = plan_cache(known, settings(**{**NEW, **fields}, speculative=method), length, device=device)
    assert found is not None
    return found


def of_kind(plan: VllmPlan, kind: SpecKind) -> list[tuple[int, int]]:
    """The block and the layers of each group of one kind."""
    return [(group.spec.block, len(group.layers)) for group in plan.grouping.groups if group.spec.kind is kind]


# --- which layers have a window -----------------------------------------------------------------------------------


def test_the_list_of_kinds_says_which_layers_have_a_window() -> None:
    assert windows(drafters.BLOCK) == [2048] * 4 + [None]
    assert windows(drafters.CONVOLVED) == [2048] * 5


def test_a_window_beside_the_list_holds_for_every_layer() -> None:
    assert windows(drafters.SUNK) == [1024] * 6
    assert windows({**drafters.SUNK, "layer_types": ["full_attention"] * 6}) == [1024] * 6
    mixed = {**drafters.SUNK, "layer_types": ["sliding_attention"] + ["full_attention"] * 5}
    assert windows(mixed) == [1024] + [None] * 5


def test_without_a_list_all_layers_are_full() -> None:
    plain = {key: value for key, value in drafters.BLOCK.items() if key != "layer_types"}
    assert windows(plain) == [None] * 5


def test_a_file_of_speculators_keeps_the_layers_in_a_part_of_its_own() -> None:
    inner = {key: value for key, value in drafters.BLOCK.items() if key not in ("architectures", "dflash_config")}
    file = {
        "architectures": ["DFlashSpeculator"],
        "speculators_model_type": "dflash",
        "aux_hidden_state_layer_ids": [2, 17, 32, 47, 62],
        "draft_vocab_size": 32000,
        "transformer_layer_config": inner,
    }
    assert windows(file) == [2048] * 4 + [None]
    found = facts(file)
    assert (found.model_type, found.kv_heads, found.max_length) == ("qwen3", 8, 262144)


def test_an_unknown_kind_of_drafter_has_no_layers() -> None:
    other = {"architectures": ["OtherDraft"], "model_type": "other_draft", "num_hidden_layers": 3}
    assert facts(other).layers is None


# --- the cache in vLLM --------------------------------------------------------------------------------------------


def test_each_layer_of_a_drafter_of_a_hybrid_is_a_group_of_its_own() -> None:
    # A state: (2 x 16 x 128 + 48 x 128) x (3 + 15) x 2 + 48 x 128 x 128 x 4 = 3,514,368 bytes. A token: 4,096 bytes in
    # the target (4 heads of 256) and in the drafter (8 of 128), so 14 x 64 tokens hold a state in both.
    plan = drafted(models.HYBRID, drafters.BLOCK, 65536)
    assert (plan.block, plan.bytes_per_block) == (896, 896 * 4096)
    assert of_kind(plan, SpecKind.WINDOW) == [(896, 1)] * 4
    # 48 states of 3 + 15 blocks, 16 + 1 full layers of 74, 4 windows of 2,047 + 4,096 tokens.
    assert plan.blocks_per_request(65536) == 48 * 18 + 17 * 74 + 4 * 8


def test_older_versions_keep_every_token_of_windowed_drafters() -> None:
    plan = drafted(models.HYBRID, drafters.BLOCK, 65536, version="0.24")
    assert of_kind(plan, SpecKind.WINDOW) == []
    assert [layers for _, layers in of_kind(plan, SpecKind.FULL)] == [4, 4, 4, 4, 5]


def test_laguna_keeps_every_token_of_its_drafter() -> None:
    plan = drafted(models.DENSE, drafters.LAGUNA, 65536)
    assert [group.spec.kind for group in plan.grouping.groups] == [SpecKind.FULL]
    assert plan.bytes_per_block == (36 + 6) * 65536


def glm(**fields: Any) -> VllmPlan:
    """GLM-5.3-Flash over two ranks with its DFlash2 drafter."""
    speculative = replace(Speculative("dflash", 7, "org/draft"), **fields.pop("speculative", {}))
    fields = {"kv_cache_dtype": "fp8_e4m3", "tensor_parallel": 2, **fields}
    return drafted(POOLED, drafters.CONVOLVED, 327680, speculative=speculative, **fields)


POOLED = {
    "architectures": ["Glm5NextForConditionalGeneration"],
    **models.POOLED,
    "text_config": {
        **models.POOLED["text_config"],
        "linear_attn_config": {"full_attn_layers": list(range(4, 45, 4)), "num_heads": 64, "head_dim": 128},
    },
}


def test_flashinfer_keeps_a_drafters_windows_in_blocks_of_64_tokens() -> None:
    assert of_kind(glm(), SpecKind.WINDOW) == [(64, 5)]
    # ceil((2,047 + 4,096) / 64) + 1 blocks.
    window = next(group.spec for group in glm().grouping.groups if group.spec.kind is SpecKind.WINDOW)
    assert window.blocks(327680, glm().in_flight) == 97


@pytest.mark.parametrize(
    ("fields", "block"),
    [
        ({"version": "0.29"}, 16),
        ({"speculative": {"backend": "triton_attn"}}, 5120),
        ({"speculative": {"cache_dtype": "bfloat16"}}, 5120),
        ({"host": HostMemory("h", 80 * GIB, None, False, "probe", unified=False, gpu_name="NVIDIA H100")}, 5120),
    ],
)
def test_other_backends_and_versions_have_other_blocks(fields: dict[str, Any], block: int) -> None:
    assert of_kind(glm(**fields), SpecKind.WINDOW)[0][0] == block


def test_a_context_that_only_another_backend_holds_is_unknown() -> None:
    # A published start of a fork served 327,680 tokens in 4,445,787,956 bytes.
    target = replace(facts(POOLED), drafter=facts(drafters.CONVOLVED), params=100_000_000_000)
    host = assumed_spark("spark-1")

    def judged(**fields: Any) -> tuple[Level, str]:
        asked = settings(
            **NEW,
            kv_cache_dtype="fp8_e4m3",
            tensor_parallel=2,
            kv_cache_memory_bytes=4445787956,
            max_model_len=327680,
            speculative=Speculative("dflash", 7, "org/draft", **fields),
        )
        verdict = estimate(target, asked, [host, host]).context
        return verdict.level, verdict.detail

    level, detail = judged()
    assert level is Level.UNKNOWN
    assert "attention backend" in detail
    assert judged(backend="triton_attn")[0] is Level.GOOD
    assert judged(backend="flashinfer")[0] is Level.BAD


def test_attention_sinks_need_flashinfer() -> None:
    plan = drafted(models.MAMBA2, drafters.SUNK, 65536, speculative=Speculative("dspark", 7, "org/draft"))
    assert plan.block > 64
    # 64 tokens of 2 x 256 x 2 bytes divide the page of the target's block, which the blocks then are as long as.
    assert of_kind(plan, SpecKind.WINDOW)[0][0] == plan.block


def test_a_drafter_may_have_a_data_type_of_its_own() -> None:
    speculative = Speculative("dflash", 15, "org/draft", cache_dtype="bfloat16")
    plan = drafted(models.DENSE, drafters.LAGUNA, 8192, kv_cache_dtype="fp8", speculative=speculative)
    assert plan.bytes_per_block == 36 * 32768 + 6 * 65536


def test_each_rank_of_context_parallelism_keeps_a_drafters_tokens() -> None:
    plan = drafted(models.DENSE, drafters.LAGUNA, 8192, context_parallel=2)
    # Six groups of the target's layers, whose tokens two ranks share, and one of the drafter's.
    assert plan.blocks_per_request(8192) == 6 * 256 + 512


def test_deepseek_v4_drafts_with_stages_of_its_own_checkpoint() -> None:
    def windowed(**fields: Any) -> int:
        found = models.plan(models.COMPRESSED, 8192, version="0.33", **fields)
        return sum(len(group.layers) for group in found.grouping.groups if group.spec.identity == ("window",))

    assert windowed(speculative=Speculative("dspark", 5)) == windowed() + 3


# --- what the drafter's pass asks of the batch ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "tokens", "sequences"), [("dflash", 15, 128), ("dflash", 7, 256), ("dspark", 15, 128)]
)
def test_a_drafters_pass_limits_the_requests_at_once(method: str, tokens: int, sequences: int) -> None:
    # 2,048 tokens in blocks of the bonus token and the drafted ones; the default is 256 requests.
    drafter = drafters.SUNK if method == "dspark" else drafters.BLOCK
    plan = drafted(models.DENSE, drafter, 8192, speculative=Speculative(method, tokens, "org/draft"))
    assert plan.sequences == sequences
    assert drafted(models.DENSE, drafter, 8192, version="0.32").sequences == 256


def test_dspark_may_draft_from_the_bonus_token() -> None:
    anchored = {**drafters.SUNK, "sample_from_anchor": True}
    plan = drafted(models.DENSE, anchored, 8192, speculative=Speculative("dspark", 16, "org/draft"))
    assert plan.sequences == 2048 // 16


def test_too_few_batched_tokens_for_a_drafters_pass_are_refused() -> None:
    with pytest.raises(Unsupported, match="16 tokens for each request"):
        drafted(models.DENSE, drafters.BLOCK, 8192, max_num_batched_tokens=16)


@pytest.mark.parametrize("name", ["org/Some-DFlash", "org/Some-DSpark"])
def test_a_name_without_a_method_says_that_it_drafts_blocks(name: str) -> None:
    asked = settings(**NEW, utilisation=0.8, speculative=Speculative("", 7, name))
    found = estimate(facts(models.DENSE), asked, [assumed_spark("spark-1")])
    assert found.context.level is Level.UNKNOWN


# --- weights --------------------------------------------------------------------------------------------------------


def drafter_bytes(drafter: ModelFacts, **fields: Any) -> int:
    """What a draft model adds to a rank of the target, in bytes."""
    target = facts(models.DENSE)
    asked = settings(**NEW, speculative=Speculative("dflash", 7, "org/draft"), **fields)
    without, with_it = vllm_weights(target, asked), vllm_weights(replace(target, drafter=drafter), asked)
    assert without is not None and with_it is not None
    return with_it.rank - without.rank


def test_ranks_share_a_drafters_layers_and_keep_what_joins_the_hidden_states() -> None:
    layer = 2 * 4096 * 5120 + 2 * 1024 * 5120 + 3 * 17408 * 5120
    kept = 5 * (2 * 5120 + 2 * 128) + 5 * 5120 * 5120 + 3 * 5120
    joined = 5 * 2 * 1024 * 5120
    rope = 262144 * 128 * 2
    assert drafter_bytes(facts(drafters.BLOCK)) == 2 * (5 * layer + kept + joined) + rope
    halves = 2 * (5 * layer // 2 + kept + joined // 2) + rope
    assert drafter_bytes(facts(drafters.BLOCK), tensor_parallel=2) == halves


@pytest.mark.parametrize(
    ("changes", "parameters"),
    [
        ({}, 547_918_336),
        (
            {"conv_kernel_size": 2, "conv_group_size": 16, "selector_rank": 256},
            695_497_216,
        ),
    ],
)
def test_a_drafters_parameters_are_those_of_the_public_checkpoint(changes: dict[str, int], parameters: int) -> None:
    # Qwen3.8-Flash-Next's drafters; vLLM makes one embedding more, for the mask.
    own = {"target_layer_ids": [1, 7, 13, 20, 26, 33, 39, 46], **changes}
    sizes = {"hidden_size": 2560, "intermediate_size": 8704, "num_attention_heads": 20, "num_key_value_heads": 4}
    found = modules_of(facts({**drafters.BLOCK, **sizes, "num_hidden_layers": 6, "dflash_config": own}))
    assert found is not None
    assert sum(module.elements for module in found.text if not module.made) == parameters + 2560


def test_headers_replace_what_the_modules_say_of_the_checkpoint() -> None:
    plain = facts(drafters.BLOCK)
    counted = drafter_bytes(plain)
    size = 5 * (2 * 4096 * 5120 + 2 * 1024 * 5120 + 3 * 17408 * 5120) * 2
    whole = (5 * (2 * 5120 + 2 * 128) + 5 * 5120 * 5120 + 3 * 5120) * 2
    headers = WeightFacts(size + whole, "headers", sharded=size, replicated=whole)
    assert drafter_bytes(replace(plain, weights=headers)) == counted
    more = replace(headers, replicated=whole + 1_000_000)
    assert drafter_bytes(replace(plain, weights=more)) == counted + 1_000_000


def test_a_quantised_drafter_has_no_second_copy_of_its_keys() -> None:
    quantised = {**drafters.BLOCK, "quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}}
    assert drafter_bytes(facts(quantised)) < 0.53 * drafter_bytes(facts(drafters.BLOCK))


def test_the_targets_quantisation_is_not_the_drafters() -> None:
    assert drafter_bytes(facts(drafters.BLOCK), quantization="fp8") == drafter_bytes(facts(drafters.BLOCK))


def test_a_head_of_fewer_words_is_the_drafters_own() -> None:
    own = facts({**drafters.BLOCK, "draft_vocab_size": 32000})
    assert drafter_bytes(own) - drafter_bytes(facts(drafters.BLOCK)) == 32000 * 5120 * 2 + 32000 * 8


@pytest.mark.parametrize(
    "name",
    ["fc.weight", "layers.3.mlp_conv.kernel_projection.weight", "candidate_selector.successor_codebook"],
)
def test_a_drafters_tensors_that_each_rank_keeps(name: str) -> None:
    assert tensor_class(name) == "replicated"
    assert tensor_class("layers.3.mlp.gate_proj.weight") == "sharded"


# --- the estimate ---------------------------------------------------------------------------------------------------


def test_a_known_drafter_has_a_verdict() -> None:
    target = replace(
        facts(models.HYBRID), drafter=facts(drafters.BLOCK), weights=WeightFacts(50 * GIB, "test", sharded=50 * GIB)
    )
    asked = settings(**NEW, utilisation=0.8, max_model_len=65536, speculative=Speculative("dflash", 15, "org/draft"))
    found = estimate(target, asked, [assumed_spark("spark-1")])
    assert found.context.level is Level.GOOD
    assert found.kv_bytes_per_request == 2154 * 896 * 4096
    assert not [note for note in found.notes if "draft" in note]


@pytest.mark.parametrize("length", [65536, 262144])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.75])
@pytest.mark.parametrize("drafter", [drafters.BLOCK, drafters.LAGUNA, drafters.SUNK])
def test_what_is_proposed_helps(drafter: dict[str, Any], share: float, length: int) -> None:
    target = replace(facts(models.HYBRID), drafter=facts(drafter), weights=WeightFacts(50 * GIB, "t", sharded=50 * GIB))
    asked = settings(**NEW, utilisation=share, max_model_len=length, speculative=Speculative("dflash", 15, "org/draft"))
    host = assumed_spark("spark-1")
    for proposal in estimate(target, asked, [host]).proposals:
        if proposal.key == "max_model_len":
            changed = replace(asked, max_model_len=int(proposal.new))
        elif proposal.key == "gpu_memory_utilization":
            changed = replace(asked, utilisation=float(proposal.new))
        else:
            continue
        case = work_out(target, changed, host)
        assert case.context_level in (Level.GOOD, Level.TIGHT), proposal
