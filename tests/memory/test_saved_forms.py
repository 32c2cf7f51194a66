"""A configuration says the same as transformers saved it before 5.15, and as it saves it since."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from sparkrun_tui.memory.estimate import assumed_spark, estimate
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.config.reader import facts_from_config
from tests.memory.test_judged_defaults import ROWS

CONFIGS: dict[str, dict[str, Any]] = {row["name"]: row["config"] for row in ROWS["rows"]}
HOSTS = (assumed_spark("spark-1"), assumed_spark("spark-2"))
SETTINGS = (
    EngineSettings("vllm", max_model_len=8192),
    EngineSettings("vllm", max_model_len=8192, tensor_parallel=2),
    EngineSettings("sglang", max_model_len=8192),
)


def older(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration with the keys of before: `torch_dtype`, and `rope_theta` beside `rope_scaling`."""
    made = copy.deepcopy(config)
    for part in (made, made.get("text_config")):
        if not isinstance(part, dict):
            continue
        if "dtype" in part:
            part["torch_dtype"] = part.pop("dtype")
        rope = part.get("rope_parameters")
        if not isinstance(rope, dict) or any(isinstance(value, dict) for value in rope.values()):
            continue
        del part["rope_parameters"]
        kind = rope.pop("rope_type", "default")
        for key in ("rope_theta", "partial_rotary_factor"):
            if key in rope:
                part[key] = rope.pop(key)
        if kind != "default":
            part["rope_scaling"] = {"rope_type": kind, **rope}
    return made


@pytest.mark.parametrize("name", CONFIGS)
def test_both_forms_give_the_same_estimate(name: str) -> None:
    new = CONFIGS[name]
    old = older(new)
    assert old != new
    for settings in SETTINGS:
        first, second = (estimate(facts_from_config(config), settings, HOSTS) for config in (old, new))
        assert first.kv_bytes_per_request == second.kv_bytes_per_request
        assert first.weights_bytes == second.weights_bytes
        assert first.max_context == second.max_context
        assert (first.starts, first.context) == (second.starts, second.context)
