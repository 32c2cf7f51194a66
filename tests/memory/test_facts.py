"""What is read of a model: configurations of many families, metadata, and how both are joined."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.metadata_block import metadata_block
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.config.quant import quant_of
from sparkrun_tui.models.config.reader import facts_from_config, max_length
from sparkrun_tui.models.facts import ModelFacts, WeightFacts, facts_from_metadata, merge
from sparkrun_tui.models.gguf.reader import facts_from_gguf
from tests.memory import models
from tests.memory.models import facts


def kinds(found: ModelFacts) -> Counter[str]:
    """How many layers of each kind a model has."""
    assert found.layers is not None
    names = []
    for layer in found.layers:
        parts = [layer.attention.kind.value] if layer.attention else []
        parts += [layer.state.kind.value] if layer.state else []
        names.append("+".join(parts) or "nothing")
    return Counter(names)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {"full": 36}),
        ({"sliding_window": 4096, "use_sliding_window": False}, {"full": 36}),
        ({"sliding_window": 4096, "use_sliding_window": True, "max_window_layers": 30}, {"full": 30, "window": 6}),
        ({"model_type": "gpt_oss", "sliding_window": 128}, {"full": 18, "window": 18}),
        ({"model_type": "gemma2", "sliding_window": 4096}, {"full": 18, "window": 18}),
        (
            {"model_type": "exaone4", "sliding_window": 4096, "sliding_window_pattern": "LLLG"},
            {"full": 9, "window": 27},
        ),
        (
            {"layer_types": str(["full_attention", "sliding_attention"] * 18), "sliding_window": 5},
            {"full": 18, "window": 18},
        ),
        ({"hybrid_layer_pattern": [0, 1, 1] * 12, "sliding_window": 128}, {"full": 12, "window": 24}),
        (
            {"block_configs": [{"attention": {"no_op": i % 2 == 1, "n_heads_in_group": 8}} for i in range(36)]},
            {"full": 18, "nothing": 18},
        ),
        ({"model_type": "minimax_text_01", "attn_type_list": [0, 0, 1] * 12}, {"lightning": 24, "full": 12}),
        (
            {
                "model_type": "falcon_h1",
                "mamba_n_heads": 24,
                "mamba_d_head": 128,
                "mamba_d_state": 256,
                "mamba_d_conv": 4,
            },
            {"full+mamba2": 36},
        ),
    ],
)
def test_layer_kinds_of_families(changes: dict[str, Any], expected: dict[str, int]) -> None:
    assert kinds(facts(models.DENSE, **changes)) == expected


def test_layer_kinds_of_whole_configurations() -> None:
    assert kinds(facts(models.MAMBA2)) == {"mamba2": 23, "full": 6, "nothing": 23}
    assert kinds(facts(models.DELTA)) == {"kda": 20, "mla": 7}
    assert kinds(facts(models.HYBRID)) == {"gdn": 48, "full": 16}
    assert kinds(facts(models.POOLED)) == {"kda": 34, "mla": 11}


@pytest.mark.parametrize("family", ["mimo_v2", "mimo_v2_flash"])
def test_head_counts_and_widths_differ_by_kind(family: str) -> None:
    mimo = facts(
        models.DENSE,
        model_type=family,
        hybrid_layer_pattern=[0] + [1] * 35,
        sliding_window=128,
        head_dim=192,
        v_head_dim=128,
        num_key_value_heads=4,
        swa_num_key_value_heads=8,
        swa_head_dim=192,
        swa_v_head_dim=128,
        num_nextn_predict_layers=1,
    )
    assert mimo.layers is not None
    full, window = mimo.layers[0].attention, mimo.layers[1].attention
    assert full is not None and window is not None
    assert (full.kv_heads, full.head_k, full.head_v) == (4, 192, 128)
    assert (window.kv_heads, window.window) == (8, 128)
    assert [layer.attention.kind.value for layer in mimo.mtp if layer.attention] == ["window"]


@pytest.mark.parametrize("width", [1, 2])
def test_a_configuration_that_transformers_has_saved_again(width: int) -> None:
    # transformers 5.24 drops the keys of the family and writes what differs by layer, numbers padded to one width.
    published = facts(models.UNEQUAL)
    family = {"global_head_dim", "num_global_key_value_heads"}
    own = {"head_dim": 512, "num_key_value_heads": 2}
    saved = {key: value for key, value in models.UNEQUAL.items() if key not in family}
    full = range(5, 30, 6)
    kinds_of_layers = ["full_attention" if index in full else "sliding_attention" for index in range(30)]
    by_layer = {f"{index:0{width}}": own for index in full}
    again = facts(saved, layer_types=kinds_of_layers, per_layer_config=by_layer)
    assert again.layers == facts(models.UNEQUAL, layer_types=kinds_of_layers).layers
    assert published.layers is not None and again.layers is not None
    attention = again.layers[5].attention
    assert attention is not None and (attention.head_k, attention.kv_heads) == (512, 2)


@pytest.mark.parametrize("damaged", [[], {"0": 1}, {"x" * 100: {}}, {"0": {"head_dim": "wide"}}, "all"])
def test_a_damaged_list_of_layers_costs_only_itself(damaged: object) -> None:
    assert facts(models.DENSE, per_layer_config=damaged).layers is not None


def test_an_index_that_no_engine_is_modelled_for_stays_unknown() -> None:
    indexed = facts(models.DENSE, indexer_head_dim=128, indexer_n_heads=4)
    assert indexed.layers is None
    assert "index" in indexed.notes[0]
    sparse = {"sparse_attention_freq": [0] + [1] * 35, "sparse_index_dim": 128}
    assert facts(models.DENSE, sparse_attention_config=sparse).layers is None
    assert facts(models.LATENT, indexer_head_dim=128).layers is not None


def test_nested_text_configurations_are_found() -> None:
    nested = {"model_type": "x", "text_config": models.DENSE, "vision_config": {"depth": 2}}
    found = facts_from_config(nested)
    assert kinds(found) == {"full": 36}
    assert found.multimodal
    omni = facts_from_config({"thinker_config": {"text_config": models.DENSE}})
    assert omni.hidden == 4096


def test_sizes_that_a_family_leaves_to_its_code() -> None:
    bare = {
        "model_type": "gemma3",
        "text_config": {
            "model_type": "gemma3_text",
            "num_hidden_layers": 34,
            "hidden_size": 2560,
            "sliding_window": 1024,
        },
    }
    found = facts_from_config(bare)
    assert (found.heads, found.kv_heads, found.head_dim) == (8, 4, 256)


def test_what_cannot_be_read_stays_unknown() -> None:
    assert facts_from_config({}).layers is None
    assert facts_from_config({"num_hidden_layers": 4}).layers is None
    assert facts_from_config({"num_hidden_layers": "many", "hidden_size": True}).hidden is None
    assert facts_from_config({"num_hidden_layers": 4}).notes


@pytest.mark.parametrize(
    ("scaling", "expected"),
    [
        (None, 40960),
        ({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}, 131072),
        ({"rope_type": "llama3", "factor": 8.0}, 40960),
        ({"type": "linear", "factor": 2.0}, 81920),
    ],
)
def test_context_length_with_scaled_rope(scaling: dict[str, Any] | None, expected: int) -> None:
    assert max_length({**models.DENSE, "rope_scaling": scaling}) == expected


@pytest.mark.parametrize(
    ("block", "bits", "kv"),
    [
        ({"quant_method": "fp8", "weight_block_size": [128, 128]}, 8.0, ""),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}, 4.5, "fp8"),
        ({"quant_method": "awq", "bits": 4, "group_size": 128}, 4.15625, ""),
        (
            {
                "quant_method": "compressed-tensors",
                "config_groups": {"g": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}},
            },
            4.5,
            "",
        ),
        ({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, 4.25, ""),
    ],
)
def test_spellings_of_quantisation(block: dict[str, Any], bits: float, kv: str) -> None:
    found = quant_of({"quantization_config": block})
    assert found is not None
    assert (found.bits, found.kv_dtype) == (bits, kv)


def test_a_companion_file_tells_the_quantisation_too() -> None:
    found = quant_of(
        {}, {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    )
    assert found is not None
    assert (found.bits, found.kv_dtype, found.kept) == (4.5, "fp8", ("lm_head",))
    assert quant_of({}) is None


GOLDEN = facts_from_metadata(
    model_params=30_000_000_000, model_dtype="nvfp4", num_layers=52, num_kv_heads=2, head_dim=128
)


def test_the_example_of_the_recipe_format() -> None:
    block = metadata_block(GOLDEN, 200_000)
    assert block is not None
    assert list(block.lines()) == [
        "VRAM Estimation:",
        "  Model weights:    19.56 GB",
        "  KV cache:         9.92 GB (max_model_len=200,000)",
        "  Tensor parallel:  1",
        "  Per-GPU total:    29.48 GB",
        "  DGX Spark fit:    YES",
    ]


def test_the_block_never_fits_from_a_missing_input() -> None:
    weights_only = metadata_block(facts_from_metadata(model_params=30_000_000_000, model_dtype="bf16"), 4096)
    assert weights_only is not None
    assert weights_only.fits is None
    assert "UNKNOWN" in list(weights_only.lines())[-1]
    too_big = metadata_block(facts_from_metadata(model_params=300_000_000_000, model_dtype="bf16"), None)
    assert too_big is not None
    assert too_big.fits is False
    assert metadata_block(facts_from_metadata(num_layers=4), 4096) is None
    assert metadata_block(facts_from_metadata(), 4096) is None


def test_metadata_overrides_replace_the_calculation() -> None:
    said = facts_from_metadata(model_vram_bytes=10 << 30, kv_vram_per_token_bytes=100_000.0)
    block = metadata_block(said, 10_000, 2)
    assert block is not None
    assert (block.weights, block.kv, block.per_gpu) == (10 << 30, 10**9, ((10 << 30) + 10**9) // 2)


def test_the_block_is_shared_out_over_all_ranks_of_the_model() -> None:
    block = metadata_block(GOLDEN, 200_000, 2, 3)
    whole = metadata_block(GOLDEN, 200_000)
    assert block is not None and whole is not None
    assert (block.weights, block.kv, block.per_gpu) == (whole.weights, whole.kv, whole.per_gpu // 6)
    assert "  Pipeline stages:  3" in list(block.lines())


def test_the_cache_has_the_engines_format_where_the_recipe_declares_none() -> None:
    whole = metadata_block(GOLDEN, 200_000)
    half = metadata_block(GOLDEN, 200_000, kv_dtype="fp8")
    same = metadata_block(GOLDEN, 200_000, kv_dtype="auto")
    declared = facts_from_metadata(
        model_params=1, model_dtype="bf16", num_layers=52, num_kv_heads=2, head_dim=128, kv_dtype="bfloat16"
    )
    kept = metadata_block(declared, 200_000, kv_dtype="fp8")
    assert whole is not None and half is not None and same is not None and kept is not None
    assert whole.kv is not None and half.kv == whole.kv // 2
    assert same.kv == kept.kv == whole.kv


def test_metadata_that_contradicts_the_model_is_noted_and_totals_win() -> None:
    joined = merge(facts_from_metadata(model_params=9, num_layers=99, head_dim=128), facts(models.DENSE))
    assert joined.params == 9
    assert joined.layers is not None and len(joined.layers) == 36
    assert joined.notes == ("the recipe says num_layers 99, the model's own files say 36",)


def test_metadata_fills_an_unknown_architecture() -> None:
    joined = merge(GOLDEN, facts_from_config({}))
    assert joined.layers is not None and len(joined.layers) == 52
    assert merge(facts_from_metadata(), facts(models.DENSE)) == facts(models.DENSE)


UNKNOWN_FAMILY = {**models.DENSE, "model_type": "foo_bar", "architectures": ["FooBarForCausalLM"]}


def test_a_family_that_is_not_modelled_is_not_taken_for_plain_attention() -> None:
    facts = facts_from_config(UNKNOWN_FAMILY)
    assert facts.layers is None
    assert facts.notes == ("how models of the architecture foo_bar cache tokens is not known here",)
    assert facts.hidden == 4096


def test_the_text_model_of_a_known_wrapper_counts() -> None:
    wrapped = {"model_type": "new_wrapper", "text_config": models.DENSE, "architectures": ["NewForConditional"]}
    assert facts_from_config(wrapped).layers is not None
    hidden = {"model_type": "qwen3_vl", "text_config": UNKNOWN_FAMILY}
    assert facts_from_config(hidden).layers is None


@pytest.mark.parametrize("level", ["context", "level"])
def test_the_verdict_on_an_unknown_family_is_unknown(level: str) -> None:
    weights = WeightFacts(16 * GIB, "headers")
    facts = facts_from_config(UNKNOWN_FAMILY, weights)
    found = estimate(facts, EngineSettings("vllm", max_model_len=8192, utilisation=0.6), [assumed_spark("spark-1")])
    assert (found.context.level if level == "context" else found.level) is Level.UNKNOWN
    assert any("foo_bar" in note for note in found.notes)
    assert found.weights_bytes is not None


def test_a_gguf_of_an_unknown_architecture_has_no_layers() -> None:
    keys = {"block_count": 2, "attention.head_count": 4, "embedding_length": 64, "attention.head_count_kv": 2}
    assert facts_from_gguf({"general.architecture": "qwen3", **{f"qwen3.{k}": v for k, v in keys.items()}}).layers
    unknown = facts_from_gguf({"general.architecture": "foobar", **{f"foobar.{k}": v for k, v in keys.items()}})
    assert unknown.layers is None
    assert "foobar" in unknown.notes[0]
