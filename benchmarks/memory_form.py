"""Reads the normalised architecture of an observation into a configuration, and the facts of a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.memory_rows import Row
from sparkrun_tui.base.units import GIB
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.facts import DeclaredFacts, ModelFacts, WeightFacts

_FAMILY_TYPES = {
    "hybrid_gdn": "qwen3_5",
    "hybrid_kda_mla": "kimi_linear",
    "hybrid_mamba2": "bamba",
    "hybrid_mamba1": "jamba",
    "hybrid_conv": "lfm2",
    "chunked": "llama4",
    "dsv4": "deepseek_v4",
}
"""A model type for normalised rows that do not name one; it selects no figure, only the shape."""


def facts_of(row: Row, configs: Mapping[str, Any]) -> ModelFacts:
    """Return the facts of a row: from the file's full configurations, else from the row's normalised form.

    Checkpoint bytes of the row stand for tensor headers; parameters and the weight format for what a
    recipe declares.
    """
    inputs = row["inputs"]
    name = inputs.get("hf_config")
    if name in configs:
        facts = facts_from_config(configs[name], source="config")
    else:
        facts = facts_from_config(
            as_config(inputs.get("config", {}), inputs.get("mtp_layers", 0)), source="observation"
        )
    drafter = inputs.get("spec_model")
    if drafter in configs:
        facts = replace(facts, drafter=facts_from_config(configs[drafter]))
    config = inputs.get("config", {})
    total = config.get("ckpt_bytes") or _gib(row["observed"].get("checkpoint_gib"))
    weights = WeightFacts(int(total), "headers") if total else None
    declared = DeclaredFacts(params=config.get("params"), model_dtype=str(inputs.get("weight_quant", "")))
    if name in configs:
        return replace(facts, weights=weights)
    return replace(facts, weights=weights, params=config.get("params"), declared=declared)


def _gib(value: object) -> int | None:
    """Return a figure in GiB as bytes."""
    return int(value * GIB) if isinstance(value, int | float) else None


def as_config(form: Mapping[str, Any], drafters: int = 0) -> dict[str, Any]:
    """Return the ``config.json`` that a normalised architecture stands for, with its drafter layers."""
    config = {key: value for key, value in form.items() if key != "family"}
    if drafters:
        config["num_nextn_predict_layers"] = drafters
    family = form.get("family", "dense")
    if form.get("rope_dtype_bytes") == 4:
        config["rope_scaling"] = {"rope_type": "yarn", "factor": 1.0}
    if "tied" in form:
        config["tie_word_embeddings"] = form["tied"]
    if "model_type" not in config and family in _FAMILY_TYPES:
        config["model_type"] = _FAMILY_TYPES[family]
    if family == "none":
        return {}
    if family == "dsv4":
        config["compress_ratios"] = _ratios(form)
        return config
    _heads(form, config)
    _recurrence(form, config)
    kinds = _kinds(form)
    if kinds:
        config["layer_types"] = kinds
        config.pop("full_attention_interval", None)
    if form.get("n_indexer"):
        count = form.get("num_hidden_layers", 0)
        config["index_topk"] = config.get("index_topk", 2048)
        config["indexer_types"] = ["full" if i < form["n_indexer"] else "shared" for i in range(count)]
    return config


def _ratios(form: Mapping[str, Any]) -> list[int]:
    """Return compression ratios by their counts."""
    few, many = form.get("n_c4", 0), form.get("n_c128", 0)
    return [0] * (form["num_hidden_layers"] - few - many) + [4] * few + [128] * many


def _heads(form: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Write the head sizes of window and full layers under the names that configurations use."""
    if "full_head_dim" not in form:
        return
    config["num_key_value_heads"] = form["full_kv_heads"]
    config["head_dim"] = form["full_head_dim"]
    config["swa_num_key_value_heads"] = form["swa_kv_heads"]
    config["swa_head_dim"] = form["swa_head_dim"]
    for key in ("num_global_key_value_heads", "global_head_dim"):
        config.pop(key, None)


def _recurrence(form: Mapping[str, Any], config: dict[str, Any]) -> None:
    """Write the delta-attention sizes under the names that configurations use."""
    if "kda_heads" in form:
        config["linear_num_heads"] = form["kda_heads"]
        config["linear_head_dim"] = form["kda_head_dim"]
        config["linear_conv_kernel_dim"] = form.get("conv_kernel", 4)
    if form.get("family") == "hybrid_mamba2" and "mamba_ssm_dtype" in form:
        config["mamba_ssm_cache_dtype"] = form["mamba_ssm_dtype"]


def _kinds(form: Mapping[str, Any]) -> list[str]:
    """Spread full, window and recurrent layers evenly; only their counts matter on one stage."""
    count = form.get("num_hidden_layers", 0)
    full = form.get("n_full")
    if full is None:
        return []
    other, name = 0, ""
    if form.get("n_linear"):
        other, name = form["n_linear"], "linear_attention"
    elif form.get("n_swa"):
        chunked = "attention_chunk_size" in form
        other, name = form["n_swa"], "chunked_attention" if chunked else "sliding_attention"
    shared = form.get("n_shared") or form.get("num_kv_shared_layers") or 0
    kinds = ["full_attention"] * full
    for i in range(other):
        kinds.insert(i * (full + other) // max(other, 1), name)
    rest = count - len(kinds)
    if form.get("n_shared") or (shared and rest == shared):
        return kinds + ["full_attention"] * rest
    return kinds + ["moe"] * max(0, rest)
