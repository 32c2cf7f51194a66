"""What vLLM's own planning code makes of a row: groups, blocks, tokens, the longest context."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from benchmarks.judges.vllm import building

GIB = 1 << 30


def plan(config: Any, observed: Mapping[str, Any]) -> dict[str, Any]:
    """The figures of a row for a `VllmConfig`; ``observed`` may state the memory that is left for the cache.

    Raises what vLLM raises when it refuses to start, but for too little memory: that is a figure here.
    """
    stages = config.parallel_config.pipeline_parallel_size
    specs = [_specs(config, stage) for stage in range(stages)]
    _resolve_layout(config, specs)
    planning = _planning()
    groups = planning.get_global_kv_cache_groups(config, specs)
    projected = [planning._project_kv_cache_groups_to_worker(groups, each) for each in specs]
    sizes = _Sizes(planning, config)
    found: dict[str, Any] = {
        "concurrent_batches": config.max_concurrent_batches,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_num_seqs": config.scheduler_config.max_num_seqs,
        "max_model_len": config.model_config.max_model_len,
        "attention_block": config.cache_config.block_size,
        "resolved_kv_dtype": config.cache_config.cache_dtype,
        "bytes_per_block": max(sizes.block(each) for each in projected),
        "needed_bytes": max(sizes.needed(each) for each in projected),
        "n_groups": len(groups),
        "groups": [_group(config, group) for group in groups],
    }
    if found["bytes_per_block"]:
        found["blocks_per_request"] = found["needed_bytes"] // found["bytes_per_block"]
    available = observed.get("available_kv_gib")
    if available is not None:
        found |= _with_memory(planning, sizes, config, specs, groups, projected, int(available * GIB))
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


class _Sizes:
    """Bytes of a block and of a request, asked by the signatures of the release."""

    def __init__(self, planning: Any, config: Any) -> None:
        self._planning, self._config = planning, config
        self.first = self._builder()

    def _builder(self) -> tuple[Any, ...]:
        try:
            builders: Any = import_module("vllm.v1.core.kv_cache_config_builder")
        except ImportError:
            return ()
        return (builders.get_kv_cache_config_builder(self._config),)

    def block(self, groups: Any) -> int:
        """Bytes of one block on a stage."""
        return int(self._planning._pool_bytes_per_block(self._config, groups)) if groups else 0

    def needed(self, groups: Any) -> int:
        """Bytes of one request of full length on a stage."""
        return int(self._planning._max_memory_usage_bytes_from_groups(*self.first, self._config, groups))

    def longest(self, groups: Any, available: int) -> int:
        """The longest context that fits into ``available`` bytes."""
        left = available - self.block(groups)
        return int(self._planning._estimate_max_model_len_from_groups(*self.first, self._config, groups, left))


def _with_memory(
    planning: Any, sizes: _Sizes, config: Any, specs: Any, groups: Any, projected: Any, available: int
) -> dict[str, Any]:
    """What becomes of a given memory: does one request fit, how many tokens are there, how long may one be."""
    found: dict[str, Any] = {"available_kv_gib": available / GIB}
    found["estimated_max_len"] = min(sizes.longest(each, available) for each in projected)
    try:
        configs = planning.get_kv_cache_configs(config, specs, [available] * len(specs), groups)
    except ValueError as error:
        found |= {"fits": False, "refusal": str(error)[:200]}
        return found
    found["fits"] = True
    scheduler = planning_of_scheduler(planning)(configs)
    found["num_blocks"] = scheduler.num_blocks
    found |= _capacity(config, scheduler)
    return found


def planning_of_scheduler(planning: Any) -> Any:
    """The function that makes the scheduler's view, from the module that has it."""
    if hasattr(planning, "generate_scheduler_kv_cache_config"):
        return planning.generate_scheduler_kv_cache_config
    return import_module("vllm.v1.core.kv_cache_utils").generate_scheduler_kv_cache_config


def _capacity(config: Any, scheduler: Any) -> dict[str, Any]:
    """The two figures that vLLM prints of a pool."""
    utils: Any = import_module("vllm.v1.core.kv_cache_utils")
    concurrency = utils.get_max_concurrency_for_kv_cache_config(config, scheduler)
    return {
        "max_concurrency": concurrency,
        "kv_tokens": int(concurrency * config.model_config.max_model_len),
    }


def _group(config: Any, group: Any) -> list[Any]:
    """One group: layers, kind, tokens of a block, bytes of a page, blocks of a request."""
    spec = group.kv_cache_spec
    if hasattr(spec, "max_memory_usage_pages"):
        blocks = spec.max_memory_usage_pages(config)
    else:
        blocks = -(-spec.max_memory_usage_bytes(config) // spec.page_size_bytes)
    return [len(group.layer_names), type(spec).__name__, spec.block_size, spec.page_size_bytes, blocks]
