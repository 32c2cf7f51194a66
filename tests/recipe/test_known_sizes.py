"""What lists know of a model by its name: the shipped sizes, and what a name says."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sparkrun_tui.cli.text.entries import entry_json, entry_row
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.models.known_sizes import KnownSize, known_size
from sparkrun_tui.models.shipped_table import known_models
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.format.quick_read import sketch
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.search.index import Index
from sparkrun_tui.recipe.search.summary import entry_of

B = 10**9


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("Qwen/Qwen3.6-35B-A3B-FP8", KnownSize(35 * B, 3 * B, "fp8", "table", "table")),
        ("QWEN/qwen3.6-35b-a3b-fp8", KnownSize(35 * B, 3 * B, "fp8", "table", "table")),
        ("poolside/Laguna-S-2.1-NVFP4", KnownSize(118 * B, 8 * B, "nvfp4", "table", "table")),
        ("Intel/Qwen3.5-122B-A10B-int4-AutoRound", KnownSize(122 * B, 10 * B, "int4_autoround", "table", "table")),
        ("meta-models/Muse-Glimmer-30B", KnownSize(round(29.6 * B), None, "bf16", "table", "table")),
        ("Qwen/Qwen3.8-Flash-Next", KnownSize(176 * B, 6 * B, "", "table", "")),
        # Of a fine-tune, the name says it.
        ("acme/Falcon-4.5B-A1B-int8", KnownSize(round(4.5 * B), B, "int8", "name", "name")),
        ("acme/Falcon-30B", KnownSize(30 * B, None, "", "name", "")),
        ("acme/Falcon-1T-A32B_AWQ-4bit", KnownSize(1000 * B, 32 * B, "awq", "name", "name")),
        ("acme/Falcon-30B-GGUF:UD-Q4_K_XL", KnownSize(30 * B, None, "q4_k_xl", "name", "name")),
        # Or the name of the model that it was made from.
        ("acme/DeepSeek-V4-Flash-0731-Abliterated", KnownSize(284 * B, 13 * B, "", "name", "")),
        ("acme/MiniMax-M2.7-heretic-NVFP4", KnownSize(230 * B, 10 * B, "nvfp4", "name", "name")),
        # The size of a part, of another model, or of what is left of one, is not known.
        ("acme/DeepSeek-V4-Flash-REAP50", KnownSize()),
        ("acme/DeepSeek-V4-Flash-Draft", KnownSize()),
        ("acme/DeepSeek-V4", KnownSize()),
        ("acme/Falcon-17B-16E", KnownSize()),
        ("acme/Falcon-8x7B", KnownSize()),
        ("acme/Falcon-30B-distilled-from-400B", KnownSize()),
        ("acme/Falcon-E4B-it", KnownSize()),
        ("acme/Falcon-4bit-2507-1M", KnownSize()),
        ("/models/falcon-30b", KnownSize(30 * B, None, "", "name", "")),
        ("", KnownSize()),
    ],
)
def test_sizes(model: str, size: KnownSize) -> None:
    assert known_size(model) == size


def test_every_model_of_the_table_of_facts_has_a_size() -> None:
    for model in known_models():
        assert known_size(model).params_from == "table", model


def test_what_is_cited_is_in_the_table() -> None:
    listed = yaml.safe_load((Path(__file__).parents[2] / "benchmarks" / "facts_models.yaml").read_text("utf-8"))
    assert len(listed["sizes"]) > 100
    for group in listed["sizes"]:
        assert group["source"]
        for model in group["models"]:
            assert known_size(model).params_from == "table", model


def entry(text: str) -> Entry:
    return entry_of(load_text(text), search_words())


STATED = (
    "model: acme/Falcon-30B-FP8\nruntime: vllm\ncontainer: x:1\nmetadata:\n  model_params: 7B\n  model_dtype: bf16\n"
)
NAMED = "model: acme/Falcon-30B-A3B-FP8\nruntime: vllm\ncontainer: x:1\n"
LISTED = "model: poolside/Laguna-S-2.1-FP8\nruntime: vllm\ncontainer: x:1\nmetadata:\n  model_dtype: nvfp4\n"
UNKNOWN = "model: acme/Falcon-REAP\nruntime: vllm\ncontainer: x:1\n"


def test_searches_fall_back_on_what_is_known_of_the_model() -> None:
    index = Index([entry(text) for text in (STATED, NAMED, LISTED, UNKNOWN)])

    def found(query: str) -> list[str]:
        return [hit.model for hit in index.search(query)]

    assert found("params:<10b") == ["acme/Falcon-30B-FP8"]
    assert found("params:30b") == ["acme/Falcon-30B-A3B-FP8"]
    assert found("params:>100b") == ["poolside/Laguna-S-2.1-FP8"]
    assert found("dtype:fp8") == ["acme/Falcon-30B-A3B-FP8"]
    assert found("dtype:nvfp4") == ["poolside/Laguna-S-2.1-FP8"]
    assert found("is:moe") == ["acme/Falcon-30B-A3B-FP8", "poolside/Laguna-S-2.1-FP8"]


@pytest.mark.parametrize(
    ("text", "cells", "origins"),
    [
        (STATED, ("7B", "bf16"), ("recipe", "recipe")),
        (NAMED, ("~30B-A3B", "~fp8"), ("name", "name")),
        (LISTED, ("~118B-A8B", "nvfp4"), ("table", "recipe")),
        (UNKNOWN, ("", ""), (None, None)),
    ],
)
def test_lists_say_where_a_size_comes_from(
    text: str, cells: tuple[str, str], origins: tuple[str | None, str | None]
) -> None:
    for listed in (entry(text), sketch(text, load_text(text).source)):
        assert listed is not None
        assert entry_row(listed)[2:4] == cells
        row = entry_json(listed)
        assert (row["model_params_from"], row["model_dtype_from"]) == origins
        assert (listed.stated_params is not None) == (origins[0] == "recipe")
