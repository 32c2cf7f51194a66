"""What vLLM's own planning code makes of a row: groups, blocks, tokens, the longest context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

from benchmarks.judges.vllm import building

GIB = 1 << 30
PLENTY = 1 << 50
"""Memory for the cache in bytes, for rows that do not say how much there is."""


@dataclass(frozen=True, slots=True)
class _Check:
    """One rank's check of its memory, as vLLM calls it: what is left beside the null block, and two questions."""

    left: int
    needed: Any
    longest: Any

    @property
    def groups(self) -> Any:
        """The groups of layers of this rank."""
        return self.needed.args[-1]


def plan(config: Any, observed: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a row for a `VllmConfig`; ``observed`` may state the memory that is left for the cache.

    Raises what vLLM raises when it refuses to start, but for too little memory: that is a figure here.
    """
    stages = config.parallel_config.pipeline_parallel_size
    specs = [_specs(config, stage) for stage in range(stages)]
    _resolve_layout(config, specs)
    planning = _planning()
    given = observed.get("available_kv_gib")
    available = PLENTY if given is None else int(given * GIB)
    configs, checks = _configs(planning, config, specs, available)
    found: dict[str, Any] = {
        "concurrent_batches": getattr(config, "max_concurrent_batches", None),
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "max_model_len": config.model_config.max_model_len,
        "attention_block": config.cache_config.block_size,
        "resolved_kv_dtype": config.cache_config.cache_dtype,
        "n_groups": len(configs[0].kv_cache_groups),
        "groups": [_group(config, parts) for parts in zip(*(each.kv_cache_groups for each in configs), strict=True)],
    }
    needed = [int(check.needed()) for check in checks]
    found["needed_bytes"] = max(needed, default=0)
    blocks = [_block(planning, config, check, available) for check in checks]
    found["bytes_per_block"] = max(blocks, default=0)
    if found["bytes_per_block"]:
        found["blocks_per_request"] = found["needed_bytes"] // found["bytes_per_block"]
    if given is not None:
        found |= _with_memory(config, configs, checks, available)
    return found


def _block(planning: Any, config: Any, check: _Check, available: int) -> int:
    """Bytes of one block of a rank: vLLM holds one back, and has a function for it since it does."""
    count = getattr(planning, "_pool_bytes_per_block", None)
    if count is None:
        return available - check.left
    # Until 0.31 it needs no configuration.
    asked = (config, check.groups)[-len(signature(count).parameters) :]
    return int(count(*asked))


def _configs(planning: Any, config: Any, specs: list[dict[str, Any]], available: int) -> tuple[Any, list[_Check]]:
    """vLLM's plan for each rank, made whether or not the memory is enough, and the check of each."""
    checks: list[_Check] = []

    def note(left: int, needed: Any, _: int, longest: Any) -> None:
        checks.append(_Check(left, needed, longest))

    planning._check_enough_kv_cache_memory = note
    arguments = [config, specs, [available] * len(specs)]
    if hasattr(planning, "get_global_kv_cache_groups"):
        arguments.append(planning.get_global_kv_cache_groups(config, specs))
    return planning.get_kv_cache_configs(*arguments), checks


def _with_memory(config: Any, configs: Any, checks: list[_Check], available: int) -> dict[str, Any]:
    """What becomes of a given memory: does one request fit, how many tokens are there, how long may one be."""
    found: dict[str, Any] = {"available_kv_gib": available / GIB}
    found["fits"] = all(check.left > 0 and check.needed() <= check.left for check in checks)
    found["estimated_max_len"] = min(int(check.longest(check.left)) for check in checks)
    if not found["fits"]:
        return found
    utils: Any = import_module("vllm.v1.core.kv_cache_utils")
    scheduler = utils.generate_scheduler_kv_cache_config(configs)
    concurrency = utils.get_max_concurrency_for_kv_cache_config(config, scheduler)
    found["num_blocks"] = scheduler.num_blocks
    found["max_concurrency"] = concurrency
    found["kv_tokens"] = int(concurrency * config.model_config.max_model_len)
    return found


def _planning() -> Any:
    """The module that plans: it got a name of its own in 0.33."""
    try:
        return import_module("vllm.v1.core.kv_cache_planning")
    except ImportError:
        return import_module("vllm.v1.core.kv_cache_utils")


def _specs(config: Any, stage: int) -> dict[str, Any]:
    """What each layer of a stage keeps, after the block size was fitted to it as a worker does."""
    contexts = config.compilation_config.static_forward_context
    contexts.clear()
    building.build(config, stage)
    settings: Any = import_module("vllm.config")
    platforms: Any = import_module("vllm.platforms")
    layers: Any = import_module("vllm.v1.worker.gpu.attn_utils")
    kinds: Any = import_module("vllm.v1.core.single_type_kv_cache_manager")
    if hasattr(kinds, "register_all_kvcache_specs"):
        kinds.register_all_kvcache_specs(config)
    platforms.current_platform.update_block_size_for_backend(config)
    with settings.set_current_vllm_config(config):
        specs: dict[str, Any] = layers.get_kv_cache_spec(config)
    return specs


def _resolve_layout(config: Any, specs: list[dict[str, Any]]) -> None:
    """Choose the layout of the cache as the engine does before it plans, where the release has layouts."""
    utils: Any = import_module("vllm.v1.attention.backends.utils")
    resolve = getattr(utils, "resolve_kv_cache_layout", None)
    if resolve is None:
        return
    supported = _supported_layouts(config)
    resolve(config, supported, [spec for each in specs for spec in each.values()])


def _supported_layouts(config: Any) -> Any:
    """What every attention backend of the layers supports, as a worker answers."""
    worker: Any = import_module("vllm.v1.worker.gpu_worker")
    answer = worker.Worker.get_supported_kv_cache_layouts
    settings: Any = import_module("vllm.config")
    with settings.set_current_vllm_config(config):
        return [answer(_Worker(config))]


class _Worker:
    """As much of a worker as its answer on layouts reads."""

    def __init__(self, config: Any) -> None:
        self.vllm_config = config
        self.model_config = config.model_config
        self.cache_config = config.cache_config
        self.parallel_config = config.parallel_config


def _group(config: Any, parts: tuple[Any, ...]) -> list[Any]:
    """A group as its parts on the ranks: layers, kind, tokens of a block, bytes of a page, blocks of a request."""
    spec = next((part.kv_cache_spec for part in parts if part.layer_names), parts[0].kv_cache_spec)
    if hasattr(spec, "max_memory_usage_pages"):
        blocks = spec.max_memory_usage_pages(config)
    else:
        blocks = -(-spec.max_memory_usage_bytes(config) // spec.page_size_bytes)
    layers = sum(len(part.layer_names) for part in parts)
    return [layers, type(spec).__name__, spec.block_size, spec.page_size_bytes, blocks]
