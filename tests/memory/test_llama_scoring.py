"""Scoring of llama.cpp and SGLang rows: computed loads and plans, published logs, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.memory_score import main
from tests.memory import ggufs, models

Scored = dict[str, dict[str, float]]


def score(tmp_path: Path, capsys: pytest.CaptureFixture[str], row: dict[str, Any]) -> Scored:
    """The JSON object that scoring one row prints last."""
    data = {
        "configs": {"dense-hf": models.DENSE, "hybrid-hf": models.HYBRID},
        "models": {"dense": ggufs.DENSE, "hybrid": ggufs.GDN, "latent": ggufs.LATENT},
        "observations": [{"id": "a", "hardware": "CPU backend", **row}],
    }
    file = tmp_path / "observations.yaml"
    file.write_text(yaml.safe_dump(data), encoding="utf-8")
    assert main(["--observations", str(file), "--json"]) == 0
    found: Scored = json.loads(capsys.readouterr().out.splitlines()[-1])
    return found


def llama(observed: dict[str, Any], model: str = "dense", **inputs: Any) -> dict[str, Any]:
    """A load of llama-server."""
    return {"model": model, "runtime": "llama.cpp b11669 (0.7.0)", "inputs": inputs, "observed": observed}


def sglang(observed: dict[str, Any], **inputs: Any) -> dict[str, Any]:
    """A plan of SGLang."""
    return {"model": "m", "runtime": "sglang 0.5.23", "inputs": inputs, "observed": observed}


def exact(found: Scored, *metrics: str) -> bool:
    """Tell whether just these metrics have a row, all of them within 0.1 per cent."""
    with_rows = {name for name, sums in found.items() if name != "fits" and sums["rows"]}
    return with_rows == set(metrics) and all(found[name]["within_01pct"] == 1 for name in metrics)


def test_a_load_of_llama_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observed = {"outcome": "loaded", "n_ctx": 8192, "cells": 2048, "kv_mib": 512.0, "rs_mib": 598.5}
    inputs = {"n_ctx": 8192, "n_ctx_given": True, "n_parallel": 4, "kv_unified": False, "kv_dtype": "f16"}
    found = score(tmp_path, capsys, llama(observed, "hybrid", **inputs))
    assert exact(found, "kv", "pool_tokens", "state")
    assert found["fits"] == {"rows": 1, "right": 1}


def test_a_load_that_fit_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observed = {
        "outcome": "loaded",
        "n_ctx": 68352,
        "model_mib": {"CPU_Mapped": 14315.02},
        "fit": ["projected to use 30951 MiB of host memory vs. 24105 MiB of total host memory"],
    }
    inputs = {"n_ctx": 0, "n_ctx_given": False, "n_parallel": 1, "kv_unified": False, "fit": True, "args": "-np 1"}
    found = score(tmp_path, capsys, llama(observed, **inputs))
    assert exact(found, "max_len")


def test_a_refused_load(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"n_ctx": 4096, "n_ctx_given": True, "n_parallel": 1, "kv_dtype": "q8_0", "kv_dtype_v": "f16"}
    refused = score(tmp_path, capsys, llama({"outcome": "refused"}, "latent", **inputs))
    assert refused["fits"] == {"rows": 1, "right": 1}
    wrong = score(tmp_path, capsys, llama({"outcome": "loaded"}, "latent", **inputs))
    assert wrong["fits"] == {"rows": 1, "right": 0}


def test_a_published_log_of_llama_server(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = {
        "family": "swa",
        "num_hidden_layers": 24,
        "n_full": 12,
        "n_swa": 12,
        "num_attention_heads": 64,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "sliding_window": 128,
        "hidden_size": 2880,
        "vocab_size": 201088,
    }
    inputs = {"kv_dtype": "f16", "n_ctx": 131072, "n_parallel": 1, "config": form}
    found = score(tmp_path, capsys, llama({"kv_mib": 3072.0, "kv_swa_mib": 18.0}, "elsewhere", **inputs))
    assert exact(found, "kv")
    assert found["fits"]["rows"] == 0


def test_weights_of_a_published_log_by_the_files_mix(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = {key: models.DENSE[key] for key in models.DENSE if key != "architectures"} | {"params": 27_323_000_000}
    inputs = {"weight_quant": "q4_k_xl", "n_ctx": 4096, "n_parallel": 1, "config": form}
    observed = {"model_gpu_mib": 16386.94, "model_cpu_mib": 682.03}
    found = score(tmp_path, capsys, llama(observed, "elsewhere", **inputs))
    assert exact(found, "weights")


def test_a_plan_of_sglang(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    observed = {"fits": True, "kv_tokens": 636543, "k_gib": 43.708, "v_gib": 43.708}
    inputs = {
        "tensor_parallel": 1,
        "kv_dtype": "auto",
        "free_before_load_gib": 112.0,
        "free_after_load_gib": 96.6,
        "chunked_prefill_size": 4096,
        "max_running_requests": 16,
        "hf_config": "dense-hf",
    }
    found = score(tmp_path, capsys, sglang(observed, **inputs))
    assert exact(found, "kv", "pool_tokens")
    assert found["fits"] == {"rows": 1, "right": 1}


def test_a_plan_that_sglang_refuses(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inputs = {"free_before_load_gib": 112.0, "free_after_load_gib": 60.0, "mem_fraction_static": 0.48}
    found = score(tmp_path, capsys, sglang({"fits": False}, hf_config="hybrid-hf", **inputs))
    assert found["fits"] == {"rows": 1, "right": 1}


def test_a_published_log_of_sglang(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    form = {key: value for key, value in models.HYBRID.items() if key != "architectures"}
    observed = {
        "kv_tokens": 228520,
        "k_gib": 3.49,
        "v_gib": 3.49,
        "mamba_slots": 360,
        "conv_gib": 0.99,
        "ssm_gib": 50.77,
    }
    inputs = {"kv_dtype": "fp8", "mem_fraction_static": 0.7, "config": form | {"family": "hybrid_gdn"}}
    found = score(tmp_path, capsys, sglang(observed, **inputs))
    assert found["kv"]["within_1pct"] == 1
    assert found["state"]["within_01pct"] == 1
