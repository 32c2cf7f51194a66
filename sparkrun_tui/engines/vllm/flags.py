"""vLLM's flags (vllm/engine/arg_utils.py), in the order of a built command."""

from __future__ import annotations

from sparkrun_tui.engines.flags import NOTHING, Flag, FlagTable
from sparkrun_tui.engines.values import (
    VLLM_LONG,
    at_least_one,
    count,
    fraction,
    json_object,
    length_in,
    no_items,
    number,
    whole,
    word,
)

LONG_FLAGS = frozenset(
    {
        "--max-model-len",
        "--max-num-batched-tokens",
        "--max-num-scheduled-tokens",
        "--max-num-queued-tokens",
        "--kv-cache-memory-bytes",
        "--safetensors-prefetch-block-size",
    }
)
"""Flags whose numbers may have a suffix (human_readable_int_args in vllm/engine/arg_utils.py, 0.33)."""
_long_count = at_least_one(VLLM_LONG)

FLAGS = FlagTable(
    (
        Flag(
            ("--tensor-parallel-size", "-tp"),
            "tensor_parallel",
            aliases=("tp",),
            built="-tp",
            sets="tensor_parallel",
            read=count,
        ),
        Flag(("--port",), "port", sets=NOTHING),
        Flag(("--host",), "host", sets=NOTHING),
        Flag(
            ("--gpu-memory-utilization", "--device-memory-utilization"),
            "gpu_memory_utilization",
            sets="utilisation",
            read=fraction,
        ),
        Flag(("--max-model-len",), "max_model_len", sets="max_model_len", read=length_in(VLLM_LONG)),
        Flag(("--max-num-batched-tokens",), "max_num_batched_tokens", sets="max_num_batched_tokens", read=_long_count),
        Flag(("--max-num-seqs",), "max_num_seqs", sets="max_num_seqs", read=count),
        Flag(("--served-model-name",), "served_model_name", sets=NOTHING),
        Flag(("--revision",), "model_revision", sets=NOTHING),
        Flag(("--dtype",), "dtype", sets="dtype", read=word),
        Flag(("--quantization", "-q"), "quantization", sets="quantization", read=word),
        Flag(("--enforce-eager",), "enforce_eager", switch=True, off=("--no-enforce-eager",), sets="enforce_eager"),
        Flag(
            ("--enable-prefix-caching",),
            "enable_prefix_caching",
            switch=True,
            off=("--no-enable-prefix-caching",),
            on_by_default=True,
            sets="prefix_caching",
        ),
        Flag(("--trust-remote-code",), "trust_remote_code", switch=True, off=("--no-trust-remote-code",), sets=NOTHING),
        Flag(("--distributed-executor-backend",), "distributed_executor_backend", sets=NOTHING),
        Flag(
            ("--pipeline-parallel-size", "-pp"),
            "pipeline_parallel",
            aliases=("pp",),
            built="-pp",
            sets="pipeline_parallel",
            read=count,
        ),
        Flag(
            ("--data-parallel-size", "-dp"),
            "data_parallel",
            aliases=("dp",),
            built="-dp",
            sets="data_parallel",
            read=count,
        ),
        Flag(("--kv-cache-dtype",), "kv_cache_dtype", sets="kv_cache_dtype", read=word),
        Flag(("--block-size",), "block_size", sets="block_size", read=count),
        Flag(("--tool-call-parser",), "tool_call_parser", sets=NOTHING),
        Flag(
            ("--enable-auto-tool-choice",),
            "enable_auto_tool_choice",
            switch=True,
            off=("--no-enable-auto-tool-choice",),
            sets=NOTHING,
        ),
        Flag(("--reasoning-parser",), "reasoning_parser", sets=NOTHING),
        Flag(("--load-format",), "load_format", sets="load_format", read=word),
        Flag(("--attention-backend",), "attention_backend", sets="attention_backend", read=word),
        Flag(("--speculative-config", "-sc"), "speculative_config", sets="spec.json", read=json_object),
        Flag(("--max-cudagraph-capture-size",), "max_cudagraph_capture_size", sets=NOTHING),
        Flag(("--moe-backend",), "moe_backend", sets="moe_backend", read=word),
        Flag(
            ("--enable-expert-parallel", "-ep"),
            "enable_expert_parallel",
            aliases=("expert_parallel",),
            switch=True,
            off=("--no-enable-expert-parallel",),
            sets="expert_parallel",
        ),
        Flag(("--kv-cache-memory-bytes",), "kv_cache_memory_bytes", sets="kv_cache_memory_bytes", read=_long_count),
        Flag(("--cpu-offload-gb",), "cpu_offload_gb", sets="cpu_offload_gib", read=number),
        Flag(("--seed",), "seed", sets=NOTHING),
        Flag(("--chat-template",), "chat_template", sets=NOTHING),
        Flag(("--decode-context-parallel-size", "-dcp"), sets="context_parallel", read=count),
        Flag(("--async-scheduling",), switch=True, off=("--no-async-scheduling",), sets="async_scheduling"),
        Flag(
            ("--disable-hybrid-kv-cache-manager",),
            switch=True,
            off=("--no-disable-hybrid-kv-cache-manager",),
            sets="hybrid_kv_cache",
            value=False,
        ),
        Flag(("--performance-mode",), sets="performance_mode", read=word),
        Flag(("--mamba-ssm-cache-dtype",), sets="mamba_ssm_cache_dtype", read=word),
        Flag(("--mamba-cache-dtype",), sets="mamba_cache_dtype", read=word),
        Flag(("--gdn-prefill-backend",), sets="gdn_prefill_backend", read=word),
        Flag(("--limit-mm-per-prompt",), sets="text_only", read=no_items),
        Flag(("--mm-encoder-tp-mode",), sets="mm_encoder_tp_mode", read=word),
        Flag(("--language-model-only",), switch=True, off=("--no-language-model-only",), sets="text_only"),
        Flag(("--spec-method", "--speculative-config.method", "-sc.method"), sets="spec.method", read=word),
        Flag(
            ("--spec-model", "--speculative-config.model", "-sc.model", "--speculative-model"),
            sets="spec.model",
            read=str,
        ),
        Flag(("--speculative-config.revision", "-sc.revision"), sets="spec.revision", read=str),
        Flag(
            (
                "--spec-tokens",
                "--speculative-config.num_speculative_tokens",
                "--speculative-config.num-speculative-tokens",
                "-sc.num_speculative_tokens",
            ),
            sets="spec.tokens",
            read=whole,
        ),
    )
)
