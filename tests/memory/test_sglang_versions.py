"""Where SGLang's releases size their pools in other ways; the figures are those of each release's own code."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.sglang.cell import cell_of
from sparkrun_tui.memory.sglang.family import page_size
from sparkrun_tui.memory.sglang.plan import budget_of
from sparkrun_tui.memory.sglang.versions import NEWEST, parse_version, rules_for
from tests.memory import models
from tests.memory.models import facts
from tests.memory.sglang import DRAFT4, fraction, plan, told

GIB = 1 << 30
STEP: dict[str, Any] = {
    **models.WINDOWED,
    "architectures": ["Step3p5ForCausalLM"],
    "num_key_value_heads": 8,
    "head_dim": 128,
    "num_nextn_predict_layers": 3,
}


@pytest.mark.parametrize(
    ("text", "version"),
    [("v0.5.20.post1", (0, 5, 20)), ("0.5.10rc0-cu13", (0, 5, 10)), ("nightly-dev-20261001", None), ("", None)],
)
def test_a_version_is_read_out_of_what_states_it(text: str, version: tuple[int, int, int] | None) -> None:
    assert parse_version(text) == version
    assert rules_for(text).version == (version or NEWEST)


def test_a_limit_of_requests_lowers_the_graphs_that_newer_releases_leave_room_for() -> None:
    assert fraction(models.DENSE, tensor_parallel=2, max_num_seqs=32, version="0.5.22") == 0.891
    assert fraction(models.DENSE, tensor_parallel=2, max_num_seqs=32, version="0.5.21") == 0.887
    stated = {"tensor_parallel": 2, "cuda_graph_max_bs": 256, "version": "0.5.23"}
    assert fraction(models.DENSE, max_num_seqs=32, **stated) == 0.887


def test_deepseek_v4_pays_for_the_padding_of_pages_since_0_5_21() -> None:
    fields = {"utilisation": 0.82, "max_model_len": 262144, "max_num_seqs": 8, "tensor_parallel": 2}
    old = plan(models.COMPRESSED, 112, 37, version="0.5.20", **fields)
    assert (old.tokens, old.window_tokens) == (2331648, 232960)
    assert plan(models.COMPRESSED, 112, 37, version="0.5.21", **fields).tokens == 2535168


def test_each_token_has_an_index_key_of_its_own_before_0_5_22() -> None:
    assert page_size(facts(models.POOLED), told(version="0.5.21")) == 64
    assert page_size(facts(models.POOLED), told(version="0.5.22")) == 1024
    old = plan(models.POOLED, 112, 50, utilisation=0.85, version="0.5.20")
    assert old.cell is not None and old.cell.total == 11 * (512 + 132)


def test_prefill_of_latent_models_runs_without_graphs_before_0_5_18() -> None:
    nemotron = {**models.MAMBA2, "architectures": ["NemotronHForCausalLM"]}
    assert [fraction(models.LATENT, version=version) for version in ("0.5.17", "0.5.18")] == [0.892, 0.88]
    assert [fraction(nemotron, version=version) for version in ("0.5.17", "0.5.18")] == [0.892, 0.888]
    assert fraction(models.SPARSE, version="0.5.17") == 0.88
    assert fraction(models.DENSE, version="0.5.17") == 0.888


def test_every_layer_keeps_index_keys_before_0_5_18() -> None:
    model = facts(models.SPARSE, index_topk_freq=4, index_skip_topk_offset=3)
    old, new = (cell_of(model, model.layers or (), told(version=version)).total for version in ("0.5.17", "0.5.18"))
    assert (old, new) == (78 * (656 + 132), 78 * 656 + 21 * 132)


def test_own_modules_of_few_architectures_are_budgeted_before_0_5_20() -> None:
    step = facts(STEP)
    old, new = (cell_of(step, step.layers or (), told(version=version, **DRAFT4)) for version in ("0.5.19", "0.5.20"))
    assert (old.draft_window, old.unbudgeted) == (0, 3 * 2 * 8 * 128 * 2)
    assert (new.draft_window, new.unbudgeted) == (3 * 2 * 8 * 128 * 2, 0)
    own = facts(models.SPARSE)
    assert cell_of(own, own.layers or (), told(version="0.5.19", **DRAFT4)).draft > 0


def test_nothing_is_held_back_for_pictures_before_0_5_18() -> None:
    model = facts(models.DENSE, architectures=["Gemma4ForConditionalGeneration"], vision_config={})
    assert model.multimodal
    since, before = (
        budget_of(model, told(version=version), 0.8, 100 * GIB, 90 * GIB) for version in ("0.5.18", "0.5.17")
    )
    assert before - since == 100 << 20


def test_drafters_are_budgeted_since_0_5_14() -> None:
    model = facts(models.DENSE)
    drafting = {"speculative": Speculative("eagle3", 3, "org/draft")}
    old, new = (
        cell_of(model, model.layers or (), told(version=version, **drafting)) for version in ("0.5.13", "0.5.14")
    )
    assert (old.draft, old.unbudgeted) == (0, 4096)
    assert (new.draft, new.unbudgeted) == (4096, 0)


@pytest.mark.parametrize(
    ("method", "shares"), [("eagle3", [0.863, 0.896]), ("standalone", [0.847, 0.896]), ("ngram", [0.896, 0.896])]
)
def test_a_drafter_had_a_reserve_until_0_5_13(method: str, shares: list[float]) -> None:
    drafting = {"speculative": Speculative(method, 3), "disable_cuda_graph": True}
    found = [fraction(models.DENSE, version=version, **drafting) for version in ("0.5.13", "0.5.14")]
    assert found == shares


def test_states_are_shared_in_another_way_before_0_5_14() -> None:
    fields = {"utilisation": 0.8, "max_num_seqs": 16, **DRAFT4}
    counts = []
    for version in ("0.5.13", "0.5.14", "0.5.17"):
        slots = plan(models.MAMBA2, 112, 50, version=version, **fields).slots
        assert slots is not None
        counts.append((slots.count, slots.per_request))
    # 284.5 slots fit a share of 9/19 of 27.6 GiB. 16 requests of four drafted tokens come off before it: 30.3 less.
    # Later each five slots bring four more states, and since 0.5.17 a padding slot with its four is taken off.
    assert counts == [(255, 3), (158, 5), (156, 5)]
