"""From the inputs of a row to the arguments of `sglang serve`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NO_FLAGS = frozenset(
    {"weight_quant", "config", "hf_config", "free_before_load_gib", "free_after_load_gib", "draft_config"}
)
"""Inputs of a row that are no flags of the server."""

NAMES = {"tensor_parallel": "tp-size", "pipeline_parallel": "pp-size", "kv_dtype": "kv-cache-dtype"}
"""Inputs whose flag has another name; the others are flags with underscores."""

SPELLINGS = {"fp8_ds_mla": "fp8_e4m3", "fp8": "fp8_e4m3", "bf16": "bfloat16"}
"""Other spellings of cache types in rows of published logs."""


def arguments(inputs: Mapping[str, Any]) -> list[str]:
    """Return the flags that a row's inputs stand for; true ones are switches."""
    found: list[str] = []
    for name, value in inputs.items():
        if name in NO_FLAGS or name.startswith("checkpoint_") or value is None or value is False:
            continue
        flag = "--" + NAMES.get(name, name.replace("_", "-"))
        found += [flag] if value is True else [flag, SPELLINGS.get(str(value), str(value))]
    return found


def command(inputs: Mapping[str, Any], configs: Mapping[str, Any], folder: Path) -> list[str]:
    """The arguments of a row's server; its models are written into ``folder``."""
    model = write_model(configs[inputs["hf_config"]], folder / "model")
    scheme = inputs.get("checkpoint_kv_cache_quant_algo")
    if scheme:
        stated = {
            "producer": {"name": "modelopt"},
            "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": scheme},
        }
        (model / "hf_quant_config.json").write_text(json.dumps(stated))
    found = ["--model-path", str(model), "--skip-tokenizer-init", "--load-format", "dummy", *arguments(inputs)]
    drafter = inputs.get("draft_config")
    if drafter:
        found += ["--speculative-draft-model-path", str(write_model(configs[drafter], folder / "drafter"))]
    return found


def write_model(config: Mapping[str, Any], folder: Path) -> Path:
    """A model's folder that holds its configuration and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder
