"""Scores SGLang rows: pools of keys and values, their tokens, recurrent slots, and starts that are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.memory_rows import Pair, Row, RowScore
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.memory.config_reader import facts_from_config
from sparkrun_tui.memory.facts import ModelFacts, QuantFacts
from sparkrun_tui.memory.settings import EngineSettings, SglangOptions, Speculative
from sparkrun_tui.memory.sglang_cell import SglangRefusal
from sparkrun_tui.memory.sglang_plan import SglangPlan, plan_sglang

_SPARK_MIB = 124546
"""A GB10's memory as torch reports it, in MiB."""

_OPTIONS = (
    "attn_dp_size",
    "chunked_prefill_size",
    "max_total_tokens",
    "max_mamba_cache_size",
    "mamba_full_memory_ratio",
    "mamba_radix_cache_strategy",
    "mamba_track_interval",
    "swa_full_tokens_ratio",
    "disable_hybrid_swa_memory",
    "disable_overlap_schedule",
    "disable_cuda_graph",
    "disable_prefill_cuda_graph",
    "cuda_graph_max_bs",
    "enable_multimodal",
    "mm_feature_transport",
    "dsa_prefill_backend",
    "dsa_decode_backend",
    "speculative_num_steps",
    "speculative_eagle_topk",
    "speculative_num_draft_tokens",
)


def score_sglang(row: Row, configs: Mapping[str, Any]) -> RowScore:
    """Score one SGLang plan; what the server would refuse counts as not fitting."""
    observed, inputs = row["observed"], row["inputs"]
    if "free_before_load_gib" not in inputs:
        return RowScore(row["id"])
    plan, refused = None, ""
    before, after = inputs["free_before_load_gib"] * GIB, inputs["free_after_load_gib"] * GIB
    try:
        plan = plan_sglang(facts_of(row, configs), settings_of(row), before, after, _SPARK_MIB * MIB)
    except SglangRefusal as error:
        refused = str(error)
    right = (plan is not None) == observed["fits"] if "fits" in observed else None
    return RowScore(row["id"], _pairs(plan, observed), right, refused)


def facts_of(row: Row, configs: Mapping[str, Any]) -> ModelFacts:
    """Return the facts of a row's model, its drafter's with it, and the cache dtype its checkpoint asks for."""
    inputs = row["inputs"]
    facts = facts_from_config(configs.get(inputs.get("hf_config", row.get("model")), {}))
    draft = inputs.get("draft_config")
    if draft in configs:
        facts = replace(facts, drafter=facts_from_config(configs[draft]))
    scheme = str(inputs.get("checkpoint_kv_cache_quant_algo", "")).lower()
    if scheme:
        quant = facts.quant or QuantFacts("modelopt")
        facts = replace(facts, quant=replace(quant, kv_dtype=scheme))
    return facts


def settings_of(row: Row) -> EngineSettings:
    """Return what the server was told."""
    inputs = row["inputs"]
    options = {name: inputs[name] for name in _OPTIONS if inputs.get(name) is not None}
    method = str(inputs.get("speculative_algorithm", "")).lower()
    speculative = None
    if method:
        speculative = Speculative(method, model=str(inputs.get("speculative_draft_model_path", "")))
    return EngineSettings(
        "sglang",
        version=re.sub(r"^sglang\s*", "", str(row.get("runtime", ""))),
        tensor_parallel=inputs.get("tensor_parallel", 1),
        pipeline_parallel=inputs.get("pipeline_parallel", 1),
        data_parallel=inputs.get("dp_size", 1),
        max_model_len=inputs.get("context_length"),
        utilisation=inputs.get("mem_fraction_static"),
        max_num_seqs=inputs.get("max_running_requests"),
        kv_cache_dtype=str(inputs.get("kv_dtype", "auto")),
        block_size=inputs.get("page_size"),
        attention_backend=str(inputs.get("attention_backend", "")),
        prefix_caching=False if inputs.get("disable_radix_cache") else None,
        mamba_ssm_cache_dtype=str(inputs.get("mamba_ssm_dtype", "auto")),
        speculative=speculative,
        sglang=replace(SglangOptions(), **options),
    )


def _pairs(plan: SglangPlan | None, observed: Mapping[str, Any]) -> dict[str, Pair]:
    """Return predicted and computed figures: the pool's bytes, its tokens, and recurrent slots."""
    pairs: dict[str, Pair] = {}
    pool = pool_bytes(observed)
    if pool is not None:
        pairs["kv"] = Pair(plan.kv if plan else None, pool)
    if observed.get("kv_tokens"):
        pairs["pool_tokens"] = Pair(plan.tokens if plan else None, observed["kv_tokens"])
    if observed.get("mamba_slots"):
        pairs["state"] = Pair(plan.slots.count if plan and plan.slots else None, observed["mamba_slots"])
    return pairs


def pool_bytes(observed: Mapping[str, Any]) -> float | None:
    """Return the bytes of keys and values on the rank that holds most, None when the row does not tell."""
    stages = observed.get("kv_bytes_per_stage")
    if stages:
        return float(max(stages))
    if observed.get("kv_gib"):
        return float(observed["kv_gib"] * GIB)
    if "k_gib" in observed:
        return float((observed["k_gib"] + observed["v_gib"]) * GIB)
    return None
