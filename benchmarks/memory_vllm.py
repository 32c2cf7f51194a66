"""Scores vLLM rows: cache of one request, pool tokens, longest context, states, weights, available cache."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from benchmarks.memory_form import facts_of
from benchmarks.memory_rows import Pair, Row, RowScore
from sparkrun_tui.base.units import GIB
from sparkrun_tui.memory.hosts import SPARK_TOTAL
from sparkrun_tui.memory.result import HostMemory
from sparkrun_tui.memory.settings import EngineSettings, Speculative
from sparkrun_tui.memory.vllm.devices import device_of
from sparkrun_tui.memory.vllm.kernels import vllm_weights
from sparkrun_tui.memory.vllm.layers import Unsupported
from sparkrun_tui.memory.vllm.plan import VllmPlan, plan_cache
from sparkrun_tui.memory.vllm.pool import pool_on
from sparkrun_tui.memory.vllm.spec import SpecKind
from sparkrun_tui.memory.vllm.versions import parse_version, rules_for
from sparkrun_tui.memory.weights.on_rank import Weights
from sparkrun_tui.models.facts import ModelFacts


def score_vllm(row: Row, configs: Mapping[str, Any]) -> RowScore:
    """Score one vLLM observation; what the engine would refuse counts as not fitting."""
    facts = facts_of(row, configs)
    settings = settings_of(row)
    inputs, observed = row["inputs"], row["observed"]
    length = inputs.get("max_model_len") or facts.max_length
    pairs: dict[str, Pair] = {}
    plan, refused = None, ""
    try:
        plan = plan_cache(facts, settings, length or 1, device=device_of(host_of(row)))
    except Unsupported as error:
        refused = str(error)
    available = available_bytes(observed)
    if length:
        _score_cache(pairs, plan, observed, available, length, inputs)
    _score_weights(pairs, facts, settings, row)
    _score_available(pairs, facts, settings, row)
    served = _served(observed, length)
    right = None
    if served is not None and length and (available is not None or refused):
        predicted = plan is not None and available is not None and plan.fits(available, length)
        right = predicted == served
    return RowScore(row["id"], pairs, right, refused)


def default_configs(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a file of default configurations in the form of observations.

    Each row holds a ``config``, ``max_model_len`` in tokens and ``need_bytes``, the cache of one request; ``about``
    names the release and that it ran with the defaults of a GB10.
    """
    release = re.search(r"vLLM ([0-9.]*[0-9])", str(data.get("about", "")))
    observations = []
    for row in data["rows"]:
        inputs = {"hf_config": row["name"], "max_model_len": row["max_model_len"]}
        observed = {"needed_gib_at_max_len": row["need_bytes"] / GIB}
        runtime = f"vllm {release.group(1)}" if release else "vllm"
        observations.append(
            {"id": row["name"], "runtime": runtime, "hardware": "GB10", "inputs": inputs, "observed": observed}
        )
    return {"configs": {row["name"]: row["config"] for row in data["rows"]}, "observations": observations}


def host_of(row: Row) -> HostMemory:
    """Return the host of a row: a GB10 when its hardware says so, else a card with memory of its own."""
    hardware = str(row.get("hardware", ""))
    spark = "GB10" in hardware
    total = row["observed"].get("total_gib")
    size = int(total * GIB) if total else SPARK_TOTAL
    return HostMemory("host", size, None, True, "row", unified=spark, gpu_name="GB10" if spark else hardware)


def settings_of(row: Row) -> EngineSettings:
    """Return what the engine was told, as far as the row states it."""
    inputs = row["inputs"]
    runtime = str(row.get("runtime", ""))
    if parse_version(runtime) is None and inputs.get("log_style") == "old":
        runtime = "0.19"
    dtype = str(inputs.get("kv_dtype", "auto"))
    return EngineSettings(
        "vllm",
        version=re.sub(r"^vllm\s*", "", runtime),
        tensor_parallel=inputs.get("tensor_parallel", 1),
        pipeline_parallel=inputs.get("pipeline_parallel", 1),
        data_parallel=inputs.get("data_parallel", 1),
        max_model_len=inputs.get("max_model_len"),
        utilisation=inputs.get("gpu_memory_utilization"),
        max_num_seqs=inputs.get("max_num_seqs"),
        max_num_batched_tokens=inputs.get("max_num_batched_tokens"),
        kv_cache_dtype="auto" if dtype in ("bf16", "fp16", "f16") else dtype,
        kv_cache_layout=str(inputs.get("kv_cache_layout") or inputs.get("kv_layout") or ""),
        block_size=inputs.get("block_size"),
        prefix_caching=inputs.get("prefix_caching"),
        async_scheduling=inputs.get("async_scheduling"),
        hybrid_kv_cache=False if inputs.get("disable_hybrid_kv_cache_manager") else inputs.get("hybrid_kv_cache"),
        performance_mode=str(inputs.get("performance_mode", "")),
        mamba_cache_dtype=str(inputs.get("mamba_cache_dtype", "auto")),
        expert_parallel=bool(inputs.get("expert_parallel")),
        enforce_eager=bool(inputs.get("enforce_eager")),
        context_parallel=inputs.get("decode_context_parallel") or inputs.get("decode_context_parallel_size") or 1,
        mamba_ssm_cache_dtype=inputs.get("mamba_ssm_cache_dtype", "auto"),
        quantization=str(inputs.get("quantization") or ""),
        moe_backend=str(inputs.get("moe_backend") or ""),
        text_only=bool(inputs.get("language_model_only")),
        speculative=_speculative(inputs),
    )


