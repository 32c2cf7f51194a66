"""Weights by the modules of a model: exact figures of vLLM 0.33's own model classes, and what each rule changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.vllm.devices import Device
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import plan_cache
from sparkrun_tui.memory.weights.on_rank import Weights, weights_of
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.facts import ModelFacts, WeightFacts
from sparkrun_tui.models.modules.listing import modules_of
from sparkrun_tui.models.modules.module import count
from tests.memory import models
from tests.memory.models import facts

VLLM = EngineSettings("vllm", version="0.33.0")
TP2 = replace(VLLM, tensor_parallel=2)
TP4 = replace(VLLM, tensor_parallel=4)

EXPERTS: dict[str, Any] = {
    **models.DENSE,
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "num_hidden_layers": 48,
    "num_key_value_heads": 4,
    "max_position_embeddings": 262144,
    "num_experts": 128,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
}
VISION: dict[str, Any] = {
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "model_type": "qwen3_5",
    "text_config": {
        **models.HYBRID,
        "attn_output_gate": True,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000000, "partial_rotary_factor": 0.25},
        "tie_word_embeddings": False,
    },
    "vision_config": {
        "depth": 27,
        "hidden_size": 1152,
        "in_channels": 3,
        "intermediate_size": 4304,
        "model_type": "qwen3_5_vision",
        "num_heads": 16,
        "num_position_embeddings": 2304,
        "out_hidden_size": 5120,
        "patch_size": 16,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
    },
}
GEMMA: dict[str, Any] = {
    "architectures": ["Gemma4ForConditionalGeneration"],
    "model_type": "gemma4",
    "text_config": {
        **models.UNEQUAL,
        "attention_k_eq_v": True,
        "enable_moe_block": True,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5,
        "moe_intermediate_size": 704,
        "num_experts": 128,
        "top_k_experts": 8,
        "rope_parameters": {
            "full_attention": {"partial_rotary_factor": 0.25, "rope_theta": 1000000.0, "rope_type": "proportional"},
            "sliding_attention": {"rope_theta": 10000.0, "rope_type": "default"},
        },
        "tie_word_embeddings": True,
    },
    "tie_word_embeddings": True,
    "vision_config": {
        "hidden_size": 1152,
        "intermediate_size": 4304,
        "model_type": "gemma4_vision",
        "num_attention_heads": 16,
        "num_hidden_layers": 27,
        "patch_size": 16,
        "position_embedding_size": 10240,
    },
}
GPT_OSS: dict[str, Any] = {
    "architectures": ["GptOssForCausalLM"],
    "model_type": "gpt_oss",
    "attention_bias": True,
    "head_dim": 64,
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "layer_types": ["sliding_attention", "full_attention"] * 18,
    "max_position_embeddings": 131072,
    "num_attention_heads": 64,
    "num_experts_per_tok": 4,
    "num_hidden_layers": 36,
    "num_key_value_heads": 8,
    "num_local_experts": 128,
    "rope_scaling": {"factor": 32.0, "original_max_position_embeddings": 4096, "rope_type": "yarn"},
    "sliding_window": 128,
    "tie_word_embeddings": False,
    "vocab_size": 201088,
    "quantization_config": {"quant_method": "mxfp4", "modules_to_not_convert": ["model.layers.*.self_attn", "lm_head"]},
}
NEMOTRON: dict[str, Any] = {
    "architectures": ["NemotronHForCausalLM"],
    "model_type": "nemotron_h",
    "conv_kernel": 4,
    "head_dim": 128,
    "hidden_size": 2688,
    "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
    "intermediate_size": 1856,
    "mamba_head_dim": 64,
    "mamba_num_heads": 64,
    "max_position_embeddings": 262144,
    "moe_intermediate_size": 1856,
    "moe_shared_expert_intermediate_size": 3712,
    "n_groups": 8,
    "n_routed_experts": 128,
    "n_shared_experts": 1,
    "num_attention_heads": 32,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 52,
    "num_key_value_heads": 2,
    "ssm_state_size": 128,
    "tie_word_embeddings": False,
    "vocab_size": 131072,
}


def modelopt(*ignore: str) -> dict[str, Any]:
    """NVFP4 for weights and activations, with ModelOpt's list of exceptions."""
    return {"quant_method": "modelopt", "quant_algo": "NVFP4", "ignore": list(ignore)}


