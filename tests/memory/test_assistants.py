"""Gemma 4's assistants, which draft with keys and values of the target's cache.

vLLM leaves their layers out of the cache (v1/worker/gpu/attn_utils.py, get_kv_cache_spec). SGLang 0.5.23 counts them
in its budget like layers of the target's full pool (FROZEN_KV_MTP is an EAGLE in speculative/spec_info.py, and the
assistant is no architecture with a window pool), and then makes a pool of 64 tokens.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.result import Level
from sparkrun_tui.memory.settings import Speculative
from sparkrun_tui.memory.sglang.cell import SglangRefusal, cell_of
from sparkrun_tui.memory.vllm.plan import plan_cache
from sparkrun_tui.models.facts import WeightFacts
from tests.memory import drafters, models
from tests.memory.models import facts, settings
from tests.memory.sglang import plan, told

GIB = 1 << 30
NAME = "google/gemma-4-26B-A4B-it-assistant"
ASSISTANT: dict[str, Any] = {
    "architectures": ["Gemma4AssistantForCausalLM"],
    "model_type": "gemma4_assistant",
    "backbone_hidden_size": 2816,
    "text_config": {
        "model_type": "gemma4_text",
        "hidden_size": 1024,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 256,
        "vocab_size": 262144,
        "layer_types": ["sliding_attention"] * 3 + ["full_attention"],
        "sliding_window": 1024,
    },
}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("method", ["mtp", ""])
def test_vllm_gives_an_assistant_no_cache(known: bool, method: str) -> None:
    model = facts(models.UNEQUAL)
    alone = plan_cache(model, settings(), 32768)
    drafted = replace(model, drafter=facts(ASSISTANT) if known else None)
    found = plan_cache(drafted, settings(speculative=Speculative(method, 4, NAME)), 32768)
    assert alone is not None and found is not None
    assert found.grouping == alone.grouping
    assert found.notes == () and not found.unknown_drafter


def test_another_drafter_of_gemma_has_its_own_layers() -> None:
    model = replace(facts(models.UNEQUAL), drafter=facts(drafters.BLOCK))
    alone = plan_cache(facts(models.UNEQUAL), settings(), 32768)
    found = plan_cache(model, settings(speculative=Speculative("dflash", 15, "org/assistant")), 32768)
    assert alone is not None and found is not None
    assert found.blocks_per_request(32768) > alone.blocks_per_request(32768)


@pytest.mark.parametrize("method", ["nextn", "eagle"])
def test_sglang_counts_four_layers_of_the_target_in_the_full_pool(method: str) -> None:
    model = replace(facts(models.UNEQUAL, architectures=["Gemma4ForConditionalGeneration"]), drafter=facts(ASSISTANT))
    cell = cell_of(model, model.layers or (), told(speculative=Speculative(method, model=NAME)))
    # Full layers have two heads of 512 for keys and values.
    assert (cell.draft, cell.draft_window, cell.unbudgeted) == (4 * 2 * 1024 * 2, 0, 0)


def test_sglang_refuses_eagle3_for_an_assistant() -> None:
    model = replace(facts(models.UNEQUAL), drafter=facts(ASSISTANT))
    with pytest.raises(SglangRefusal, match="NEXTN or EAGLE"):
        plan(model, 112, 60, speculative=Speculative("eagle3", model=NAME))


@pytest.mark.parametrize(("known", "level"), [(True, Level.GOOD), (False, Level.UNKNOWN)])
def test_sglang_needs_an_assistants_file(known: bool, level: Level) -> None:
    model = replace(
        facts(models.UNEQUAL, architectures=["Gemma4ForConditionalGeneration"]),
        drafter=facts(ASSISTANT) if known else None,
        weights=WeightFacts(50 * GIB, "test", sharded=50 * GIB),
    )
    asked = told(speculative=Speculative("nextn", model=NAME), max_model_len=32768, utilisation=0.7)
    assert estimate(model, asked, [assumed_spark("spark-1")]).context.level is level


def test_an_eagle_of_two_layers_counts_both() -> None:
    model = replace(facts(models.DENSE), drafter=facts(models.DENSE, num_hidden_layers=2))
    cell = cell_of(model, model.layers or (), told(speculative=Speculative("eagle", model="org/eagle")))
    assert cell.draft == 2 * 4096
