"""Scores llama.cpp rows: caches, cells, recurrent states, the context that --fit leaves, and refusals."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from benchmarks.memory_form import facts_of as form_facts
from benchmarks.memory_rows import Pair, Row, RowScore
from sparkrun_tui.base.units import MIB
from sparkrun_tui.engines.llama_cpp.family import LLAMA_CPP
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.memory.llama_cpp.cache import LlamaRefusal
from sparkrun_tui.memory.llama_cpp.plan import LlamaPlan, fitted_context, plan_llama
from sparkrun_tui.memory.llama_cpp.weights import model_buffers
from sparkrun_tui.memory.settings import EngineSettings, LlamaOptions, Speculative
from sparkrun_tui.models.facts import ModelFacts, QuantFacts
from sparkrun_tui.models.gguf.reader import facts_from_gguf
from sparkrun_tui.models.gguf.types import file_bits
from sparkrun_tui.models.layers import Attention, AttentionKind, Layer

_SWITCH = {"True": "on", "False": "off"}


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
    loaded = observed.get("outcome", "loaded") == "loaded"
    pairs = _pairs(plan, observed, row["inputs"]) if loaded else {}
    if row["model"] not in configs:
        _score_weights(pairs, facts, settings, observed)
    right = (plan is not None) == loaded if "outcome" in observed else None
    return RowScore(row["id"], pairs, right, refused)


def facts_of(row: Row, configs: Mapping[str, Any], settings: EngineSettings) -> ModelFacts:
    """Return the facts of a row from the keys of its model's header, with those of a draft model.

    Without keys they come from the row's normalised form, whose layers are those that the server cached.
    """
    if row["model"] not in configs:
        return _normalised(row)
    facts = facts_from_gguf(configs[row["model"]])
    if settings.speculative is None or not settings.speculative.model:
        return facts
    name = row["inputs"].get("draft_model") or re.sub(r"^.*/|\.[A-Za-z0-9_]+\.gguf$", "", settings.speculative.model)
    return replace(facts, drafter=facts_from_gguf(configs[name])) if name in configs else facts


def _normalised(row: Row) -> ModelFacts:
    """Return the facts of a row that has no header; its parameters and quantisation stand for the file."""
    inputs = row["inputs"]
    facts = form_facts(row, {})
    bits = file_bits(str(inputs.get("weight_quant", "")))
    layers = facts.layers
    if inputs.get("mla_expanded") and layers and facts.heads:
        config = inputs["config"]
        key, value = config["qk_nope_head_dim"] + config["qk_rope_head_dim"], config["v_head_dim"]
        layers = (Layer(Attention(AttentionKind.FULL, facts.heads, key, value)),) * len(layers)
    return replace(
        facts,
        layers=layers,
        weights=None,
        quant=QuantFacts("gguf", bits) if bits else None,
        gguf={"arch": facts.model_type},
    )


def _score_weights(
    pairs: dict[str, Pair], facts: ModelFacts, settings: EngineSettings, observed: Mapping[str, Any]
) -> None:
    """Add the weights in bytes where the row has both of the buffers that hold them."""
    on_device, on_host = observed.get("model_gpu_mib"), observed.get("model_cpu_mib")
    if on_device is None or on_host is None or not facts.params:
        return
    found = model_buffers(facts, settings, device=False)
    pairs["weights"] = Pair(found.likely if found else None, (on_device + on_host) * MIB)


def settings_of(row: Row) -> EngineSettings:
    """Return what the server was told: its arguments, with what the row states apart."""
    inputs = row["inputs"]
    settings = read_settings(LLAMA_CPP, ["llama-server", *shlex.split(str(inputs.get("args", "")))])
    build = re.search(r"\bb\d{4,}\b", str(row.get("runtime", "")))
    speculative = settings.speculative
    method = str(inputs.get("spec_type", "") or "")
    if not method and inputs.get("rs_seq"):
        method = "draft-mtp"
    if speculative is None and method and "none" not in method:
        speculative = Speculative(method)
    drafts = inputs.get("n_draft") or inputs.get("rs_seq")
    if speculative is not None and drafts:
        speculative = replace(speculative, tokens=drafts)
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
        "cache_type_v": inputs.get("kv_dtype_v", inputs.get("kv_dtype")),
        "flash_attn": _SWITCH.get(str(inputs.get("flash_attn")), inputs.get("flash_attn")),
        "swa_full": inputs.get("swa_full"),
        "fit": inputs.get("fit"),
        "fit_target_mib": inputs.get("fit_target_mib"),
        "fit_ctx_min": inputs.get("fit_ctx_min"),
    }
    if inputs.get("n_ctx_given", "n_ctx" in inputs):
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
        pairs["kv"] = Pair(as_printed(_caches(plan, observed)) if plan else None, total)
    if observed.get("cells"):
        pairs["pool_tokens"] = Pair(plan.shape.sequence if plan else None, observed["cells"])
    if not inputs.get("n_ctx_given", True) and observed.get("n_ctx"):
        pairs["max_len"] = Pair(plan.shape.n_ctx if plan else None, observed["n_ctx"])
    if observed.get("rs_mib"):
        pairs["state"] = Pair(as_printed(plan.cache.state) if plan else None, observed["rs_mib"] * MIB)
    return pairs


def _caches(plan: LlamaPlan, observed: Mapping[str, Any]) -> int:
    """Return the caches that the row's figures cover; index keys are printed apart."""
    cache = plan.cache
    return cache.full + cache.window + (cache.indexer if "kv_indexer_mib" in observed else 0)


def as_printed(size: int) -> float:
    """Return bytes as the server prints them, in hundredths of a MiB, which is all that a small figure shows."""
    return round(size / MIB, 2) * MIB
