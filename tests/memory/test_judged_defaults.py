"""Default configurations of many families, with what vLLM's own planning code needs for one request of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.memory_rows import UNCOMPUTED, RowScore
from benchmarks.memory_score import score_file

ROWS = json.loads(Path(__file__).with_name("judged_defaults.json").read_text(encoding="utf-8"))
UNKNOWN = {"hy_v4/HYV4ForCausalLM", "diffusion_gemma/DiffusionGemmaForBlockDiffusion"}
"""Families that are not modelled: nothing is said of them, and nothing wrong."""

SCORES = score_file(ROWS)


@pytest.mark.parametrize("score", SCORES, ids=[score.name for score in SCORES])
def test_one_request_needs_what_vllm_says(score: RowScore) -> None:
    error = score.pairs["kv"].error("kv")
    if score.name in UNKNOWN:
        assert error == UNCOMPUTED
    else:
        assert error <= 0.01


def test_there_are_many() -> None:
    assert len(SCORES) > 60
