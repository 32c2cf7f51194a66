"""How SGLang 0.5.23 sizes its pools when something drafts for the model."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.sglang.cell import cell_of
from sparkrun_tui.memory.sglang.states import draft_tokens
from tests.memory import models
from tests.memory.models import facts
from tests.memory.sglang import DRAFT4, GPT_OSS, MTP4, plan, told


def test_eagle_counts_one_layer_of_the_target() -> None:
    found = plan(models.DENSE, 112, 95, utilisation=0.6, **DRAFT4 | {"speculative": Speculative("eagle3", model="x")})
    assert found.cell is not None and found.cell.total == 147456 + 4096
    assert (found.tokens, found.requests) == (355665, 48)
    window = plan(GPT_OSS, 112, 98, speculative=Speculative("eagle3", model="x"))
    assert window.cell is not None and window.cell.draft == 2048


def test_a_standalone_drafter_counts_its_layers_in_the_targets_size() -> None:
    model = replace(facts(models.DENSE), drafter=facts(models.DENSE, num_hidden_layers=28, num_key_value_heads=2))
    found = plan(model, 112, 60, speculative=Speculative("standalone", model="x"))
    assert found.cell is not None and found.cell.draft == 28 * 4096


def test_dflash_counts_its_own_layers_and_block() -> None:
    drafter = facts(models.DENSE, num_hidden_layers=5, block_size=16)
    model = replace(facts(models.DENSE), drafter=drafter)
    found = plan(model, 112, 94.5, utilisation=0.6, speculative=Speculative("dflash", model="x"))
    assert (found.tokens, found.cell and found.cell.total) == (317769, 167936)
    assert draft_tokens(model, told(speculative=Speculative("dflash"))) == 16


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
