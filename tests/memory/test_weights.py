"""Weight bytes: headers, formats, what is loaded, and how ranks and stages share it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.memory.metadata_block import declared_token_bytes, declared_weights
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.weights.rope import rope_bytes
from sparkrun_tui.models.facts import DeclaredFacts, ModelFacts, QuantFacts, WeightFacts
from sparkrun_tui.models.parameters import count_parameters
from sparkrun_tui.models.tensor_classes import tensor_class, weight_facts
from sparkrun_tui.models.weight_formats import bytes_per_parameter, format_named
from sparkrun_tui.recipe.names.dtypes import known_dtype
from tests.memory import models
from tests.memory.models import facts

VLLM = EngineSettings("vllm")
LLAMA = {
    **models.DENSE,
    "model_type": "llama",
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "vocab_size": 128256,
    "max_position_embeddings": 131072,
}
GPT_OSS = {
    **models.DENSE,
    "model_type": "gpt_oss",
    "hidden_size": 2880,
    "intermediate_size": 2880,
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "head_dim": 64,
    "vocab_size": 201088,
    "num_local_experts": 32,
    "num_experts_per_tok": 4,
    "sliding_window": 128,
    "max_position_embeddings": 131072,
    "quantization_config": {"quant_method": "mxfp4"},
}


def rank(model: ModelFacts, settings: EngineSettings = VLLM) -> int:
    """Bytes on the rank that holds most."""
    found = vllm_weights(model, settings)
    assert found is not None
    return found.rank


def test_plain_weights_and_the_rope_table_are_what_the_engine_loads() -> None:
    model = replace(facts(LLAMA), params=8030261248)
    assert rope_bytes(model) == 131072 * 128 * 2
    assert rank(model) / 2**30 == pytest.approx(14.9888, rel=1e-4)


def test_the_architecture_alone_counts_its_parameters() -> None:
    counted = count_parameters(facts(LLAMA))
    assert counted is not None
    assert counted.total == pytest.approx(8030261248, rel=0.001)
    assert rank(facts(LLAMA)) / 2**30 == pytest.approx(14.9888, rel=0.001)
    experts = count_parameters(facts(models.LATENT))
    assert experts is not None
    assert experts.total == pytest.approx(15706484224, rel=0.002)


def test_mxfp4_experts_are_padded_by_their_kernels() -> None:
    model = replace(facts(GPT_OSS), weights=WeightFacts(13761264768, "headers"))
    assert rank(model) / 2**30 == pytest.approx(13.7153, rel=0.003)


def test_headers_win_over_counts_and_the_recipes_total_over_both() -> None:
    model = replace(facts(LLAMA), weights=WeightFacts(10**9, "headers"), params=5)
    assert rank(model) == 10**9 + rope_bytes(model)
    declared = replace(model, declared=DeclaredFacts(model_vram=3 * 10**9))
    assert rank(declared) == 3 * 10**9


def test_classes_decide_what_is_split_and_what_is_loaded() -> None:
    weights = WeightFacts(
        total=1000, source="headers", sharded=800, replicated=100, vision=40, drafter=60, embedding=100, head=100
    )
    model = replace(facts(models.HYBRID), weights=weights, max_length=None)
    assert rank(model) == 800 + 100 + 40
    assert rank(model, replace(VLLM, text_only=True)) == 800 + 100
    assert rank(model, replace(VLLM, speculative=Speculative("mtp", 2))) == 860 + 100 + 40
    assert rank(model, replace(VLLM, tensor_parallel=2)) == 400 + 100 + 40
    assert rank(model, replace(VLLM, pipeline_parallel=2)) == 300 + 100 + 50 + 40


def test_experts_are_spread_over_replicas_with_expert_parallelism() -> None:
    weights = WeightFacts(total=1000, source="headers", sharded=1000, experts=800)
    model = replace(facts(models.HYBRID), weights=weights, max_length=None)
    assert rank(model, replace(VLLM, data_parallel=4)) == 1000
    assert rank(model, replace(VLLM, data_parallel=4, expert_parallel=True)) == 200 + 200


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("model.layers.3.self_attn.q_proj.weight", "sharded"),
        ("model.layers.3.mlp.gate_proj.weight", "sharded"),
        ("model.layers.3.mlp.gate.weight", "replicated"),
        ("model.layers.3.mlp.experts.7.down_proj.weight_packed", "experts"),
        ("model.layers.3.mlp.experts.gate_up_proj_blocks", "experts"),
        ("model.layers.3.mlp.shared_experts.down_proj.weight", "sharded"),
        ("model.layers.3.input_layernorm.weight", "replicated"),
        ("model.layers.3.self_attn.q_norm.weight", "replicated"),
        ("model.layers.3.self_attn.kv_a_proj_with_mqa.weight", "replicated"),
        ("model.layers.3.self_attn.kv_b_proj.weight", "sharded"),
        ("model.layers.61.self_attn.q_proj.weight", "drafter"),
        ("mtp.layers.0.mlp.down_proj.weight", "drafter"),
        ("model.language_model.embed_tokens.weight", "embedding"),
        ("lm_head.weight", "head"),
        ("model.visual.blocks.0.attn.qkv.weight", "vision"),
        ("vision_tower.encoder.layers.5.mlp.fc1.weight", "vision"),
    ],
)
def test_tensors_are_classed_by_name(name: str, kind: str) -> None:
    assert tensor_class(name, layers=61) == kind


def test_headers_are_summed_by_class_and_a_tied_head_is_left_out() -> None:
    tensors = [
        ("model.embed_tokens.weight", 100),
        ("lm_head.weight", 100),
        ("model.layers.0.mlp.up_proj.weight", 500),
        ("model.norm.weight", 1),
        ("mtp.fc.weight", 7),
    ]
    found = weight_facts(tensors, layers=1)
    assert (found.total, found.sharded, found.replicated, found.drafter) == (708, 700, 1, 7)
    assert weight_facts(tensors, layers=1, tied=True).total == 608


def test_a_stated_count_that_includes_the_drafter_is_recognised() -> None:
    model = facts(models.HYBRID, quantization_config={"quant_method": "fp8"})
    counted = count_parameters(model)
    assert counted is not None
    with_drafter = replace(model, params=counted.total + counted.drafter)
    assert rank(with_drafter) == pytest.approx(rank(replace(model, params=counted.total)), rel=1e-6)


def test_a_draft_model_of_its_own_is_loaded_beside() -> None:
    drafter = replace(facts(models.DENSE), weights=WeightFacts(700, "headers"))
    model = replace(facts(LLAMA), weights=WeightFacts(10**9, "headers"), drafter=drafter)
    speculating = replace(VLLM, speculative=Speculative("draft_model", 3, "org/draft"))
    assert rank(model, speculating) == rank(model) + 700


def test_plain_checkpoints_can_be_quantised_on_loading() -> None:
    model = replace(facts(LLAMA), weights=WeightFacts(8030261248 * 2, "headers"))
    halved = rank(model, replace(VLLM, quantization="fp8"))
    assert 0.5 < halved / rank(model) < 0.6


def test_formats_have_bands_and_plain_dtypes_hardly_any() -> None:
    plain = vllm_weights(facts(LLAMA), VLLM)
    quantised = vllm_weights(replace(facts(LLAMA), quant=QuantFacts("awq", 4.156)), VLLM)
    assert plain is not None and quantised is not None
    assert (plain.high - plain.low) / plain.rank < (quantised.high - quantised.low) / quantised.rank
    assert quantised.rank < plain.rank / 2


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bf16", 2.0),
        ("float32", 4.0),
        ("nvfp4", 0.7),
        ("fp8", 8.05 / 8),
        ("NVFP4-mixed(modelopt)", 0.7),
        ("exl3-4.0", 0.5),
    ],
)
def test_bytes_per_parameter(name: str, expected: float) -> None:
    assert bytes_per_parameter(name) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("name", "bits"),
    [
        ("awq8", 8.19), ("awq-8bit", 8.19), ("AWQ_INT8", 8.19), ("int8_awq", 8.19), ("awq", 4.16), ("awq-int4", 4.16),
        ("gptq8", 8.19), ("gptq_int8", 8.19), ("gptq-3bit", 3.15), ("gptq_marlin", 4.2),
        ("bnb8", 8.0), ("bitsandbytes-8bit", 8.0), ("bnb", 4.13), ("bnb-nf4", 4.13),
        ("exl3:2.05", 2.05), ("exl3_4.0bpw", 4.0), ("EXL2-6.5", 6.5), ("5.25bpw", 5.25),
        ("w4a16", 4.16), ("w8a16", 8.0), ("w4afp8", 4.16), ("w4a8", 4.16), ("nvfp4-w4a16", 4.5), ("fp8_w8a8", 8.0),
        ("int8", 8.0), ("int3", 3.15), ("hqq-4bit", 4.16), ("mlx-8bit", 8.0), ("awq-fp8kv", 4.16),
        ("q4_k_m", 4.85), ("UD-Q4_K_XL", 5.24), ("q8_0", 8.5), ("mxfp8", 8.25),
        ("w4a8_fp8", 4.16), ("w8a8-fp8", 8.0), ("int4_fp8", 4.16), ("fp4-fp8-mixed", 4.5), ("mxfp4_fp8", 4.25),
        ("exl2-6_5", 6.5), ("exl3_2_25bpw", 2.25), ("1.58bit", 1.72), ("int8_wo", 8.0), ("FP8-Dynamic", 8.0),
        ("qat-q4_0", 4.5), ("GGUF:Q5_K_M", 5.69), ("i1-IQ3_XXS", 3.25), ("q4_k_m_imat", 4.85), ("Q6_K.gguf", 6.57),
        ("Q4_0_8_8", 4.5), ("q8", 8.5), ("q4", 4.85), ("iq4_ks", 4.25), ("UD-TQ1_0", 1.69), ("nvfp4a16", 4.5),
    ],
)  # fmt: skip
def test_bits_that_a_word_states_count_before_those_of_its_method(name: str, bits: float) -> None:
    form = format_named(name)
    assert form is not None
    assert form.bits == pytest.approx(bits, abs=0.01)


@pytest.mark.parametrize(
    "name",
    ["exl3", "exl2", "hqq", "autoround", "compressed-tensors", "mixed", "gguf", "q8_kv", "q4_k_p", "k8v4", "fp", ""],
)
def test_a_method_of_any_width_is_unknown_without_its_bits(name: str) -> None:
    assert format_named(name) is None


def test_a_mixture_keeps_attention_at_its_larger_width() -> None:
    form = format_named("int4-int8mix")
    assert form is not None
    assert form.bits == pytest.approx(4.16, abs=0.01)
    assert form.mixing_bits == form.mixing_bits_of_experts == 8


@pytest.mark.parametrize("word", ["awq-8bit", "exl3:2.05", "int8_wo", "hqq4", "qat-q4_0", "W4A16-ASYM", "8-bit", "foo"])
def test_what_can_be_sized_is_known_to_the_check_of_metadata(word: str) -> None:
    assert known_dtype(word) is (format_named(word) is not None)


@pytest.mark.parametrize(
    ("kv", "bytes_per_value"),
    [("q8_0", 34 / 32), ("fp8-e4m3", 1), ("f16", 2), ("mxfp8", 8.25 / 8), ("q4_0", 0.5625), ("", 2)],
)
def test_the_declared_cache_is_read_in_the_words_of_every_engine(kv: str, bytes_per_value: float) -> None:
    declared = DeclaredFacts(kv_dtype=kv, num_layers=2, num_kv_heads=4, head_dim=64)
    assert declared_token_bytes(declared) == pytest.approx(2 * 4 * 2 * 64 * bytes_per_value)


@pytest.mark.parametrize("word", ["awq8", "gptq_int8", "q4_k_m", "w8a8", "exl3-3.0", "nvfp4", "int8"])
def test_both_halves_of_the_estimate_read_a_dtype_alike(word: str) -> None:
    declared = DeclaredFacts(params=120 * 10**9, model_dtype=word)
    block = declared_weights(declared)
    estimated = vllm_weights(replace(ModelFacts("recipe"), declared=declared), VLLM)
    assert block is not None and estimated is not None
    assert estimated.whole == pytest.approx(block, rel=0.01)


def test_unknown_formats_stay_unknown() -> None:
    assert format_named("seven-bit") is None
    assert bytes_per_parameter("auto") is None
    strange = replace(facts(LLAMA), declared=DeclaredFacts(params=10**9, model_dtype="seven-bit"))
    assert vllm_weights(strange, VLLM) is None
    assert vllm_weights(ModelFacts("nothing", params=10**9), VLLM) is None


def test_rope_tables_are_one_for_each_base_and_width() -> None:
    table = 131072 * 128 * 2
    assert rope_bytes(facts(LLAMA, partial_rotary_factor=0.5)) == table // 2
    assert rope_bytes(facts(LLAMA, rope_scaling={"rope_type": "yarn", "factor": 1.0})) == 2 * table
    windowed = facts(models.WINDOWED)
    assert rope_bytes(replace(windowed, config={**windowed.config, "rope_local_base_freq": 1e4})) == 2 * table
    two = {
        "full_attention": {"rope_type": "proportional", "partial_rotary_factor": 0.25, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
    }
    assert rope_bytes(facts(models.UNEQUAL, rope_parameters=two)) == 262144 * (256 + 512) * 2
    unmodelled = replace(facts(LLAMA, rope_parameters={"partial_rotary_factor": 0.25}), layers=None)
    assert rope_bytes(unmodelled) == table // 4
    assert rope_bytes(facts(LLAMA, position_embedding_type="nope")) == 0
