"""The flags and recipe keys that move memory, one table per engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sparkrun_tui.base import numbers
from sparkrun_tui.base.json_text import parse_json

_MOST = 10**15
"""The largest figure that is taken: a flag in bytes is at most a petabyte."""
_SUFFIX = {"k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


@dataclass(frozen=True, slots=True)
class Flag:
    """One field of the settings, the spellings that set it, and the recipe keys that stand for it.

    ``convert`` None marks a switch: a spelling in ``on`` sets ``value``, one in ``off`` the opposite.
    """

    field: str
    on: tuple[str, ...]
    convert: Callable[[str], object] | None = None
    off: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    value: bool = True

    @property
    def name(self) -> str:
        """The spelling to show to a person."""
        return self.on[0]

    @property
    def chain_keys(self) -> tuple[str, ...]:
        """Recipe keys that set this field: the declared ones, then the long flags with underscores."""
        long = tuple(s[2:].replace("-", "_") for s in self.on if s.startswith("--") and "." not in s)
        return self.keys + long

    def read(self, raw: object) -> object:
        """Convert a typed chain value or a word of the command; raises ValueError or TypeError."""
        if self.convert is None:
            return _truth(raw) == self.value
        if isinstance(raw, Mapping) and self.convert is json_object:
            return dict(raw)
        if isinstance(raw, Mapping | list):
            raise TypeError(raw)
        return self.convert("" if raw is None else str(raw))


def _truth(raw: object) -> bool:
    """Read a switch: a YAML boolean, or the words that mean one."""
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in ("true", "1", "yes", "on", ""):
        return True
    if word in ("false", "0", "no", "off", "none"):
        return False
    raise ValueError(word)


def whole(text: str) -> int:
    """Read a whole number, also with a suffix (``32k`` 32,000, ``32K`` 32,768) or digits grouped by ``_`` or ``,``."""
    match = re.fullmatch(r"\s*(-?[0-9][0-9_,]*(?:\.[0-9]+)?)\s*([kmgtKMGT]?)\s*", text)
    number = None if match is None else numbers.decimal(match[1].replace("_", "").replace(",", ""))
    if match is None or number is None or abs(number) > _MOST:
        raise ValueError(text)
    found = int(number * _SUFFIX.get(match[2], 1))
    if abs(found) > _MOST:
        raise ValueError(text)
    return found


def count(text: str) -> int:
    """Read a whole number that is at least 1."""
    number = whole(text)
    if number < 1:
        raise ValueError(text)
    return number


def length(text: str) -> int:
    """Read a context length; ``auto`` and ``-1`` give -1, which lets the engine fit it."""
    return -1 if text.strip().lower() in ("auto", "-1") else count(text)


def fraction(text: str) -> float:
    """Read a share of memory in (0, 1]."""
    number = decimal(text)
    if not 0 < number <= 1:
        raise ValueError(text)
    return number


def decimal(text: str) -> float:
    """Read a number."""
    number = numbers.decimal(text, least=-_MOST, most=_MOST)
    if number is None:
        raise ValueError(text)
    return number


def word(text: str) -> str:
    """Read a word in lower case."""
    return text.strip().lower()


def json_object(text: str) -> Mapping[str, object]:
    """Read a JSON object; raises ValueError for anything else."""
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError(text)
    return value


def no_items(text: str) -> bool:
    """Tell whether a limit of multimodal items is zero for every kind (``{"image": 0}`` or ``image=0``)."""
    try:
        limits: Mapping[str, object] = json_object(text)
    except ValueError:
        limits = dict(part.split("=", 1) for part in text.split(",") if "=" in part)
    return bool(limits) and all(str(limit) == "0" for limit in limits.values())


VLLM_FLAGS: tuple[Flag, ...] = (
    Flag("tensor_parallel", ("--tensor-parallel-size", "-tp"), count, keys=("tensor_parallel", "tp")),
    Flag("pipeline_parallel", ("--pipeline-parallel-size", "-pp"), count, keys=("pipeline_parallel", "pp")),
    Flag("data_parallel", ("--data-parallel-size", "-dp"), count, keys=("data_parallel", "dp")),
    Flag("context_parallel", ("--decode-context-parallel-size", "-dcp"), count),
    Flag("expert_parallel", ("--enable-expert-parallel", "-ep"), off=("--no-enable-expert-parallel",)),
    Flag("max_model_len", ("--max-model-len",), length),
    Flag("utilisation", ("--gpu-memory-utilization", "--device-memory-utilization"), fraction),
    Flag("max_num_seqs", ("--max-num-seqs",), count),
    Flag("max_num_batched_tokens", ("--max-num-batched-tokens",), count),
    Flag("kv_cache_dtype", ("--kv-cache-dtype",), word),
    Flag("kv_cache_memory_bytes", ("--kv-cache-memory-bytes",), count),
    Flag("block_size", ("--block-size",), count),
    Flag("dtype", ("--dtype",), word),
    Flag("quantization", ("--quantization", "-q"), word),
    Flag("load_format", ("--load-format",), word),
    Flag("enforce_eager", ("--enforce-eager",), off=("--no-enforce-eager",)),
    Flag("prefix_caching", ("--enable-prefix-caching",), off=("--no-enable-prefix-caching",)),
    Flag("async_scheduling", ("--async-scheduling",), off=("--no-async-scheduling",)),
    Flag(
        "hybrid_kv_cache",
        ("--disable-hybrid-kv-cache-manager",),
        off=("--no-disable-hybrid-kv-cache-manager",),
        value=False,
    ),
    Flag("performance_mode", ("--performance-mode",), word),
    Flag("attention_backend", ("--attention-backend",), word),
    Flag("mamba_ssm_cache_dtype", ("--mamba-ssm-cache-dtype",), word),
    Flag("mamba_cache_dtype", ("--mamba-cache-dtype",), word),
    Flag("text_only", ("--limit-mm-per-prompt",), no_items),
    Flag("text_only", ("--language-model-only",), off=("--no-language-model-only",)),
    Flag("cpu_offload_gib", ("--cpu-offload-gb",), decimal),
    Flag("spec.json", ("--speculative-config", "-sc"), json_object),
    Flag("spec.method", ("--spec-method", "--speculative-config.method", "-sc.method"), word),
    Flag("spec.model", ("--spec-model", "--speculative-config.model", "-sc.model"), str),
    Flag(
        "spec.tokens",
        (
            "--spec-tokens",
            "--speculative-config.num_speculative_tokens",
            "--speculative-config.num-speculative-tokens",
            "-sc.num_speculative_tokens",
        ),
        whole,
    ),
)
"""vLLM's flags (vllm/engine/arg_utils.py)."""