def compressed(kind: str, bits: int, *ignore: str, **weights: Any) -> dict[str, Any]:
    """One group of compressed-tensors over all linear layers."""
    group = {
        "targets": ["Linear"],
        "weights": {"num_bits": bits, "type": kind, "symmetric": True, **weights},
        "input_activations": None,
    }
    return {"quant_method": "compressed-tensors", "ignore": list(ignore), "config_groups": {"group_0": group}}


def with_block(config: dict[str, Any], block: dict[str, Any]) -> ModelFacts:
    """The facts of a configuration with a quantisation block."""
    return facts_from_config({**config, "quantization_config": block})


def weights(model: ModelFacts, settings: EngineSettings = VLLM) -> Weights:
    """The weights of a model that is known well enough."""
    found = vllm_weights(model, settings)
    assert found is not None
    return found


AWQ = {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True}
GPTQ = {"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}
BLOCKS = {"quant_method": "fp8", "weight_block_size": [128, 128]}
GEMMA_KEPT = (
    "lm_head",
    "model.embed_vision*",
    "model.language_model.layers.*.mlp*",
    "model.language_model.layers.*.router*",
    "model.language_model.layers.*.self_attn*",
    "model.vision_tower*",
)
NEMOTRON_KEPT = (
    "lm_head",
    *(f"backbone.layers.{i}.mixer.{name}_proj" for i in range(52) for name in ("in", "out", "q", "k", "v", "o")),
)


@pytest.mark.parametrize(
    ("config", "block", "settings", "exact"),
    [
        (models.DENSE, None, VLLM, 16391957344),
        (models.DENSE, None, TP4, 4106316640),
        (models.DENSE, BLOCKS, TP2, 4755778400),
        (models.DENSE, modelopt("lm_head"), TP2, 3209262176),
        (models.DENSE, compressed("float", 4, "lm_head", group_size=16), TP2, 3209260448),
        (models.DENSE, AWQ, TP2, 3060034400),
        (models.DENSE, GPTQ, TP2, 3046468448),
        (models.DENSE, {**GPTQ, "bits": 8}, TP2, 4782910304),
        (models.DENSE, None, replace(VLLM, quantization="fp8"), 9446190496),
        (models.DENSE, None, replace(VLLM, quantization="fp8_per_block"), 9500453728),
        (models.DENSE, None, replace(VLLM, quantization="int8_per_channel_weight_only"), 16391957344),
        (EXPERTS, None, VLLM, 61131355264),
        (EXPERTS, None, replace(TP2, expert_parallel=True), 30612026496),
        (EXPERTS, None, replace(VLLM, quantization="mxfp8"), 32156447872),
        (EXPERTS, {**AWQ, "modules_to_not_convert": ["gate", "lm_head"]}, TP2, 8481240192),
        (EXPERTS, {**GPTQ, "dynamic": {"-:.*mlp\\.gate$": {}}}, TP2, 8479470720),
        (EXPERTS, modelopt("lm_head", "model.layers.*.mlp.gate"), TP2, 9123707520),
        (VISION, None, VLLM, 54747606368),
        (VISION, None, TP4, 13720450616),
        (VISION, None, replace(VLLM, speculative=Speculative("mtp", 2)), 55597005176),
        (GEMMA, None, VLLM, 52043551546),
        (GEMMA, modelopt(*GEMMA_KEPT), VLLM, 19214039866),
        (GEMMA, modelopt(*GEMMA_KEPT), replace(TP2, moe_backend="marlin"), 10976660282),
        (GPT_OSS, None, VLLM, 70790147552),
        (GPT_OSS, None, TP4, 18486855776),
        (NEMOTRON, None, TP4, 15821020944),
        (NEMOTRON, modelopt(*NEMOTRON_KEPT), VLLM, 20855485552),
        (NEMOTRON, modelopt(*NEMOTRON_KEPT), replace(VLLM, moe_backend="marlin"), 20285668464),
    ],
)
def test_the_bytes_of_a_rank_are_those_of_the_engines_own_classes(
    config: dict[str, Any], block: dict[str, Any] | None, settings: EngineSettings, exact: int
) -> None:
    model = facts_from_config(config) if block is None else with_block(config, block)
    found = weights(model, settings)
    assert found.rank == pytest.approx(exact, rel=0.0003)
    assert found.low <= exact <= found.high


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (modelopt("lm_head", "model.layers.*.self_attn*"), modelopt("lm_head", "*self_attn*")),
        (
            modelopt("lm_head", "model.layers.*.self_attn*"),
            modelopt("lm_head", *(f"model.layers.{i}.self_attn.{p}_proj" for i in range(36) for p in "qkvo")),
        ),
        (
            compressed("float", 4, "lm_head", "re:.*self_attn.*", group_size=16),
            compressed("float", 4, "lm_head", r"re:^model\.layers\.\d+\.self_attn\.(q|k|v|o)_proj$", group_size=16),
        ),
        ({**AWQ, "modules_to_not_convert": ["self_attn"]}, {**AWQ, "modules_to_not_convert": ["_attn.", "lm_head"]}),
    ],
)
def test_lists_that_name_the_same_modules_mean_the_same(first: dict[str, Any], second: dict[str, Any]) -> None:
    some = weights(with_block(models.DENSE, first))
    assert some.rank == weights(with_block(models.DENSE, second)).rank
    everything = {**first, "ignore": ["lm_head"], "modules_to_not_convert": []}
    kept = 36 * 4096 * (2 * 4096 + 2 * 1024)
    assert some.rank - weights(with_block(models.DENSE, everything)).rank > kept


