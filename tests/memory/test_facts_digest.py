"""Digests: small, and the facts read from them are those of the whole configuration."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.digest import FORMAT, Digest, digest_config, facts_of, from_data, packed, to_data, unpacked
from sparkrun_tui.models.digest_cache import digest_path, read_digest, write_digest
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.shipped_table import PATH, find_digest

CONFIG = {
    "architectures": ["Qwen3NextForCausalLM"],
    "model_type": "qwen3_next",
    "bos_token_id": 151643,
    "hidden_act": "silu",
    "initializer_range": 0.02,
    "rms_norm_eps": 1e-06,
    "attention_dropout": 0.0,
    "transformers_version": "4.57.0",
    "hidden_size": 2048,
    "intermediate_size": 5120,
    "head_dim": 256,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "num_hidden_layers": 8,
    "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 2,
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 128,
    "linear_num_key_heads": 16,
    "linear_num_value_heads": 32,
    "linear_value_head_dim": 128,
    "num_experts": 512,
    "num_experts_per_tok": 10,
    "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
    "quantization_config": {
        "quant_method": "fp8",
        "weight_block_size": [128, 128],
        "modules_to_not_convert": [f"model.layers.{layer}.mlp.gate" for layer in range(8)] + ["lm_head"],
    },
}


def test_facts_of_a_digest_are_those_of_the_whole_file() -> None:
    digest = digest_config(CONFIG)
    whole, small = facts_from_config(CONFIG), facts_from_config(digest)
    assert whole.quant is not None and small.quant is not None
    assert small.quant.kept == ("model.layers.*.mlp.gate", "lm_head")
    assert replace(small, quant=replace(small.quant, kept=whole.quant.kept)) == whole
    assert len(json.dumps(packed(digest))) < 1200
    assert digest.keys().isdisjoint({"bos_token_id", "hidden_act", "rms_norm_eps", "transformers_version"})


def test_what_counts_is_kept_even_where_names_sound_alike() -> None:
    digest = digest_config(
        {"num_experts_per_token": 16, "experts_per_token": 4, "eos_token_id": 2, "sliding_window": None}
    )
    assert digest == {"num_experts_per_token": 16, "experts_per_token": 4, "sliding_window": None}


def test_the_companion_file_stands_in_for_a_missing_block_and_adds_its_cache_format() -> None:
    companion = {"quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "exclude_modules": ["lm_head"]}}
    plain = {key: value for key, value in CONFIG.items() if key != "quantization_config"}
    quant = facts_from_config(digest_config(plain, companion)).quant
    assert quant is not None
    assert (quant.method, quant.bits, quant.kv_dtype, quant.kept) == ("modelopt", 4.5, "fp8", ("lm_head",))
    own = facts_from_config(digest_config(CONFIG, companion)).quant
    assert own is not None
    assert (own.method, own.kv_dtype) == ("fp8", "fp8")


def test_layers_of_several_formats_become_patterns_and_the_smallest_counts() -> None:
    layers = {
        f"model.layers.{layer}.{name}": {"quant_algo": algorithm}
        for layer in range(8)
        for name, algorithm in (("self_attn.q_proj", "FP8"), ("mlp.experts", "W4A16_NVFP4"))
    }
    block = {"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    digest = digest_config({**CONFIG, "quantization_config": block})
    assert digest["quantization_config"] == {
        "quant_method": "modelopt",
        "quant_algo": "MIXED_PRECISION",
        "layer_formats": {
            "FP8": ["model.layers.*.self_attn.q_proj"],
            "W4A16_NVFP4": ["model.layers.*.mlp.experts"],
        },
    }
    for config in (digest, {**CONFIG, "quantization_config": block}):
        quant = facts_from_config(config).quant
        assert quant is not None and quant.bits == 4.5


def test_a_digest_goes_to_a_file_and_back(tmp_path: Path) -> None:
    weights = WeightFacts(total=80_000, source="headers", sharded=70_000, replicated=10_000, experts=60_000)
    digest = Digest("acme/one", "Hub", "a" * 40, digest_config(CONFIG), weights=weights, params=79_674_391_296)
    path = digest_path(tmp_path / "models", "acme/one")
    write_digest(path, digest)
    assert read_digest(path) == digest
    assert path.stat().st_size < 2048
    assert [item.name for item in path.parent.iterdir()] == ["acme--one.json"]
    facts = facts_of(digest)
    assert (facts.source, facts.weights, facts.params) == ("Hub", weights, 79_674_391_296)


def test_paths_of_digests_are_apart_and_inside_their_folder(tmp_path: Path) -> None:
    names = [
        digest_path(tmp_path, "acme/one"),
        digest_path(tmp_path, "acme/one", "v2"),
        digest_path(tmp_path, "acme/one-GGUF:Q4_K_M"),
        digest_path(tmp_path, "acme/one-GGUF:Q8_0"),
        digest_path(tmp_path, "acme/one", "refs/pr/1"),
        digest_path(tmp_path, "../../etc/passwd"),
    ]
    assert len(set(names)) == len(names)
    assert all(path.parent == tmp_path and not path.name.startswith(".") for path in names)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        json.dumps({"format": FORMAT}),
        json.dumps({"format": FORMAT + 1, "model": "a/b", "config": {"x": 1}}),
        json.dumps({"format": FORMAT, "model": "a/b", "source": 3, "config": {"x": 1}}),
        json.dumps({"format": FORMAT, "model": "a/b", "source": "x", "config": []}),
        "[" * 100_000,
        "\x00\xff",
    ],
)
def test_damaged_digests_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text, encoding="latin-1")
    assert read_digest(path) is None


def test_sizes_that_are_none_leave_the_weights_out() -> None:
    data = {"format": FORMAT, "model": "a/b", "source": "x", "config": {"x": 1}}
    for weights in ({"total": -1}, {"total": "many"}, {}, {"total": 0}, {"total": 5, "experts": 1.5}):
        digest = from_data({**data, "weights": weights})
        assert digest is not None and digest.weights is None
    digest = from_data({**data, "weights": {"total": 5, "source": "headers", "other": 1}})
    assert digest is not None and digest.weights == WeightFacts(5, "headers")


def test_a_digest_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", refuse)
    with pytest.raises(OSError, match="space"):
        write_digest(tmp_path / "x.json", Digest("a/b", "x", config={"k": 1}))
    assert list(tmp_path.iterdir()) == []


_items = st.sampled_from(["full", "state", "window"])


@given(st.lists(_items, max_size=70), st.integers(1, 8))
def test_lists_of_layers_survive_packing(items: list[str], times: int) -> None:
    config = {"layer_types": items * times, "text_config": {"kinds": items}}
    assert unpacked(packed(config)) == config
    assert unpacked(json.loads(json.dumps(packed(config)))) == config


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
        max_leaves=20,
    )
)
def test_any_json_becomes_a_digest_or_none(value: object) -> None:
    from_data(value)
    if isinstance(value, dict):
        facts_of(Digest("a/b", "x", config=digest_config({**value, "model_type": "llama"})))
        assert from_data(to_data(Digest("a/b", "x", config=digest_config({"model_type": "llama"})))) is not None


def test_the_tables_own_rows_are_small() -> None:
    assert PATH.stat().st_size < 200_000
    digest = find_digest("Qwen/Qwen3.6-35B-A3B-FP8")
    assert digest is not None
    assert len(json.dumps(to_data(digest), separators=(",", ":"))) < 2500


def test_lists_for_some_layers_keep_their_numbers() -> None:
    kept = [f"model.layers.{layer}.self_attn.o_proj" for layer in (0, 2, 3, 4, 7)]
    kept += [f"model.layers.{layer}.mlp.experts.{expert}.up_proj" for layer in range(8) for expert in range(3)]
    kept += ["re:.*layers\\.5\\..*"]
    digest = digest_config({**CONFIG, "quantization_config": {"quant_method": "fp8", "ignored_layers": kept}})
    assert digest["quantization_config"] == {
        "quant_method": "fp8",
        "ignored_layers": [
            "model.layers.{0,2-4,7}.self_attn.o_proj",
            "model.layers.*.mlp.experts.*.up_proj",
            "re:.*layers\\.5\\..*",
        ],
    }


def test_settings_of_single_modules_are_joined() -> None:
    own = {f"model.layers.{layer}.mlp.gate": {"bits": 16} for layer in range(8)} | {"lm_head": {"bits": 8}}
    block = {"quant_method": "auto-round", "bits": 4, "group_size": 128, "extra_config": own}
    digest = digest_config({**CONFIG, "quantization_config": block})
    joined = {"model.layers.*.mlp.gate": {"bits": 16}, "lm_head": {"bits": 8}}
    assert digest["quantization_config"] == {**block, "extra_config": joined}
