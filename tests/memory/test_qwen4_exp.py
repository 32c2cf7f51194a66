"""Qwen4-Exp (Qwen3.8-Flash-Next): caches of an index, convolutions over n-gram embeddings, and what engines refuse.

The figures are worked out by hand from vLLM 0.33 (models/qwen4_exp/common/qsa_cache.py, nvidia/ple_layer.py,
v1/core/kv_cache_planning.py) and SGLang 0.5.23 (mem_cache/qsa_kv_pool.py, model_executor/pool_configurator.py).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.settings import EngineSettings, LlamaOptions, Speculative
from sparkrun_tui.memory.sglang.cell import cell_of
from sparkrun_tui.memory.sglang.family import page_size
from sparkrun_tui.memory.sglang.states import bytes_per_slot
from sparkrun_tui.memory.vllm.case import work_out
from sparkrun_tui.memory.vllm.devices import SPARK
from sparkrun_tui.memory.vllm.layers import Builder, Unsupported
from sparkrun_tui.memory.vllm.plan import plan_cache
from sparkrun_tui.memory.vllm.spec import SpecKind
from sparkrun_tui.memory.vllm.versions import rules_for
from sparkrun_tui.memory.weights.on_rank import weights_of
from sparkrun_tui.models.facts import WeightFacts
from sparkrun_tui.models.layers import StateKind
from sparkrun_tui.models.modules.listing import modules_of
from sparkrun_tui.models.modules.module import count
from sparkrun_tui.models.modules.ngrams import table_bytes
from sparkrun_tui.models.tensor_classes import tensor_class
from tests.memory import drafters, models
from tests.memory.models import facts, settings
from tests.memory.sglang import told

GIB = 1 << 30
LENGTH = 262144
DRAFTS = Speculative("mtp", 4)


def test_every_fourth_layer_has_an_index_and_the_second_a_convolution() -> None:
    layers = facts(models.INDEXED).layers
    assert layers is not None
    full = [layer.attention for layer in layers if layer.attention is not None]
    assert len(full) == 12 and {(a.kv_heads, a.head_k, a.indexer, a.index_pool) for a in full} == {(2, 256, 128, 4)}
    beside = [index for index, layer in enumerate(layers) if layer.beside is not None]
    assert beside == [1]
    state = layers[1].beside
    assert state is not None and (state.kind, state.inner, state.kernel - 1) == (StateKind.NGRAM_CONV, 10240, 9)


def test_without_index_heads_attention_is_dense() -> None:
    text = {**models.INDEXED["text_config"], "indexer_n_heads": None, "ple_layer_ids": None}
    layers = facts(models.INDEXED, text_config=text).layers
    assert layers is not None
    assert not [layer for layer in layers if layer.beside or (layer.attention and layer.attention.indexer)]


@pytest.mark.parametrize(
    ("version", "block", "states", "blocks"),
    [("0.32", 3216, 6, 82 + 1 + 3 * 6 + 6), ("0.33", 3264, 7, 81 + 1 + 3 * 7 + 7)],
)
def test_vllm_packs_tokens_index_and_states_into_one_block(version: str, block: int, states: int, blocks: int) -> None:
    # A rank of two has 5,120 convolution channels x 7 columns x 2 bytes and 24 heads x 128 x 128 x 4: 1,644,544 bytes,
    # a token one head x 512 bytes. 0.33 saves a state within a prefill, in blocks of whole chunks of 64.
    asked = settings(version=version, tensor_parallel=2, kv_cache_dtype="fp8", speculative=DRAFTS)
    plan = plan_cache(facts(models.INDEXED), asked, LENGTH)
    assert plan is not None
    assert (plan.block, plan.state_bytes) == (block, 1644544)
    assert plan.bytes_per_block == 13 * (block * 512 + block // 4 * 256)
    assert plan.blocks_per_request(LENGTH) == blocks
    groups = [(group.spec.kind, len(group.layers), group.spec.page) for group in plan.grouping.groups]
    ring = 8 * (128 + 12) * 2
    assert groups == [
        *[(SpecKind.STATE, 12, block * 512)] * 3,
        (SpecKind.STATE, 1, block * 512),
        (SpecKind.FULL, 26, block * 512),
        (SpecKind.TAIL, 13, ring),
    ]
    assert plan.grouping.groups[3].spec.states == states


@pytest.mark.parametrize(("fields", "width"), [({}, 140), ({"text_only": True}, 128)])
def test_positions_of_images_lie_beside_the_raw_keys(fields: dict[str, Any], width: int) -> None:
    plan = plan_cache(facts(models.INDEXED), settings(**fields), LENGTH)
    assert plan is not None
    assert plan.grouping.groups[-1].spec.page == 4 * width * 2


@pytest.mark.parametrize(("ranks", "drafted"), [(1, 0), (2, 0), (2, 4)])
def test_each_rank_has_the_whole_convolution(ranks: int, drafted: int) -> None:
    model = facts(models.INDEXED)
    assert model.layers is not None and model.layers[1].beside is not None
    asked = settings(tensor_parallel=ranks, speculative=Speculative("mtp", drafted) if drafted else None)
    builder = Builder(model, asked, rules_for("0.33"), SPARK)
    assert builder.state_bytes(model.layers[1].beside) == 10240 * (9 + drafted) * 2


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"pipeline_parallel": 2}, "pipeline"),
        ({"tensor_parallel": 2, "context_parallel": 2}, "context parallelism"),
        ({"kv_cache_dtype": "nvfp4"}, "no kernel"),
    ],
)
def test_vllm_refuses(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(Unsupported, match=said):
        plan_cache(facts(models.INDEXED), settings(**fields), LENGTH)


@pytest.mark.parametrize(
    ("speculative", "noted"), [(Speculative("dflash", 15, "org/draft"), True), (DRAFTS, False), (None, False)]
)
def test_a_drafter_that_only_forks_take_is_noted(speculative: Speculative | None, noted: bool) -> None:
    model = replace(facts(models.INDEXED), drafter=facts(drafters.BLOCK))
    plan = plan_cache(model, settings(version="0.33", speculative=speculative), LENGTH)
    assert plan is not None
    assert bool([note for note in plan.notes if "refuse" in note]) is noted


def test_sglang_counts_a_shared_index_key_and_no_convolution() -> None:
    model = facts(models.INDEXED)
    layers = model.layers or ()
    asked = told(tensor_parallel=2)
    assert cell_of(model, layers, asked).total == 12 * (1 * 512 * 2 + 128 * 2 // 4)
    # Index keys are not split over ranks and stay in bfloat16.
    fp8 = told(tensor_parallel=2, kv_cache_dtype="fp8_e4m3")
    assert cell_of(model, layers, fp8).total == 12 * (1 * 512 + 64)
    assert page_size(model, asked) == 64
    assert bytes_per_slot(model, layers, asked) == 36 * (3 * 5120 * 2 + 24 * 128 * 128 * 4)


def test_an_engine_that_is_not_known_to_have_an_index_stays_unknown() -> None:
    model = replace(facts(models.INDEXED), weights=WeightFacts(80 * GIB, "test", sharded=80 * GIB))
    asked = EngineSettings("llama-cpp", llama=LlamaOptions(ctx_size=LENGTH))
    found = estimate(model, asked, [assumed_spark("spark-1")])
    assert found.context.level is Level.UNKNOWN
    assert "how this engine caches models of the architecture qwen4_exp_text is not known here" in found.notes


@pytest.mark.parametrize("length", [65536, LENGTH])
@pytest.mark.parametrize("share", [0.45, 0.5, 0.6])
@pytest.mark.parametrize("speculative", [None, DRAFTS])
def test_what_is_proposed_helps(speculative: Speculative | None, share: float, length: int) -> None:
    model = replace(facts(models.INDEXED), weights=WeightFacts(50 * GIB, "t", sharded=50 * GIB))
    asked = settings(version="0.33", utilisation=share, max_model_len=length, speculative=speculative)
    host = assumed_spark("spark-1")
    for proposal in estimate(model, asked, [host]).proposals:
        if proposal.key == "max_model_len":
            changed = replace(asked, max_model_len=int(proposal.new))
        elif proposal.key == "gpu_memory_utilization":
            changed = replace(asked, utilisation=float(proposal.new))
        else:
            continue
        assert work_out(model, changed, host).context_level in (Level.GOOD, Level.TIGHT), proposal


# --- weights --------------------------------------------------------------------------------------------------------


def test_the_parameters_are_those_of_the_public_checkpoint() -> None:
    # Measured as 176.94B (kubesimplify/website#267): 125.7B and n-gram embeddings of 51.2B, without the drafter.
    modules = modules_of(facts(models.INDEXED))
    assert modules is not None
    assert round(count(modules.text) / 1e7) == 17695
    assert round(table_bytes(facts(models.INDEXED)) / 2 / 1e8) == 512


@pytest.mark.parametrize(
    ("block", "stated", "size"),
    [
        (None, None, 2),
        ({"quant_method": "fp8"}, None, 1),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, None, 1),
        ({"quant_method": "compressed-tensors"}, None, 2),
        ({"quant_method": "fp8"}, "nvfp4", 9 / 16),
    ],
)
def test_the_table_has_a_format_of_its_own(block: dict[str, Any] | None, stated: str | None, size: float) -> None:
    text = {**models.INDEXED["text_config"], "ple_embedding_dtype": stated}
    changes = {"quantization_config": block} if block else {}
    assert table_bytes(facts(models.INDEXED, text_config=text, **changes)) == 320_000_000 * 160 * size


@pytest.mark.parametrize("ranks", [1, 2])
def test_sglang_may_map_the_table_from_a_file(ranks: int) -> None:
    model = facts(models.INDEXED, quantization_config={"quant_method": "modelopt", "quant_algo": "NVFP4"})
    pinned, mapped = (weights_of(model, told(tensor_parallel=ranks, ple_backend=kind)) for kind in ("pinned", "file"))
    assert pinned is not None and mapped is not None
    assert pinned.rank - mapped.rank == 320_000_000 * 160 // ranks
    asked = told(tensor_parallel=ranks, ple_backend="file")
    found = estimate(model, asked, [assumed_spark(f"spark-{rank}") for rank in range(ranks)])
    assert [note for note in found.notes if "n-gram" in note] == [
        "the n-gram tables of 47.7 GiB are mapped from a file and not counted"
    ]


@pytest.mark.parametrize(
    "name",
    [
        "model.language_model.layers.0.attn_hyper_connection.input_mix_weight_up.weight",
        "model.language_model.layers.3.self_attn.index_qk_proj.weight",
        "model.language_model.layers.1.ple.key_proj.weight",
    ],
)
def test_tensors_that_each_rank_keeps(name: str) -> None:
    assert tensor_class(name) == "replicated"
    assert tensor_class("model.language_model.layers.1.ple.ple_embedding.ngram_embedding.shard_3.weight") == "sharded"
