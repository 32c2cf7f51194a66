"""From the inputs of a row to the configuration of vLLM, as `vllm serve` makes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

PLAIN = {
    "tensor_parallel": "tensor_parallel_size",
    "pipeline_parallel": "pipeline_parallel_size",
    "data_parallel": "data_parallel_size",
    "max_model_len": "max_model_len",
    "max_num_seqs": "max_num_seqs",
    "block_size": "block_size",
    "prefix_caching": "enable_prefix_caching",
    "async_scheduling": "async_scheduling",
    "mamba_ssm_cache_dtype": "mamba_ssm_cache_dtype",
    "mamba_cache_dtype": "mamba_cache_dtype",
    "quantization": "quantization",
    "moe_backend": "moe_backend",
    "expert_parallel": "enable_expert_parallel",
    "language_model_only": "language_model_only",
    "enforce_eager": "enforce_eager",
    "performance_mode": "performance_mode",
    "decode_context_parallel": "decode_context_parallel_size",
    "disable_hybrid_kv_cache_manager": "disable_hybrid_kv_cache_manager",
    "attention_backend": "attention_backend",
}
"""Inputs of rows that are fields of `EngineArgs` under another name."""

ENGINE_DEFAULT = "engine default"
"""How a row marks a batch that its engine chose: it is left to the engine here too."""


def write_model(config: Mapping[str, Any], folder: Path) -> Path:
    """A model's folder that holds its configuration and nothing else."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def engine_config(inputs: Mapping[str, Any], configs: Mapping[str, Any], folder: Path) -> Any:
    """The `VllmConfig` of a row. Raises what vLLM raises when it refuses the settings."""
    arguments: Any = import_module("vllm.engine.arg_utils")
    usage: Any = import_module("vllm.usage.usage_lib")
    made = arguments.EngineArgs(**arguments_of(inputs, configs, folder))
    return made.create_engine_config(usage_context=usage.UsageContext.OPENAI_API_SERVER)


def arguments_of(inputs: Mapping[str, Any], configs: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """The fields of `EngineArgs` for a row."""
    model = write_model(configs[inputs["hf_config"]], folder / "model")
    found: dict[str, Any] = {
        "model": str(model),
        "tokenizer": str(model),
        "skip_tokenizer_init": True,
        "load_format": "dummy",
        "trust_remote_code": False,
        "gpu_memory_utilization": 0.9,
        "distributed_executor_backend": "mp",
    }
    for name, field in PLAIN.items():
        if inputs.get(name) is not None:
            found[field] = inputs[name]
    dtype = str(inputs.get("kv_dtype") or "auto")
    if dtype not in ("auto", "bf16", "fp16"):
        found["kv_cache_dtype"] = dtype
    default = str(inputs.get("max_num_batched_tokens_from", "")).startswith(ENGINE_DEFAULT)
    if inputs.get("max_num_batched_tokens") is not None and not default:
        found["max_num_batched_tokens"] = inputs["max_num_batched_tokens"]
    speculation = _speculation(inputs, configs, folder)
    if speculation:
        found["speculative_config"] = speculation
    return found


def _speculation(inputs: Mapping[str, Any], configs: Mapping[str, Any], folder: Path) -> dict[str, Any] | None:
    method = inputs.get("spec_method")
    if not method:
        return None
    found: dict[str, Any] = {"method": method, "num_speculative_tokens": inputs.get("num_spec") or 1}
    drafter = inputs.get("spec_model")
    if drafter:
        found["model"] = str(write_model(configs[drafter], folder / "drafter"))
    if method == "ngram":
        found |= {"prompt_lookup_max": 4, "prompt_lookup_min": 2}
    return found
