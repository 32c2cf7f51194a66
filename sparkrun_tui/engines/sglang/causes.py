"""Why SGLang does not start or dies, by the lines it prints."""

from __future__ import annotations

import math
import re

from sparkrun_tui.base.reading.numbers import decimal, whole
from sparkrun_tui.base.reading.patterns import GAP
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.logs.causes import (
    BATCHED,
    OUT_OF_MEMORY,
    SEQS,
    SPARE,
    UTILISATION,
    Cause,
    Context,
    Repair,
    Weight,
    after_kill,
    by_hand,
    cause,
    ended_words,
    first_of,
    less_utilisation,
    set_env,
    set_length,
    set_utilisation,
    set_value,
    smaller_half,
)
from sparkrun_tui.engines.plan import Phase

_OF_MEMORY = late_regex(r"(?i)memory|alloc")


def _needed_fraction(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    weights = decimal(match[2], least=0.0, most=100.0)
    if weights is None:
        return (by_hand("a smaller quantisation, or more hosts"),)
    needed = math.ceil(weights * 100 + 1) / 100
    total = context.memory_total
    if needed >= 1 or (total is not None and total / GIB * (1 - needed) < SPARE):
        return (by_hand("a smaller quantisation, or more hosts", f"{needed:.2f} would leave the host too little"),)
    return (
        set_utilisation(needed, context, f"the weights need {weights:.3f}, the KV cache comes on top"),
        by_hand("stop other programs that hold memory on that host"),
    )


def _less_of_all(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    return (
        *smaller_half(context, SEQS, "smaller request table and states", 48),
        *smaller_half(context, BATCHED[1:], "smaller activations", 8192),
        by_hand("raise gpu_memory_utilization by 0.02", "only while the host keeps 8 GiB"),
    )


def _shorter(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    longer = by_hand("SGLANG_ALLOW_OVERWRITE_LONGER_CONTEXT_LEN=1 in env", "only if the model is made for it")
    length = whole(match[1], least=1)
    if length is None:
        return (longer,)
    return (set_length(length, context, "the longest the model says it can"), longer)


def _smaller_pools(context: Context, why: str) -> tuple[Repair, ...]:
    """Lower the fraction of the pools; by hand where its value is not known, as for a log without its recipe."""
    less = less_utilisation(0.05, context, why)
    if not less and context.number(*UTILISATION) is None:
        return (by_hand("lower --mem-fraction-static by 0.05", why),)
    return less


def _out_of_memory_why(_: re.Match[str], context: Context) -> str:
    if context.phase is Phase.GRAPHS:
        return "The GPU had no memory left while it captured CUDA graphs, which are outside the pools."
    return "The GPU had no memory left for what is outside the pools: activations, graphs, the request table."


def _out_of_memory(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    less = _smaller_pools(context, "leaves room outside the pools")
    if context.phase is Phase.GRAPHS:
        graphs = smaller_half(context, ("max_cudagraph_capture_size", "cuda_graph_max_bs"), "smaller graphs", 64)
        return (*less, *graphs)
    return (*less, *smaller_half(context, SEQS, "smaller request table", 48))


def _graphs_failed(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    eager = set_value("enforce_eager", "true", context, "no graphs, slower")
    if match[1] and _OF_MEMORY.search(match[1]) is None:
        return (by_hand("set attention_backend to triton", "or leave it to SGLang"), eager, by_hand("a newer image"))
    graphs = smaller_half(context, ("max_cudagraph_capture_size", "cuda_graph_max_bs"), "smaller graphs", 64)
    return (*_smaller_pools(context, "leaves room for the graphs"), *graphs, eager)


CAUSES: tuple[Cause, ...] = (
    cause(
        r"Loaded weights leave no GPU memory for the KV cache under --mem-fraction-static=([\d.]+)\. "
        r"Raise --mem-fraction-static above (\d+(?:\.\d+)?)",
        "No room for the KV cache",
        "The weights take all that a fraction of {0} allows; more than {1} is needed.",
        repairs_for=_needed_fraction,
    ),
    cause(
        r"Not enough memory\. Please try to increase --mem-fraction-static\.(?: Current value: (?:\w+=)?([\d.]+))?",
        "No room for the KV cache",
        "After the weights not one page of KV cache fits. On a Spark a higher fraction may freeze the host.",
        repairs_for=_less_of_all,
    ),
    cause(
        rf"SWA pool(?: cap)? \({GAP}?\) (?:cannot hold even one request|leaves no room)",
        "Sliding-window pool too small",
        "The pool for sliding-window layers cannot hold one request.",
        repairs_for=_less_of_all,
    ),
    cause(
        rf"Not enough GPU memory for hybrid {GAP} state cache|"
        rf"Hybrid {GAP} state cache is too small to serve any requests",
        "No room for the model's states",
        "The states of the linear-attention layers do not fit, although tokens of KV cache might.",
        repairs_for=_less_of_all,
    ),
    cause(
        r"The memory capacity is unbalanced\. Some GPUs may be occupied",
        "One host has less memory free",
        "One of the hosts has much less free memory than the others.",
        by_hand("compare the hosts' available memory, and stop other programs on the low one or restart it"),
    ),
    cause(
        OUT_OF_MEMORY,
        "Out of GPU memory",
        _out_of_memory_why,
        repairs_for=_out_of_memory,
    ),
    # sgl-project/sglang PR 8102
    cause(
        r"Not enough host memory available\. Requesting ([\d.]{1,12}) GB but only have ([\d.]{1,12}) GB free",
        "Too little memory for the second cache",
        "The hierarchical cache wants {0} GB of the host's memory, and {1} GB are free. On a Spark it is the GPU's"
        " memory, too.",
        by_hand("leave out enable_hierarchical_cache"),
        by_hand("a smaller hicache_size, or hicache_ratio"),
    ),
    # sgl-project/sglang#24843, PR 25798
    cause(
        r"think_end_token '([^']{0,40})' (?:must encode to exactly one token|could not be encoded)",
        "This reasoning parser is for another model",
        "The parser looks for `{0}`, which is no token of this model's vocabulary.",
        by_hand("correct reasoning_parser, or remove it", "it must be the one of this model"),
    ),
    # sgl-project/sglang#9330, #36352
    cause(
        r"(?:Currently (\w{1,60}) does not support speculative decoding|"
        r"Speculative decoding is currently not supported with (\w{1,40}) attention backend)",
        "This attention kernel cannot check drafts",
        lambda match, _: f"{shorten(first_of(match, 1, 2), 60)} does not work with speculative decoding.",
        by_hand("remove attention_backend (and prefill_attention_backend), or set it to triton or flashinfer"),
        by_hand("or leave out speculative_algorithm"),
    ),
    # sgl-project/sglang#4715
    cause(
        r"assert self\.quant_method is not None",
        "This quantisation is not for this model here",
        "This SGLang has no kernel for a layer of the model in its quantisation.",
        by_hand("a newer image, or another quantisation of the model"),
        in_code=True,
    ),
    # sgl-project/sglang#16855
    cause(
        r"AssertionError: res=<Response \[(50[234])\]>",
        "The warm-up request went through a proxy",
        "SGLang's own first request was answered with {0} by something in between, most often a proxy of env.",
        set_env("no_proxy", "localhost,127.0.0.1,0.0.0.0", "the server reaches itself directly"),
        by_hand("remove http_proxy from env"),
    ),
    # sgl-project/sglang#14285
    cause(
        r"ModelOptFp8Config only supports static FP8 quantization",
        "`quantization` is not the model's",
        "The model is quantised to FP4, and was opened as FP8.",
        set_value("quantization", "modelopt_fp4", Context({}), "what the model is"),
    ),
    # sgl-project/sglang#29833
    cause(
        r"Cannot find any of \['quant_method'\]",
        "`quantization` is not the model's",
        "A quantisation was asked for that the model's files do not have.",
        by_hand("remove `quantization`", "it is read from the model's own configuration"),
    ),
    # sgl-project/sglang#27968, #36569
    cause(
        r"AttributeError: '\w{0,40}MoEMethod' object has no attribute 'runner'",
        "The chosen kernel for experts does not fit",
        "This moe_runner_backend has nothing for the model's quantisation.",
        by_hand("remove moe_runner_backend, or set it to another one: triton, cutlass"),
        by_hand("use a newer image", "it says so at the start"),
    ),
    cause(
        r"FlashAttention on Ampere/Ada cards only supports fp16 and bf16|"
        r"AssertionError: KV4 MHA expects attention_backend to be one of (.{1,200})",
        "The attention kernel does not take this KV cache type",
        "The attention kernel that was chosen cannot read kv_cache_dtype as it is set.",
        by_hand("attention_backend triton"),
        by_hand("or kv_cache_dtype auto"),
    ),
    # Ascend/sglang#20
    cause(
        r"AssertionError: (.{2,100}) is required for (\w{1,60}) model but got (\w{1,40})",
        "The chosen attention kernel is not for this model",
        "{1} works with {0}, and {2} was chosen.",
        by_hand("set attention_backend to one of them", "triton works on a Spark"),
    ),
    # sgl-project/sglang#28297
    cause(
        r"AssertionError: Only SM [\dx., and]{1,60} are supported",
        "A kernel is not for this GPU",
        "A kernel that was chosen, most often the one for attention, is for other GPUs than the Spark's.",
        by_hand("set attention_backend to flashinfer or triton", "or leave it to SGLang"),
    ),
    # sgl-project/sglang#6000
    cause(
        r"AssertionError: tensor model parallel group is not initialized",
        "This quantisation cannot be used here",
        "SGLang calls vLLM's code for this quantisation, which is not set up.",
        by_hand("another quantisation of the model"),
        by_hand("a newer image"),
    ),
    # sgl-project/sglang#1405, #2102
    cause(
        r"Failed to allocate memory for \w{1,60} with size (\d{1,15}) and alignment \d{1,6} in AlignedAllocator",
        "flashinfer's workspace is too small",
        "flashinfer needed {0} bytes of its workspace at once.",
        set_env("SGLANG_FLASHINFER_WORKSPACE_SIZE", "2147483648", "2 GiB"),
        by_hand("attention_backend triton", "has no such workspace"),
    ),
    cause(
        r"(?:TRTLLM M[HL]A|trtllm_m[hl]a|FlashMLA|Cutlass MLA|cutlass_mla|fa3|fa4)\b.{0,80}"
        r"(?:is only supported on|only supports|requires)",
        "The chosen attention kernel is not for this GPU",
        "The attention kernel that was asked for is for other GPUs than the Spark's.",
        by_hand("set attention_backend to flashinfer or triton", "or leave it to SGLang"),
    ),
    cause(
        r"Capture (?:cuda|CUDA|target verify CUDA|draft \w{1,10} CUDA) graph failed: (.*)",
        "CUDA graphs could not be captured",
        "SGLang says: {0}",
        repairs_for=_graphs_failed,
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"No processor registered for architecture: (\[[^\]]{0,200}\])",
        "The engine cannot read this model's images",
        "This SGLang has no processor for {0}: the image is too old for it, or a part of it failed to load.",
        by_hand("a newer image"),
    ),
    cause(
        r"Could not load any common_ops library",
        "The image is not built for this GPU",
        "SGLang's kernels could not be loaded: they are for other GPUs than the Spark's (sm_121), or another CUDA.",
        by_hand("an image built for the Spark"),
    ),
    cause(
        r"(?:User-specified )?context_length \((?:\d+)\) is greater than the derived context_length \((\d+)\)",
        "Context longer than the model's",
        "The model is made for {0} tokens.",
        repairs_for=_shorter,
    ),
    cause(
        r"tp_size must be divisible by number of nodes",
        "Ranks cannot be split over the hosts",
        "tensor_parallel times pipeline_parallel must be a multiple of the number of hosts.",
        by_hand("set tensor_parallel to a multiple of the number of hosts, or choose fewer hosts"),
    ),
    cause(
        r"multi-node data-parallel replicas are not supported",
        "No data-parallel replicas over hosts",
        "SGLang does not run data-parallel replicas over several hosts.",
        set_value("data_parallel", "1", Context({}), "or attention DP (--attn-dp-size) across the hosts"),
    ),
    cause(
        r"argument --kv-cache-dtype: invalid choice: 'fp8'",
        "vLLM's word for an fp8 KV cache",
        "SGLang has two fp8 formats, and the command must name one.",
        repairs_for=lambda _, context: (set_value("kv_cache_dtype", "fp8_e4m3", context, "what vLLM means by fp8"),),
    ),
    # MiaAI-Lab/Qwen3.8-Flash-Next-Dual-DGX-Sparks#3
    cause(
        r"Rank (\d+) scheduler died during initialization \(exit code: -9\)",
        "The ranks waited for each other",
        "The process of rank {0} was ended while the ranks connected: they found each other, and then messages between "
        "them did not arrive, most often because one of them gave the address of another interface.",
        by_hand("set SGLANG_HOST_IP in env to each host's address of the fast link", "and GLOO_SOCKET_IFNAME, too"),
        by_hand("read the other hosts' logs", "a rank that failed there looks like this, too"),
        by_hand("journalctl -k -b | grep -i -e oom -e NVRM", "shows whether the kernel killed it"),
        weight=Weight.HINT,
        near=r"Init torch distributed begin|CustomAllreduce is disabled because",
        unless=r"Init torch distributed ends|Load weight begin",
    ),
    cause(
        r"Rank (\d+) scheduler died during initialization \(exit code: (-9)\)",
        "A rank's process was killed",
        lambda match, _: ended_words(f"The process of rank {match[1]}", match[2]),
        repairs_for=after_kill,
        weight=Weight.HINT,
    ),
    cause(
        r"Rank (\d+) scheduler died during initialization \(exit code: (-?\d+)\)",
        "A rank's process ended without a message",
        lambda match, _: ended_words(f"The process of rank {match[1]}", match[2]),
        repairs_for=after_kill,
        weight=Weight.HINT,
    ),
    cause(
        r"Subprocess (\S{1,200}) \(pid=\d+\) crashed with exit code (-?\d+)",
        "A process of the engine crashed",
        "{0} ended with exit code {1}.",
        by_hand("read the lines above it, on all hosts"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"Connection (?:reset|closed) by peer \[?([\d.]+)?",
        "A rank on another host is gone",
        "The connection to another rank was closed: the rank there has died.",
        by_hand("read the other host's log", "the first failure is there"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"Scheduler watchdog timeout \(self\.watchdog_timeout=(\d+)",
        "The engine hung",
        "A batch made no progress for {0} seconds.",
        by_hand("check the hosts' memory and the link between them"),
    ),
    cause(
        r"Initialization failed\. warmup error: (.*)",
        "The warm-up request failed",
        "SGLang started, and its first request failed: {0}. The first compilation of kernels may take over 10 minutes.",
        by_hand("SGLANG_WARMUP_TIMEOUT=1800 in env", "when it was still compiling"),
        weight=Weight.HINT,
    ),
)
