"""Scores llama.cpp rows: caches, cells, recurrent states, the context that --fit leaves, and refusals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.memory_rows import Pair, Row, RowScore
from sparkrun_tui.base.units import MIB
from sparkrun_tui.memory.facts import ModelFacts
from sparkrun_tui.memory.gguf_reader import facts_from_gguf
from sparkrun_tui.memory.llama_cache import LlamaRefusal
from sparkrun_tui.memory.llama_plan import LlamaPlan, fitted_context, plan_llama
from sparkrun_tui.memory.settings import EngineSettings, LlamaOptions, Speculative, settings_from


def score_llama(row: Row, configs: Mapping[str, Any]) -> RowScore:
    """Score one load of llama-server; what it would refuse counts as not loaded."""
    observed, settings = row["observed"], settings_of(row)
    facts = facts_of(row, configs, settings)
    device = "CPU" not in str(row.get("hardware", ""))
    plan, refused, context = None, "", None
    try:
        context = fitted_context(facts, settings, _weights(observed), _free(observed), device)
        if context is not None:
            plan = plan_llama(facts, settings, context, device)
    except LlamaRefusal as error:
        refused = str(error)
    loaded = observed.get("outcome") == "loaded"
    pairs = _pairs(plan, observed, row["inputs"]) if loaded else {}
    return RowScore(row["id"], pairs, (plan is not None) == loaded, refused)


def facts_of(row: Row, configs: Mapping[str, Any], settings: EngineSettings) -> ModelFacts:
    """Return the facts of a row from the keys of its model's header, with those of a draft model."""
    facts = facts_from_gguf(configs.get(row["model"], {}))
    if settings.speculative is None or not settings.speculative.model:
        return facts
    name = row["inputs"].get("draft_model") or re.sub(r"^.*/|\.[A-Za-z0-9_]+\.gguf$", "", settings.speculative.model)
    return replace(facts, drafter=facts_from_gguf(configs[name])) if name in configs else facts


def settings_of(row: Row) -> EngineSettings:
    """Return what the server was told: its arguments, with what the row states apart."""
    inputs = row["inputs"]
    settings = settings_from("llama-cpp", {}, ["llama-server", *shlex.split(str(inputs.get("args", "")))])
    build = re.search(r"\bb\d{4,}\b", str(row.get("runtime", "")))
    speculative = settings.speculative
    method = str(inputs.get("spec_type", "") or "")
    if speculative is None and method and "none" not in method:
        speculative = Speculative(method)
    if speculative is not None and inputs.get("n_draft"):
        speculative = replace(speculative, tokens=inputs["n_draft"])
    return replace(
        settings,
        version=build.group(0) if build else "",
        speculative=speculative,
        llama=_options(settings.llama, inputs),
    )


def _options(options: LlamaOptions, inputs: Mapping[str, Any]) -> LlamaOptions:
    """Return the options with the figures that the row states; a context that was not given stays absent."""
    stated = {
        "parallel": inputs.get("n_parallel"),
        "kv_unified": inputs.get("kv_unified"),
        "batch": inputs.get("n_batch"),
        "ubatch": inputs.get("n_ubatch"),
        "cache_type_k": inputs.get("kv_dtype"),
        "cache_type_v": inputs.get("kv_dtype_v"),
        "flash_attn": inputs.get("flash_attn"),
        "swa_full": inputs.get("swa_full"),
        "fit": inputs.get("fit"),
        "fit_target_mib": inputs.get("fit_target_mib"),
        "fit_ctx_min": inputs.get("fit_ctx_min"),
    }
    if inputs.get("n_ctx_given"):
        stated["ctx_size"] = inputs.get("n_ctx")
    return replace(options, **{name: value for name, value in stated.items() if value is not None})


def _weights(observed: Mapping[str, Any]) -> int:
    """Return the model buffers that a load printed, in bytes."""
    printed = observed.get("model_mib_all_models") or observed.get("model_mib") or {}
    return int(sum(printed.values()) * MIB)


def _free(observed: Mapping[str, Any]) -> int:
    """Return the memory that --fit counted with, in bytes, from its own words; all there is when it kept silent."""
    for line in observed.get("fit") or ():
        found = re.search(r"vs\. (\d+) MiB of (?:total|free)", line)
        if found:
            return int(found.group(1)) * MIB
    return 1 << 60


def _pairs(plan: LlamaPlan | None, observed: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Pair]:
    """Return predicted and printed figures: caches of all layers, cells of one stream, states, the fitted context."""
    pairs: dict[str, Pair] = {}
    printed = observed.get("kv_mib")
    if printed is not None:
        total = (printed + observed.get("kv_swa_mib", 0) + observed.get("kv_indexer_mib", 0)) * MIB
        pairs["kv"] = Pair(as_printed(plan.cache.kv) if plan else None, total)
    if observed.get("cells"):
        pairs["pool_tokens"] = Pair(plan.shape.sequence if plan else None, observed["cells"])
    if not inputs.get("n_ctx_given", True) and observed.get("n_ctx"):
        pairs["max_len"] = Pair(plan.shape.n_ctx if plan else None, observed["n_ctx"])
    if observed.get("rs_mib"):
        pairs["state"] = Pair(as_printed(plan.cache.state) if plan else None, observed["rs_mib"] * MIB)
    return pairs


def as_printed(size: int) -> float:
    """Return bytes as the server prints them, in hundredths of a MiB, which is all that a small figure shows."""
    return round(size / MIB, 2) * MIB