SGLANG_FLAGS: tuple[Flag, ...] = (
    Flag("tensor_parallel", ("--tp-size", "--tensor-parallel-size", "--tp"), count, keys=("tensor_parallel",)),
    Flag(
        "pipeline_parallel",
        ("--pp-size", "--pipeline-parallel-size"),
        count,
        keys=("pipeline_parallel", "pp"),
    ),
    Flag("data_parallel", ("--dp-size", "--data-parallel-size", "--dp"), count, keys=("data_parallel",)),
    Flag("max_model_len", ("--context-length", "--context-len"), length, keys=("max_model_len",)),
    Flag("utilisation", ("--mem-fraction-static", "--mem-fraction"), fraction, keys=("gpu_memory_utilization",)),
    Flag("max_num_seqs", ("--max-running-requests",), count, keys=("max_num_seqs",)),
    Flag("kv_cache_dtype", ("--kv-cache-dtype",), word),
    Flag("block_size", ("--page-size",), count),
    Flag("dtype", ("--dtype",), word),
    Flag("quantization", ("--quantization",), word),
    Flag("load_format", ("--load-format",), word),
    Flag("attention_backend", ("--attention-backend",), word),
    Flag("prefix_caching", ("--disable-radix-cache",), value=False),
    Flag("mamba_ssm_cache_dtype", ("--mamba-ssm-dtype",), word),
    Flag("cpu_offload_gib", ("--cpu-offload-gb",), decimal),
    Flag("spec.method", ("--speculative-algorithm", "--speculative-algo"), word),
    Flag("spec.model", ("--speculative-draft-model-path", "--speculative-draft-model"), str),
    Flag("sglang.attn_dp_size", ("--attn-dp-size", "--attention-data-parallel-size"), count),
    Flag("sglang.dp_attention", ("--enable-dp-attention",)),
    Flag("sglang.ep_size", ("--ep-size", "--expert-parallel-size", "--ep"), count),
    Flag("sglang.chunked_prefill_size", ("--chunked-prefill-size",), whole),
    Flag("sglang.max_total_tokens", ("--max-total-tokens",), count),
    Flag("sglang.max_mamba_cache_size", ("--max-mamba-cache-size",), count),
    Flag("sglang.mamba_full_memory_ratio", ("--mamba-full-memory-ratio",), decimal),
    Flag("sglang.mamba_radix_cache_strategy", ("--mamba-radix-cache-strategy",), word),
    Flag("sglang.mamba_track_interval", ("--mamba-track-interval",), count),
    Flag("sglang.swa_full_tokens_ratio", ("--swa-full-tokens-ratio",), decimal),
    Flag("sglang.disable_hybrid_swa_memory", ("--disable-hybrid-swa-memory",)),
    Flag("sglang.disable_overlap_schedule", ("--disable-overlap-schedule",)),
    Flag("sglang.disable_cuda_graph", ("--disable-cuda-graph",)),
    Flag("sglang.disable_prefill_cuda_graph", ("--disable-prefill-cuda-graph",)),
    Flag("sglang.disable_decode_cuda_graph", ("--disable-decode-cuda-graph",)),
    Flag("sglang.cuda_graph_max_bs", ("--cuda-graph-max-bs-decode", "--cuda-graph-max-bs"), count),
    Flag("sglang.enable_multimodal", ("--enable-multimodal",)),
    Flag("sglang.mm_feature_transport", ("--mm-feature-transport",), word),
    Flag("sglang.dsa_prefill_backend", ("--dsa-prefill-backend",), word),
    Flag("sglang.dsa_decode_backend", ("--dsa-decode-backend",), word),
    Flag("sglang.speculative_num_steps", ("--speculative-num-steps",), whole),
    Flag("sglang.speculative_eagle_topk", ("--speculative-eagle-topk",), whole),
    Flag(
        "sglang.speculative_num_draft_tokens",
        ("--speculative-num-draft-tokens", "--speculative-dflash-block-size"),
        whole,
    ),
)
"""SGLang's flags (sglang/srt/server_args.py), with the abbreviations that its parser takes."""

