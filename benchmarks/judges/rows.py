"""Rows to judge: read from files of plans, of weights or of default configurations, or made of the shipped table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from benchmarks.memory_vllm import default_configs
from sparkrun_tui.models.digest import unpacked
from sparkrun_tui.models.shipped_table import PATH

HARDWARE = "GB10 platform look-alike (sm_121, 121.63 GiB)"
SHIPPED_RANKS = (1, 2)

ENGINE_INPUTS: Mapping[str, Mapping[str, Any]] = {
    "vllm": {"prefix_caching": True},
    "sglang": {"free_before_load_gib": 112.0, "free_after_load_gib": 48.0},
}
"""What a row of the shipped table states beside its model: SGLang plans with what is available on the machine."""


@dataclass(slots=True)
class Rows:
    """Configurations by name, and the rows that use them."""

    configs: dict[str, Any] = field(default_factory=dict)
    observations: list[dict[str, Any]] = field(default_factory=list)


def read(files: Sequence[Path], only: Sequence[str] = ()) -> Rows:
    """Read rows; with ``only``, no others than these ids. Rows of the same id in two files keep the later one."""
    rows = Rows()
    by_id: dict[str, dict[str, Any]] = {}
    for file in files:
        text = file.read_text(encoding="utf-8")
        data = json.loads(text) if file.suffix == ".json" else yaml.load(text, Loader=_loader())
        if "rows" in data:
            data = default_configs(data)
        for key in ("configs", "draft_configs", "models"):
            rows.configs.update(data.get(key) or {})
        by_id.update({row["id"]: row for row in data["observations"]})
    rows.observations = [row for name, row in by_id.items() if not only or name in only]
    return rows


def shipped(only: Sequence[str] = (), engine: str = "vllm") -> Rows:
    """A row for each architecture of the shipped table, on one rank and on two, at its full length."""
    table = json.loads(PATH.read_text(encoding="utf-8"))
    rows = Rows()
    for name, packed in table["configs"].items():
        config = unpacked(packed)
        rows.configs[name] = config
        for ranks in SHIPPED_RANKS:
            inputs = {"hf_config": name, "tensor_parallel": ranks, "kv_dtype": "auto", **ENGINE_INPUTS[engine]}
            rows.observations.append({"id": f"{name}@{ranks}", "inputs": inputs, "observed": {}})
    if only:
        rows.observations = [
            row for row in rows.observations if row["id"] in only or row["inputs"]["hf_config"] in only
        ]
    return rows


def is_weights(row: Mapping[str, Any]) -> bool:
    """Whether a row states weights rather than a plan."""
    return "weights_bytes" in row.get("observed", {})


def write(rows: Rows, file: Path, source: str) -> None:
    """Write rows in the form that `benchmarks/memory.py` scores."""
    used = {row["inputs"].get(key) for row in rows.observations for key in ("hf_config", "spec_model", "draft_config")}
    used |= {row.get("model") for row in rows.observations}
    data = {
        "units": "*_gib GiB (2^30); bytes_per_block and *_bytes bytes; kv_tokens tokens",
        "source": source,
        "configs": {name: config for name, config in rows.configs.items() if name in used},
        "observations": rows.observations,
    }
    file.write_text(yaml.safe_dump(data, sort_keys=False, width=200, default_flow_style=None), encoding="utf-8")


def _loader() -> Any:
    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)
