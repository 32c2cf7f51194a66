"""Scores SGLang rows: pools of keys and values, their tokens, recurrent slots, and starts that are refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.judges.sglang.settings import arguments
from benchmarks.memory_form import facts_of as form_facts
from benchmarks.memory_rows import Pair, Row, RowScore
from sparkrun_tui.base.units import GIB, MIB
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.engines.sglang.family import SGLANG
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.memory.sglang.cell import SglangRefusal, attention_ranks, cell_of
from sparkrun_tui.memory.sglang.family import page_size
from sparkrun_tui.memory.sglang.plan import SglangPlan, plan_sglang
from sparkrun_tui.memory.sglang.states import recurrence_bytes, state_bytes
from sparkrun_tui.models.config.reader import facts_from_config
from sparkrun_tui.models.facts import ModelFacts, QuantFacts

_SPARK_MIB = 124546
"""A GB10's memory as torch reports it, in MiB."""


def score_sglang(row: Row, configs: Mapping[str, Any]) -> RowScore:
    """Score one SGLang plan; what the server would refuse counts as not fitting."""
    observed, inputs = row["observed"], row["inputs"]
    if "free_before_load_gib" not in inputs:
        return _score_pool(row, configs)
    plan, refused = None, ""
    before, after = inputs["free_before_load_gib"] * GIB, inputs["free_after_load_gib"] * GIB
    try:
        plan = plan_sglang(facts_of(row, configs), settings_of(row), before, after, _SPARK_MIB * MIB)
    except SglangRefusal as error:
        refused = str(error)
    right = (plan is not None) == observed["fits"] if "fits" in observed else None
    return RowScore(row["id"], _pairs(plan, observed), right, refused)


def _score_pool(row: Row, configs: Mapping[str, Any]) -> RowScore:
    """Score a published log, which does not tell what was available: bytes of its tokens and tokens of its bytes."""
    observed, facts, settings = row["observed"], facts_of(row, configs), settings_of(row)
    pairs: dict[str, Pair] = {}
    try:
        cell, page = cell_of(facts, facts.layers or (), settings), page_size(facts, settings)
    except SglangRefusal as error:
        return RowScore(row["id"], {"kv": Pair(None, 1.0)}, None, str(error))
    pool, tokens = pool_bytes(observed), observed.get("kv_tokens")
    stored = cell.full - cell.rounding
    if pool is not None and tokens and stored:
        pairs["kv"] = Pair(round((tokens + page) * stored / GIB, 2) * GIB, pool)
    slots = observed.get("mamba_slots")
    if slots and "ssm_gib" in observed:
        per = sum(state_parts(facts, settings)[0 if "conv_gib" in observed else 1 :])
        seen = observed.get("conv_gib", 0) + observed["ssm_gib"]
        pairs["state"] = Pair(round((slots + 1) * per / GIB, 2 if "conv_gib" in observed else 1) * GIB, seen * GIB)
    return RowScore(row["id"], pairs)


def state_parts(facts: ModelFacts, settings: EngineSettings) -> tuple[int, int]:
    """Return the convolution's and the recurrence's part of one slot in bytes."""
    states = [layer.state for layer in facts.layers or () if layer.state is not None]
    ranks, element = attention_ranks(settings), recurrence_bytes(facts, settings)
    whole = sum(state_bytes(state, ranks, element) for state in states)
    recurrence = sum(state.heads * state.rows * state.columns // ranks * element for state in states)
    return whole - recurrence, recurrence


def facts_of(row: Row, configs: Mapping[str, Any]) -> ModelFacts:
    """Return the facts of a row's model, its drafter's with it, and the cache dtype its checkpoint asks for."""
    inputs = row["inputs"]
    named = configs.get(inputs.get("hf_config"))
    facts = facts_from_config(named) if named is not None else form_facts(row, {})
    draft = inputs.get("draft_config")
    if draft in configs:
        facts = replace(facts, drafter=facts_from_config(configs[draft]))
    scheme = str(inputs.get("checkpoint_kv_cache_quant_algo", "")).lower()
    if scheme:
        quant = facts.quant or QuantFacts("modelopt")
        facts = replace(facts, quant=replace(quant, kv_dtype=scheme))
    return facts


def settings_of(row: Row) -> EngineSettings:
    """Return what the server was told, by the reader of its flags; a draft model that is not named has no path."""
    version = re.sub(r"^sglang\s*", "", str(row.get("runtime", "")))
    return replace(read_settings(SGLANG, ["sglang", "serve", *arguments(row["inputs"])]), version=version)


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
