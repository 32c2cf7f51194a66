"""How SGLang 0.5.23 sizes its pools when something drafts for the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.sglang.case import work_out
from sparkrun_tui.memory.sglang.cell import SglangRefusal, cell_of
from sparkrun_tui.memory.sglang.states import draft_tokens
from sparkrun_tui.models.facts import WeightFacts
from tests.memory import drafters, models
from tests.memory.models import facts
from tests.memory.sglang import DRAFT4, GIB, GPT_OSS, MTP4, plan, told


def test_eagle_counts_one_layer_of_the_target() -> None:
    found = plan(models.DENSE, 112, 95, utilisation=0.6, **DRAFT4 | {"speculative": Speculative("eagle3", model="x")})
    assert found.cell is not None and found.cell.total == 147456 + 4096
    assert (found.tokens, found.requests) == (355665, 48)
    window = plan(GPT_OSS, 112, 98, speculative=Speculative("eagle3", model="x"))
    assert window.cell is not None and window.cell.draft == 2048


def test_an_unknown_eagle_drafter_may_have_more_layers() -> None:
    model = replace(facts(models.DENSE), weights=WeightFacts(16 * GIB, "headers"))
    settings = told(speculative=Speculative("eagle3", 3, "org/draft"))
    drafts = []
    for known in (model, replace(model, drafter=facts(models.DENSE, num_hidden_layers=1))):
        case = work_out(known, settings, assumed_spark("spark-1"))
        for found in (case.plan, case.fewest):
            assert found is not None and found.cell is not None
            drafts.append(found.cell.draft)
    assert drafts == [4096, 4 * 4096, 4096, 4096]


def test_a_standalone_drafter_counts_its_layers_in_the_targets_size() -> None:
    model = replace(facts(models.DENSE), drafter=facts(models.DENSE, num_hidden_layers=28, num_key_value_heads=2))
    found = plan(model, 112, 60, speculative=Speculative("standalone", model="x"))
    assert found.cell is not None and found.cell.draft == 28 * 4096


@pytest.mark.parametrize("drafter", [None, {"model_type": "unheard_of"}])
def test_nothing_is_said_of_a_context_beside_an_unknown_standalone_drafter(drafter: dict[str, Any] | None) -> None:
    model = replace(facts(models.DENSE), weights=WeightFacts(16 * GIB, "headers"))
    if drafter is not None:
        model = replace(model, drafter=facts(models.DENSE, **drafter))
    found = estimate(model, told(speculative=Speculative("standalone", 3, "org/draft")), [assumed_spark("spark-1")])
    assert found.context.level is Level.UNKNOWN
    assert "draft model" in found.context.detail


def test_dflash_counts_its_own_layers_and_block() -> None:
    drafter = facts(models.DENSE, num_hidden_layers=5, block_size=16)
    model = replace(facts(models.DENSE), drafter=drafter)
    found = plan(model, 112, 94.5, utilisation=0.6, speculative=Speculative("dflash", model="x"))
    assert (found.tokens, found.cell and found.cell.total) == (317769, 167936)
    assert draft_tokens(model, told(speculative=Speculative("dflash"))) == 16


@pytest.mark.parametrize(
    ("fields", "ranks", "size"),
    [
        ({}, 1, 2),
        ({"kv_cache_dtype": "fp8_e4m3"}, 1, 1),
        ({"kv_cache_dtype": "nvfp4"}, 1, 1),
        ({"kv_cache_dtype": "fp8_e4m3", "speculative": Speculative("dflash", model="x", cache_dtype="bf16")}, 1, 2),
        ({"speculative": Speculative("dflash", model="x", cache_dtype="fp8_e5m2")}, 1, 1),
        ({"tensor_parallel": 2}, 2, 2),
    ],
)
def test_windowed_drafters_keep_every_token_in_their_own_data_type(
    fields: dict[str, Any], ranks: int, size: int
) -> None:
    # mem_cache/draft_kv_budget.py: heads of a rank x (key + value) x layers x bytes, whatever the windows are.
    model = replace(facts(models.DENSE), drafter=facts(drafters.BLOCK))
    asked = {"speculative": Speculative("dflash", model="x"), **fields}
    cell = cell_of(model, model.layers or (), told(**asked))
    assert cell.draft == 8 // ranks * 256 * 5 * size


def test_a_checkpoints_own_cache_type_is_not_the_drafters() -> None:
    scheme = {"quantization_config": {"quant_method": "fp8", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}}
    model = replace(facts({**models.DENSE, **scheme}), drafter=facts(drafters.BLOCK))
    cell = cell_of(model, model.layers or (), told(speculative=Speculative("dflash", model="x")))
    assert (cell.full, cell.draft) == (36 * 8 * 256, 5 * 8 * 256 * 2)


@pytest.mark.parametrize(
    ("method", "drafter", "tokens"),
    [
        ("dflash", drafters.CONVOLVED, 8),
        ("dflash", drafters.BLOCK, 16),
        ("dflash", drafters.LAGUNA, 16),
        ("dspark", drafters.SUNK, 9),
    ],
)
def test_a_drafters_file_says_how_long_its_blocks_are(method: str, drafter: dict[str, Any], tokens: int) -> None:
    model = replace(facts(models.DENSE), drafter=facts(drafter))
    assert draft_tokens(model, told(speculative=Speculative(method, model="x"))) == tokens


def test_blocks_of_an_unknown_drafter_have_the_usual_length() -> None:
    model = facts(models.DENSE)
    assert draft_tokens(model, told(speculative=Speculative("dflash", model="x"))) == 16
    assert draft_tokens(model, told(speculative=Speculative("dspark", model="x"))) == 8


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"pipeline_parallel": 2, "speculative": Speculative("dflash", model="x")}, "pipeline"),
        ({"speculative": Speculative("dflash")}, "--speculative-draft-model-path"),
    ],
)
def test_settings_that_block_drafters_refuse(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(SglangRefusal, match=reason):
        plan(models.DENSE, 112, 90, utilisation=0.6, **fields)


def test_nothing_is_said_of_a_context_beside_an_unknown_block_drafter() -> None:
    known = replace(facts(models.DENSE), weights=WeightFacts(16 * GIB, "t", sharded=16 * GIB))
    asked = told(utilisation=0.8, max_model_len=16384, speculative=Speculative("dflash", model="org/draft"))
    found = estimate(known, asked, [assumed_spark("spark-1")])
    assert found.context.level is Level.UNKNOWN
    assert "draft model" in found.context.detail
    assert not found.proposals
    drafting = estimate(replace(known, drafter=facts(drafters.BLOCK)), asked, [assumed_spark("spark-1")])
    assert drafting.context.level is Level.GOOD


def test_drafting_modules_count_with_their_index_keys() -> None:
    model = facts(models.SPARSE)
    cell = cell_of(model, model.layers or (), told(**DRAFT4))
    assert cell.draft == 656 + 132


def test_modules_of_window_models_go_to_the_window_pool() -> None:
    model = facts(GPT_OSS, num_nextn_predict_layers=3)
    cell = cell_of(model, model.layers or (), told(**DRAFT4))
    assert (cell.draft, cell.draft_window) == (0, 3 * 2048)


def test_modules_that_the_file_does_not_count_come_on_top_of_the_budget() -> None:
    found = plan(models.HYBRID, 112, 60, utilisation=0.7, **DRAFT4)
    assert found.cell is not None and found.cell.draft == 0
    assert found.outside == found.tokens * 4096
    budgeted = plan(
        models.HYBRID, 112, 60, utilisation=0.7, **DRAFT4 | {"speculative": Speculative("nextn", model="x")}
    )
    assert budgeted.outside == 0 and budgeted.draft > 0


@pytest.mark.parametrize(
    ("fields", "tokens"),
    [
        ({"speculative": Speculative("eagle3", model="x")}, 8),
        ({"speculative": Speculative("eagle3", model="x"), "speculative_num_steps": 2}, 3),
        ({"speculative": MTP4, "speculative_num_draft_tokens": 6}, 6),
        ({}, 0),
    ],
)
def test_drafted_tokens(fields: dict[str, Any], tokens: int) -> None:
    llama = facts(models.DENSE, architectures=["LlamaForCausalLM"])
    assert draft_tokens(llama, told(**fields)) == tokens


@pytest.mark.parametrize("length", [65536, 262144])
@pytest.mark.parametrize("share", [0.5, 0.6, 0.75])
@pytest.mark.parametrize("target", [models.HYBRID, models.INDEXED, models.UNEQUAL])
@pytest.mark.parametrize("drafter", [None, drafters.BLOCK, drafters.LAGUNA])
def test_what_is_proposed_helps(
    target: dict[str, Any], drafter: dict[str, Any] | None, share: float, length: int
) -> None:
    weights = WeightFacts(50 * GIB, "test", sharded=50 * GIB)
    model = replace(facts(target), drafter=facts(drafter) if drafter else None, weights=weights)
    method = Speculative("dflash", model="x") if drafter else None
    asked = told(utilisation=share, max_model_len=length, speculative=method)
    host = assumed_spark("spark-1")
    for proposal in estimate(model, asked, [host]).proposals:
        if proposal.key == "max_model_len":
            changed = replace(asked, max_model_len=int(proposal.new))
        elif proposal.key == "gpu_memory_utilization":
            changed = replace(asked, utilisation=float(proposal.new))
        else:
            continue
        found = estimate(model, changed, [host])
        assert found.starts.level is not Level.BAD, proposal
        if "pool holds" in proposal.why:
            assert found.pool_tokens is not None and found.pool_tokens >= (changed.max_model_len or 0), proposal
