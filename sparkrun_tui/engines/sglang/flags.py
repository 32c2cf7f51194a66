"""SGLang's flags (sglang/srt/server_args.py), in the order of a built command."""

from __future__ import annotations

from dataclasses import replace

from sparkrun_tui.engines.fields.declared import FIELDS
from sparkrun_tui.engines.fields.types import FieldType
from sparkrun_tui.engines.flags import NOTHING, Flag, FlagTable
from sparkrun_tui.engines.values import SGLANG_LONG, at_least_one, count, fraction, number, whole, word

KV_WORDS = ("auto", "fp8_e5m2", "fp8_e4m3", "mxfp8", "bf16", "bfloat16", "nvfp4", "fp4_mx_block16")

LONG_FLAGS = frozenset(
    {"--context-length", "--max-total-tokens", "--max-prefill-tokens", "--cuda-graph-prefill-max-context"}
)
"""Flags whose numbers may have a suffix (type_parser=human_readable_int in sglang/srt/arg_groups/fields, 0.5.23)."""
_CPU_OFFLOAD = replace(FIELDS["cpu_offload_gb"], type=FieldType.INT)
"""SGLang accepts only whole numbers."""
_CONTEXT = replace(FIELDS["max_model_len"], words=())
"""SGLang does not fit the context by itself."""

FLAGS = FlagTable(
    (
        Flag(
            ("--tp-size", "--tensor-parallel-size", "--tp"),
            "tensor_parallel",
            sets="tensor_parallel",
            read=count,
        ),
        Flag(("--port",), "port", sets=NOTHING),
        Flag(("--host",), "host", sets=NOTHING),
        Flag(
            ("--mem-fraction-static", "--mem-fraction"),
            "gpu_memory_utilization",
            sets="utilisation",
            read=fraction,
        ),
        Flag(
            ("--context-length", "--context-len"),
            "max_model_len",
            sets="max_model_len",
            read=at_least_one(SGLANG_LONG),
            field=_CONTEXT,
        ),
        Flag(("--max-running-requests",), "max_num_seqs", sets="max_num_seqs", read=count),
        Flag(("--served-model-name",), "served_model_name", sets=NOTHING),
        Flag(("--revision",), "model_revision", sets=NOTHING),
        Flag(("--dtype",), "dtype", sets="dtype", read=word),
        Flag(("--quantization",), "quantization", sets="quantization", read=word),
        Flag(("--trust-remote-code",), "trust_remote_code", switch=True, sets=NOTHING),
        Flag(("--chunked-prefill-size",), "chunked_prefill_size", sets="sglang.chunked_prefill_size", read=whole),
        Flag(
            ("--kv-cache-dtype",),
            "kv_cache_dtype",
            words={"fp8": "fp8_e4m3"},
            only=KV_WORDS,
            sets="kv_cache_dtype",
            read=word,
        ),
        Flag(
            ("--pp-size", "--pipeline-parallel-size"),
            "pipeline_parallel",
            aliases=("pp",),
            sets="pipeline_parallel",
            read=count,
        ),
        Flag(("--attention-backend",), "attention_backend", sets="attention_backend", read=word),
        Flag(("--tool-call-parser",), "tool_call_parser", sets=NOTHING),
        Flag(("--reasoning-parser",), "reasoning_parser", sets=NOTHING),
        Flag(("--load-format",), "load_format", sets="load_format", read=word),
        Flag(
            ("--dp-size", "--data-parallel-size", "--dp"),
            "data_parallel",
            aliases=("dp",),
            sets="data_parallel",
            read=count,
        ),
        Flag(
            ("--ep-size", "--expert-parallel-size", "--ep"),
            "expert_parallel",
            aliases=("ep",),
            sets="sglang.ep_size",
            read=count,
        ),
        Flag(("--page-size",), "block_size", sets="block_size", read=count),
        Flag(("--moe-runner-backend",), "moe_backend", sets=NOTHING),
        Flag(("--disable-cuda-graph",), "enforce_eager", switch=True, sets="sglang.disable_cuda_graph"),
        Flag(
            ("--cuda-graph-max-bs-decode", "--cuda-graph-max-bs"),
            "max_cudagraph_capture_size",
            sets="sglang.cuda_graph_max_bs",
            read=count,
        ),
        Flag(
            ("--speculative-num-draft-tokens", "--speculative-dflash-block-size"),
            "num_speculative_tokens",
            sets="sglang.speculative_num_draft_tokens",
            read=whole,
        ),
        Flag(("--cpu-offload-gb",), "cpu_offload_gb", sets="cpu_offload_gib", read=whole, field=_CPU_OFFLOAD),
        Flag(("--random-seed",), "seed", sets=NOTHING),
        Flag(("--chat-template",), "chat_template", sets=NOTHING),
        Flag(("--disable-radix-cache",), switch=True, sets="prefix_caching", value=False),
        Flag(("--mamba-ssm-dtype",), sets="mamba_ssm_cache_dtype", read=word),
        Flag(("--speculative-algorithm", "--speculative-algo"), sets="spec.method", read=word),
        Flag(("--speculative-draft-model-path", "--speculative-draft-model"), sets="spec.model", read=str),
        Flag(("--speculative-draft-model-revision",), sets="spec.revision", read=str),
        Flag(("--speculative-draft-kv-cache-dtype",), sets="spec.cache_dtype", read=word),
        Flag(("--attn-dp-size", "--attention-data-parallel-size"), sets="sglang.attn_dp_size", read=count),
        Flag(("--enable-dp-attention",), switch=True, sets="sglang.dp_attention"),
        Flag(("--max-total-tokens",), sets="sglang.max_total_tokens", read=at_least_one(SGLANG_LONG)),
        Flag(("--max-mamba-cache-size",), sets="sglang.max_mamba_cache_size", read=count),
        Flag(("--mamba-full-memory-ratio",), sets="sglang.mamba_full_memory_ratio", read=number),
        Flag(("--mamba-radix-cache-strategy",), sets="sglang.mamba_radix_cache_strategy", read=word),
        Flag(("--mamba-track-interval",), sets="sglang.mamba_track_interval", read=count),
        Flag(("--swa-full-tokens-ratio",), sets="sglang.swa_full_tokens_ratio", read=number),
        Flag(("--disable-hybrid-swa-memory",), switch=True, sets="sglang.disable_hybrid_swa_memory"),
        Flag(("--disable-overlap-schedule",), switch=True, sets="sglang.disable_overlap_schedule"),
        Flag(("--disable-prefill-cuda-graph",), switch=True, sets="sglang.disable_prefill_cuda_graph"),
        Flag(("--disable-decode-cuda-graph",), switch=True, sets="sglang.disable_decode_cuda_graph"),
        Flag(("--enable-multimodal",), switch=True, sets="sglang.enable_multimodal"),
        Flag(("--mm-feature-transport",), sets="sglang.mm_feature_transport", read=word),
        Flag(("--ple-offload-backend",), sets="sglang.ple_backend", read=word),
        Flag(("--dsa-prefill-backend",), sets="sglang.dsa_prefill_backend", read=word),
        Flag(("--dsa-decode-backend",), sets="sglang.dsa_decode_backend", read=word),
        Flag(("--speculative-num-steps",), sets="sglang.speculative_num_steps", read=whole),
        Flag(("--speculative-eagle-topk",), sets="sglang.speculative_eagle_topk", read=whole),
    )
)
