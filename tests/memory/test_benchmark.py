"""The scoring of the estimator: its figures, its JSON, and rows that cannot be computed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.memory_rows import UNCOMPUTED, Pair
from benchmarks.memory_score import main
from tests.memory import models


def row(name: str, observed: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """One observation of vLLM 0.32 on a GB10."""
    return {
        "id": name,
        "runtime": "vllm 0.32.0",
        "hardware": "DGX Spark GB10",
        "inputs": {"tensor_parallel": 1, "max_model_len": 40960, "kv_dtype": "bf16", "log_style": "new", **inputs},
        "observed": observed,
    }


def score(tmp_path: Path, capsys: pytest.CaptureFixture[str], rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The JSON object that scoring some rows prints last."""
    file = tmp_path / "observations.yaml"
    file.write_text(yaml.safe_dump({"configs": {"dense": models.DENSE}, "observations": rows}), encoding="utf-8")
    assert main(["--observations", str(file), "--json"]) == 0
    summary: dict[str, Any] = json.loads(capsys.readouterr().out.splitlines()[-1])
    return summary


def test_a_computed_plan_is_met_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observed = {
        "available_kv_gib": 4.11,
        "bytes_per_block": 2359296,
        "blocks_per_request": 2560,
        "estimated_max_len": 29904,
        "fits": False,
    }
    found = score(tmp_path, capsys, [row("a", observed, hf_config="dense")])
    assert found["kv"] == {
        "rows": 1,
        "median_pct": 0.0,
        "p90_pct": 0.0,
        "worst_pct": 0.0,
        "within_01pct": 1,
        "within_1pct": 1,
    }
    assert found["max_len"]["within_01pct"] == 1
    assert found["fits"] == {"rows": 1, "right": 1}


def test_rows_without_a_configuration_use_their_normalised_form(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    form = {
        "family": "hybrid_gdn",
        "num_hidden_layers": 64,
        "n_full": 16,
        "n_linear": 48,
        **{key: models.HYBRID[key] for key in models.HYBRID if key.startswith("linear_")},
        "mamba_ssm_dtype": "float32",
        "num_attention_heads": 24,
        "num_key_value_heads": 4,
        "head_dim": 256,
        "hidden_size": 5120,
        "vocab_size": 248320,
    }
    observed = {"available_kv_gib": 5.0, "kv_tokens": 78643, "max_concurrency": 1.2}
    found = score(
        tmp_path, capsys, [row("a", observed, config=form, max_model_len=65536, mamba_ssm_cache_dtype="bfloat16")]
    )
    assert found["pool_tokens"]["worst_pct"] < 0.1


def test_a_row_that_cannot_be_computed_counts_as_worst(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unknown = row("a", {"needed_gib_at_max_len": 4.0}, config={"family": "none"})
    found = score(tmp_path, capsys, [unknown])
    assert found["kv"]["worst_pct"] == UNCOMPUTED


def test_errors_are_relative_but_for_available_memory() -> None:
    assert Pair(99, 100).error("kv") == 1.0
    assert Pair(48.0, 49.5).error("available_kv") == 1.5
    assert Pair(None, 1).error("kv") == UNCOMPUTED


def test_weights_of_a_row_that_has_a_configuration_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    exact = row("exact", {"weights_bytes": 16391957344}, hf_config="dense")
    at_load = row("at load", {"model_load_gib": 9446190496 / 2**30}, hf_config="dense", quantization="fp8")
    found = score(tmp_path, capsys, [exact, at_load])
    assert (found["weights"]["rows"], found["weights"]["within_01pct"]) == (2, 2)