def test_layers_left_alone_count_one_by_one() -> None:
    half = [f"model.layers.{layer}.mlp" for layer in range(18)]
    none = weights(with_block(models.DENSE, modelopt("lm_head"))).rank
    some = weights(with_block(models.DENSE, modelopt("lm_head", *half))).rank
    whole = weights(with_block(models.DENSE, modelopt("lm_head", "model.layers.*.mlp*"))).rank
    assert 2 * (some - none) == pytest.approx(whole - none, abs=4)


def test_mixed_formats_give_each_module_its_own_bits() -> None:
    layers = range(36)
    mixed = {
        f"model.layers.{layer}.self_attn.{name}_proj": {"quant_algo": "FP8"} for layer in layers for name in "qkvo"
    }
    for name in ("gate_proj", "up_proj", "down_proj"):
        mixed |= {f"model.layers.{layer}.mlp.{name}": {"quant_algo": "W4A16_NVFP4"} for layer in layers}
    block = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": mixed, "ignore": []}
    attention = 36 * 4096 * (2 * 4096 + 2 * 1024)
    feed = 36 * 3 * 4096 * 12288
    ends = 2 * 4096 * 151936 * 2
    found = weights(with_block(models.DENSE, block)).rank
    assert found == pytest.approx(attention + feed * 4.5 / 8 + ends + 10485760, rel=0.0003)


def test_several_groups_name_their_targets() -> None:
    block = compressed("int", 4, "lm_head", group_size=128)
    block["config_groups"]["group_1"] = {
        "targets": ["re:.*self_attn.*"],
        "weights": {"num_bits": 8, "type": "int", "symmetric": True, "group_size": 128},
        "input_activations": None,
    }
    only_four = weights(with_block(models.DENSE, compressed("int", 4, "lm_head", group_size=128))).rank
    attention = 36 * 4096 * (2 * 4096 + 2 * 1024)
    assert weights(with_block(models.DENSE, block)).rank - only_four == pytest.approx(attention / 2, rel=0.001)


def test_single_modules_of_autoround_keep_their_bits() -> None:
    block = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "sym": True}
    own = {f"model.layers.{layer}.self_attn.{name}_proj": {"bits": 8} for layer in range(36) for name in "qkvo"}
    attention = 36 * 4096 * (2 * 4096 + 2 * 1024)
    more = weights(with_block(models.DENSE, {**block, "extra_config": own})).rank
    assert more - weights(with_block(models.DENSE, block)).rank == pytest.approx(attention / 2, rel=0.001)


def width(found: Weights) -> float:
    """The band's width as a share of the figure."""
    return (found.high - found.low) / found.rank


def test_the_band_widens_without_a_list_and_with_one_that_is_not_understood() -> None:
    known = weights(with_block(models.DENSE, modelopt("lm_head")))
    cut = weights(with_block(models.DENSE, {"quant_method": "modelopt", "quant_algo": "NVFP4"}))
    strange = weights(with_block(models.DENSE, compressed("float", 4, "re:^(?!.*mlp).*", group_size=16)))
    assert width(known) < 0.04 < width(cut)
    assert width(strange) > 0.04


def test_a_vision_tower_counts_where_it_is_loaded_and_is_split_like_its_family_does() -> None:
    qwen, gemma = facts_from_config(VISION), facts_from_config(GEMMA)
    text = replace(VLLM, text_only=True)
    assert weights(qwen).rank - weights(qwen, text).rank == pytest.approx(922050016, rel=0.001)
    halves = weights(qwen, TP2).rank - weights(qwen, replace(text, tensor_parallel=2)).rank
    assert halves == pytest.approx(465938800, rel=0.001)
    data = replace(TP2, mm_encoder_tp_mode="data")
    assert weights(qwen, data).rank - weights(qwen, TP2).rank == pytest.approx(922050016 - 465938800, rel=0.001)
    kept = weights(gemma, TP2).rank - weights(gemma, replace(text, tensor_parallel=2)).rank
    assert kept == pytest.approx(1145591280, rel=0.001)