LLAMA_FLAGS: tuple[Flag, ...] = (
    Flag("llama.ctx_size", ("--ctx-size", "-c"), whole, keys=("ctx_size", "max_model_len", "n_ctx")),
    Flag("llama.parallel", ("--parallel", "-np"), whole, keys=("n_parallel", "parallel", "max_num_seqs")),
    Flag("llama.kv_unified", ("--kv-unified", "-kvu"), off=("--no-kv-unified", "-no-kvu")),
    Flag("llama.batch", ("--batch-size", "-b"), whole, keys=("n_batch",)),
    Flag("llama.ubatch", ("--ubatch-size", "-ub"), whole, keys=("n_ubatch", "ubatch")),
    Flag("llama.cache_type_k", ("--cache-type-k", "-ctk"), word),
    Flag("llama.cache_type_v", ("--cache-type-v", "-ctv"), word),
    Flag("llama.flash_attn", ("--flash-attn", "-fa"), word, keys=("flash_attn", "flash_attention")),
    Flag("llama.swa_full", ("--swa-full",)),
    Flag("llama.fit", ("--fit", "-fit"), lambda text: _truth(text)),
    Flag("llama.fit_ctx_min", ("--fit-ctx", "-fitc"), whole),
    Flag("llama.fit_target_mib", ("--fit-target", "-fitt"), lambda text: whole(text.split(",")[0])),
    Flag("llama.n_gpu_layers", ("--gpu-layers", "--n-gpu-layers", "-ngl"), word),
    Flag("llama.load_mode", ("--load-mode", "-lm"), word),
    Flag("llama.no_mmap", ("--no-mmap",), off=("--mmap",)),
    Flag("llama.embeddings", ("--embeddings", "--embedding")),
    Flag("llama.mmproj", ("--mmproj", "-mm"), str),
    Flag("llama.draft_cache_type_k", ("--spec-draft-type-k", "-ctkd", "--cache-type-k-draft"), word),
    Flag("llama.draft_cache_type_v", ("--spec-draft-type-v", "-ctvd", "--cache-type-v-draft"), word),
    Flag("spec.method", ("--spec-type",), word),
    Flag("spec.model", ("--spec-draft-model", "-md", "--model-draft", "--spec-draft-hf", "-hfd", "-hfrd"), str),
    Flag("spec.tokens", ("--spec-draft-n-max", "--draft-max", "--draft-n", "--draft"), whole),
)
"""llama-server's flags (common/arg.cpp)."""