def _speculative(inputs: Mapping[str, Any]) -> Speculative | None:
    """Return the speculative settings; rows that only count MTP layers draft with those."""
    method = inputs.get("spec_method") or ("mtp" if inputs.get("mtp_layers") else "")
    if not method:
        return None
    return Speculative(method, inputs.get("num_spec", 0), inputs.get("spec_model", ""))


def available_bytes(observed: Mapping[str, Any]) -> int | None:
    """Return the bytes that the engine had for its cache, None when the row does not tell."""
    value = observed.get("available_kv_gib")
    return int(value * GIB) if isinstance(value, int | float) else None


def _score_cache(
    pairs: dict[str, Pair],
    plan: VllmPlan | None,
    observed: Mapping[str, Any],
    available: int | None,
    length: int,
    inputs: Mapping[str, Any],
) -> None:
    """Add the pairs that follow from the cache plan."""
    request = observed_request_bytes(observed, available, length, inputs)
    if request is not None:
        pairs["kv"] = Pair(plan.request_bytes(length) if plan else None, request)
    if available is None:
        return
    if observed.get("kv_tokens"):
        pairs["pool_tokens"] = Pair(plan.pool_tokens(available, length) if plan else None, observed["kv_tokens"])
    if observed.get("estimated_max_len"):
        predicted = plan.longest(available, length) if plan else None
        pairs["max_len"] = Pair(predicted, observed["estimated_max_len"])
    states = [group for group in observed.get("groups", ()) if group[1] == "MambaSpec"]
    if states:
        total = sum(group[0] * group[3] * group[4] for group in states)
        pairs["state"] = Pair(_state_bytes(plan, length) if plan else None, total)


def _state_bytes(plan: VllmPlan, length: int) -> int:
    """Return the bytes of all recurrent states of one request, padded as they are stored."""
    return sum(
        len(group.layers) * group.spec.page * group.spec.blocks(length, plan.in_flight)
        for group in plan.grouping.groups
        if group.spec.kind is SpecKind.STATE
    )


def observed_request_bytes(
    observed: Mapping[str, Any], available: int | None, length: int, inputs: Mapping[str, Any]
) -> float | None:
    """Return the cache of one full-length request in bytes as the row shows it.

    From block figures, from the engine's own message, else available memory over the printed concurrency.
    """
    if observed.get("bytes_per_block") and observed.get("blocks_per_request"):
        return float(observed["bytes_per_block"] * observed["blocks_per_request"])
    if observed.get("needed_gib_at_max_len"):
        return float(observed["needed_gib_at_max_len"] * GIB)
    if available is None:
        return None
    if inputs.get("log_style") == "new" and observed.get("kv_tokens"):
        return float(available * length / observed["kv_tokens"])
    if observed.get("max_concurrency"):
        return float(available / observed["max_concurrency"])
    return None


def _score_weights(pairs: dict[str, Pair], facts: ModelFacts, settings: EngineSettings, row: Row) -> None:
    """Add the weights of one rank in bytes, where the row states enough to compute them from.

    A parameter count, tensor headers or a whole configuration are enough. A row that vLLM refused has none.
    """
    observed = row["observed"]
    exact = observed.get("weights_bytes")
    loaded = observed.get("model_load_gib")
    size = exact or (loaded * GIB if loaded else 0)
    known = facts.params or facts.weights or row["inputs"].get("hf_config")
    if size and known:
        weights = vllm_weights(facts, settings)
        pairs["weights"] = Pair(weights.rank if weights else None, size)


def _score_available(pairs: dict[str, Pair], facts: ModelFacts, settings: EngineSettings, row: Row) -> None:
    """Add the memory left for the cache in GiB, on GB10 rows that state their utilisation."""
    observed, host = row["observed"], host_of(row)
    seen = observed.get("available_kv_gib") or _middle(observed.get("available_kv_gib_runs"))
    if not host.unified or settings.utilisation is None or seen is None:
        return
    weights = vllm_weights(facts, settings)
    loaded = observed.get("model_load_gib")
    if weights is None and loaded:
        size = int(loaded * GIB)
        weights = Weights(size, size, size, size, "headers", size)
    pool = pool_on(host, facts, settings, rules_for(settings.version), weights)
    pairs["available_kv"] = Pair(None if pool.pool is None else pool.pool / GIB, seen)


def _middle(runs: Any) -> float | None:
    """Return the median of repeated starts."""
    return sorted(runs)[len(runs) // 2] if runs else None


def _served(observed: Mapping[str, Any], length: int | None) -> bool | None:
    """Tell whether the engine accepted the length, None when the row does not show it."""
    if "fits" in observed:
        return bool(observed["fits"])
    needed, available = observed.get("needed_gib_at_max_len"), observed.get("available_kv_gib")
    if needed is not None and available is not None:
        return bool(needed <= available)
    concurrency = observed.get("max_concurrency")
    return None if concurrency is None or not length else bool(concurrency >= 1)