QWEN2_TOWER = {
    "depth": 32,
    "embed_dim": 1280,
    "hidden_size": 3584,
    "in_chans": 3,
    "mlp_ratio": 4,
    "model_type": "qwen2_vl",
    "num_heads": 16,
    "spatial_merge_size": 2,
    "spatial_patch_size": 14,
    "temporal_patch_size": 2,
}
PIXTRAL = {"hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "model_type": "pixtral"}


@pytest.mark.parametrize(("tower", "parameters"), [(QWEN2_TOWER, 675_000_000), (PIXTRAL, 405_000_000)])
def test_towers_of_other_families_have_about_their_makers_size(tower: dict[str, Any], parameters: int) -> None:
    model = facts_from_config({**models.DENSE, "vision_config": tower})
    size = weights(model).rank - weights(facts_from_config(models.DENSE)).rank
    assert size == pytest.approx(2 * parameters, rel=0.03)


def test_an_encoder_of_unknown_shape_widens_the_band() -> None:
    plain = weights(facts_from_config(models.DENSE))
    for key, config in (("audio_config", {"hidden_size": 1024}), ("vision_config", {"model_type": "strange"})):
        found = weights(facts_from_config({**models.DENSE, key: config}))
        assert (found.rank, found.low) == (plain.rank, plain.low)
        assert found.high > plain.high


def test_with_headers_too_the_tower_is_split_and_experts_are_padded_for_each_rank() -> None:
    header = WeightFacts(53824056000, "headers", sharded=52900000000, replicated=2000000, vision=922050016)
    model = replace(facts_from_config(VISION), weights=header)
    whole = weights(model).rank - weights(model, replace(VLLM, text_only=True)).rank
    halves = weights(model, TP2).rank - weights(model, replace(TP2, text_only=True)).rank
    assert (whole, halves) == (922050016, pytest.approx(465938800, rel=0.001))
    total = 65248815744
    oss = replace(facts_from_config(GPT_OSS), weights=WeightFacts(total, "headers", sharded=total, experts=60838969344))
    assert weights(oss, TP4).rank == pytest.approx(18486855776, rel=0.005)


def test_latent_attention_keeps_a_second_copy_where_it_is_quantised() -> None:
    plain = facts_from_config(models.LATENT)
    heads, rank = models.LATENT["num_attention_heads"], models.LATENT["kv_lora_rank"]
    unfolded = heads * (models.LATENT["qk_nope_head_dim"] + models.LATENT["v_head_dim"])
    copy = models.LATENT["num_hidden_layers"] * unfolded * rank * 2
    at_load = replace(VLLM, quantization="fp8")
    without = weights_of(plain, at_load)
    assert without is not None
    assert weights(plain, at_load).rank - without.rank == pytest.approx(copy, rel=0.01)


@pytest.mark.parametrize(
    ("config", "ranks", "settings", "reason"),
    [
        ({**GEMMA, "quantization_config": modelopt(*GEMMA_KEPT)}, 2, {}, "2 x 352"),
        (
            {**models.DENSE, "intermediate_size": 11008, "quantization_config": AWQ},
            4,
            {},
            "2,752 inputs .* of mlp.down_proj",
        ),
        ({**models.DENSE, "intermediate_size": 11008, "quantization_config": BLOCKS}, 4, {}, "2,752 inputs"),
    ],
)
def test_what_no_kernel_takes_is_refused_before_the_launch(
    config: dict[str, Any], ranks: int, settings: dict[str, Any], reason: str
) -> None:
    model = facts_from_config(config)
    with pytest.raises(Unsupported, match=reason):
        plan_cache(model, replace(VLLM, tensor_parallel=ranks, **settings), 4096)
    assert plan_cache(model, VLLM, 4096) is not None


@pytest.mark.parametrize(
    ("width", "version", "refused"), [(640, "0.33", True), (768, "0.33", False), (640, "0.32", False)]
)
def test_experts_of_compressed_tensors_are_whole_blocks_wide(width: int, version: str, refused: bool) -> None:
    quant = compressed("float", 8, "lm_head", "re:.*mlp.gate$", strategy="block", block_structure=[128, 128])
    model = with_block({**EXPERTS, "moe_intermediate_size": width}, quant)
    settings = replace(TP2, version=version)
    if not refused:
        assert plan_cache(model, settings, 4096) is not None
        return
    with pytest.raises(Unsupported, match="fp8 blocks of 128 do not divide the width 320"):
        plan_cache(model, settings, 4096)


def test_another_backend_takes_experts_that_flashinfer_refuses() -> None:
    model = with_block(GEMMA, modelopt(*GEMMA_KEPT))
    assert plan_cache(model, replace(TP2, moe_backend="marlin"), 4096) is not None


def test_a_hopper_gpu_has_no_flashinfer_experts_to_refuse_them() -> None:
    model = with_block(GEMMA, modelopt(*GEMMA_KEPT))
    hopper = Device(memory=80 << 30, capability=(9, 0), spark=False)
    assert plan_cache(model, TP2, 4096, device=hopper) is not None


def test_a_stated_count_of_the_same_modules_changes_nothing_and_another_scales_them() -> None:
    model = facts_from_config(models.DENSE)
    own = weights(model).rank
    assert weights(replace(model, params=8190735360)).rank == own
    twice = weights(replace(model, params=2 * 8190735360)).rank
    assert twice == pytest.approx(own + 8190735360 * 2, rel=0.01)


@pytest.mark.parametrize(("gating", "width"), [(True, 1), ("per-head", 1), ("per-element", 128), (False, 0)])
def test_laguna_has_query_heads_and_experts_by_layer(gating: object, width: int) -> None:
    # vllm/model_executor/models/laguna.py: 48 and 64 query heads, a dense first layer, a gate for each head's output.
    model = facts(
        models.DENSE,
        model_type="laguna",
        hidden_size=2048,
        num_hidden_layers=2,
        num_attention_heads=48,
        num_attention_heads_per_layer=[48, 64],
        layer_types=["full_attention", "sliding_attention"],
        sliding_window=512,
        mlp_layer_types=["dense", "sparse"],
        intermediate_size=8192,
        num_experts=256,
        moe_intermediate_size=512,
        shared_expert_intermediate_size=512,
        vocab_size=100352,
        gating=gating,
    )
    found = modules_of(model)
    assert found is not None
    attention = sum(2 * heads * 128 + 2 * 8 * 128 + heads * width for heads in (48, 64)) * 2048
    feeds = 3 * 2048 * (8192 + 256 * 512 + 512) + 256 * 2048
    norms = 2 * (2 * 2048 + 2 * 128) + 2048
    assert count(found.text) == attention + feeds + norms + 2 * 100352 * 2048
