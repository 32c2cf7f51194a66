"""Why vLLM does not start or dies, by the lines it prints; the first rule that matches a line is used."""

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
    more_utilisation,
    set_env,
    set_length,
    set_utilisation,
    set_value,
    smaller_half,
)
from sparkrun_tui.engines.plan import Phase

_ONLY_DTYPE = late_regex(r"Supported dtypes: \[torch\.(float16|bfloat16)\]")
_MOST_HEADS = 1_000_000
_MOST_RANKS = 4096
_HALF_KV = "half the KV cache for the same context"
_FEWER_REQUESTS = "fewer concurrent requests"


def _fp8(context: Context) -> tuple[Repair, ...]:
    if context.values.get("kv_cache_dtype", "auto").startswith(("fp8", "nvfp4", "int8")):
        return ()
    return (set_value("kv_cache_dtype", "fp8", context, _HALF_KV),)


def _kv_too_small(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    need, have = decimal(match[2]), decimal(match[3])
    longest = whole(match[4] or "", least=1)
    repairs: list[Repair] = []
    if longest is not None:
        repairs.append(set_length(longest, context))
    if need is not None and have is not None:
        repairs += more_utilisation(need - have, context)
        if need / 2 <= have:
            repairs += _fp8(context)
    return tuple(repairs) or (by_hand("a smaller quantisation, or more hosts"),)


def _kv_tokens(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    holds = whole(match[2], least=1)
    if holds is None:
        return _fp8(context)
    return (set_length(holds, context), *_fp8(context))


def _start_check(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    free, total = decimal(match[1], least=0.0), decimal(match[2], least=0.0)
    caches = by_hand(
        "sync; echo 3 | sudo tee /proc/sys/vm/drop_caches", "when it is the page cache that holds the memory"
    )
    value, why = 0.0, ""
    if free is not None and total:
        kept, why = 0.5, f"what {match[1]} GiB of free memory allow"
        if _is_host_memory(total, context):
            kept, why = SPARE, f"of {match[1]} GiB of free memory the host keeps {SPARE}"
        value = math.floor((free - kept) / total * 100) / 100
    now = context.number(*UTILISATION)
    # vLLM says this when it wants more than is free: a higher figure is none of vLLM's.
    if value < 0.1 or value > (0.9 if now is None else now):
        return (by_hand("stop other programs that hold memory on that host: nvidia-smi, docker ps"), caches)
    return (set_utilisation(value, context, why), caches)


def _is_host_memory(total: float, context: Context) -> bool:
    """Whether a GPU of `total` GiB shares the memory of its host, as on a Spark: both figures are nearly the same."""
    if context.memory_total is None:
        return False
    return abs(context.memory_total / GIB - total) < 0.03 * total


def _start_check_why(match: re.Match[str], _: Context) -> str:
    wanted = ""
    if match[3]:
        wanted = f" ({match[3]} of the memory, {match[4]} GiB)"
    return (
        f"vLLM wants more memory{wanted} than was free when it started: {match[1]} of {match[2]} GiB. "
        "Something else holds memory on that host, the page cache does, or the fraction is too high."
    )


def _out_of_memory_why(match: re.Match[str], context: Context) -> str:
    where = {
        Phase.LOAD: "while it loaded the weights",
        Phase.COMPILE: "while it tried a full batch to size the KV cache",
        Phase.GRAPHS: "while it captured CUDA graphs",
        Phase.READY: "while it served",
    }
    sentence = "The GPU had no memory left"
    if match[1]:
        sentence += f" (it asked for {match[1]})"
    if context.phase in where:
        sentence += f" {where[context.phase]}"
    return f"{sentence}."


def _out_of_memory(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    expandable = by_hand("PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True in env", "several GiB more stay free")
    if context.phase is Phase.LOAD:
        return (by_hand("a smaller quantisation, or more hosts", "the weights alone do not fit"), expandable)
    if context.phase is Phase.GRAPHS:
        eager = set_value("enforce_eager", "true", context, "no graphs, slower")
        return (*less_utilisation(0.05, context, "leaves room for the graphs"), eager, expandable)
    if context.phase is Phase.READY:
        return (*less_utilisation(0.05, context, "leaves room outside the KV cache"), expandable)
    batch = smaller_half(context, BATCHED[:1], "smaller activations", 8192)
    seqs = smaller_half(context, SEQS[:1], _FEWER_REQUESTS, 256)
    return (*batch, *seqs, expandable)


def _divisor(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    heads = whole(match[1], least=1, most=_MOST_HEADS)
    degree = whole(match[2], least=1, most=_MOST_RANKS)
    if heads is None or degree is None:
        return (by_hand("choose a tensor_parallel that divides the number of heads"),)
    best = degree
    while heads % best != 0:
        best -= 1
    return (
        set_value("tensor_parallel", str(best), context, f"divides the {heads} heads"),
        by_hand("choose a tensor_parallel that divides the number of heads", "1, 2, 4 and 8 do for most models"),
    )


def _one_rank_per_gpu(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    gpus = whole(match[2], least=1, most=_MOST_RANKS)
    if gpus is None:
        return ()
    return (set_value("tensor_parallel", str(gpus), context, "one rank for each GPU of the host"),)


def _model_length(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    longer = by_hand("VLLM_ALLOW_LONG_MAX_MODEL_LEN=1 in env", "only if the model is made for it (RoPE scaling)")
    length = decimal(match[2], least=1.0)
    if length is None:
        return (longer,)
    return (set_length(math.floor(length), context, "the longest the model says it can"), longer)


def _model_length_why(match: re.Match[str], _: Context) -> str:
    made_for = "shorter contexts"
    length = decimal(match[2])
    if length is not None:
        made_for = f"{math.floor(length)} tokens"
    return f"The model is made for {made_for}; {shorten(match[1], 40)} were asked for."


def _state_blocks(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    fit = whole(match[2], least=1)
    if fit is None:
        return smaller_half(context, SEQS[:1], _FEWER_REQUESTS, 256)
    return (set_value("max_num_seqs", str(fit), context, "as many as fit"),)


def _attention_why(match: re.Match[str], context: Context) -> str:
    cache = _cache_type(match, context)
    sentence = f"No attention kernel of this image runs this model with a KV cache of type {cache} on this GPU."
    reasons = match.string[match.end() :].partition("Reasons: ")[2]
    if not reasons:
        return sentence
    return f"{sentence} Its reasons: {shorten(reasons, 300)}"


def _cache_type(match: re.Match[str], context: Context) -> str:
    return match[1] or context.values.get("kv_cache_dtype", "auto")


def _attention(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    other = by_hand("an image built for the Spark's GPU (sm_121)")
    if _cache_type(match, context) == "auto":
        return (other,)
    return (set_value("kv_cache_dtype", "auto", context, "the model's own type"), other)


def _other_fp8(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    weights = by_hand("another quantisation of the model", "where its weights are of this format")
    if context.values.get("kv_cache_dtype", "") == "auto":
        return (weights,)
    return (set_value("kv_cache_dtype", "auto", context, "the model's own type"), weights)


def _after_end(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    if match[2] == "-4":
        return (by_hand("use an image that is built for this host's processor"),)
    return after_kill(match, context)


def _own_cache_type(context: Context) -> tuple[Repair, ...]:
    if context.values.get("kv_cache_dtype", "auto") == "auto":
        return ()
    return (set_value("kv_cache_dtype", "auto", context, "the model's own type"),)


def _dtype_of_weights(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs for weights that want another type: the one that the words offer, where they offer one alone."""
    offered = _ONLY_DTYPE.search(match.string)
    other = by_hand("another image or another quantisation")
    if offered is None:
        return (by_hand("dtype auto"), other)
    return (set_value("dtype", offered[1], context, "the only type that these weights run in"), other)


def _own_kernel(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs for an attention kernel that was asked for: without it, and where it names the KV cache, that, too."""
    without = by_hand("remove attention_backend and VLLM_ATTENTION_BACKEND", "vLLM then chooses")
    if "kv_cache_dtype" not in match.string:
        return (without,)
    return (without, set_value("kv_cache_dtype", "auto", context, "the model's own type"))


def _draft_length(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    step = whole(match[2], least=1, most=8)
    if step is None:
        return (by_hand("choose a multiple of it"),)
    return (
        set_value("speculative_config.num_speculative_tokens", str(step), context, "one round of the draft layers"),
    )


_RANK_COUNT = (
    by_hand("check that the worker's container runs and has joined", "Ray counts only nodes that joined it"),
    by_hand("lower tensor_parallel to the number of GPUs"),
)
_LOST_RANK = (by_hand("read the other host's log", "the first failure is there"),)

_NOT_INSPECTED = (
    "The model's code cannot be loaded",
    "vLLM could not load its own code for {0}: a package of this image is missing or of another version. "
    "The lines above say which.",
    by_hand("read the lines of registry.py above it: the last exception there is the cause"),
    by_hand("use another image, or leave out mods that install packages"),
)

CAUSES: tuple[Cause, ...] = (
    cause(
        r"To serve at least one request with the models?(?:'s)? max seq len \((\d+)\), \(?([\d.]+) GiB KV cache is "
        r"needed, which is larger than the available KV cache memory \((-?[\d.]+) GiB\)"
        rf"(?:{GAP}estimated maximum model length is (\d+))?",
        "KV cache too small for the context",
        "One request of {0} tokens needs {1} GiB of KV cache; {2} GiB are there.",
        repairs_for=_kv_too_small,
    ),
    cause(
        r"The model's max seq len \((\d+)\) is larger than the maximum number of tokens that can be stored in KV "
        r"cache \((\d+)\)",
        "KV cache too small for the context",
        "The context of {0} tokens is longer than the KV cache, which holds {1}.",
        repairs_for=_kv_tokens,
    ),
    cause(
        r"Free memory on device (?:\S+ )?\(([\d.]+)/([\d.]+) GiB\) on startup is less than "
        r"(?:desired GPU memory utilization|the engine's budget[^(]*)(?: \(([\d.]+), ([\d.]+) GiB\))?",
        "Not enough free memory at the start",
        _start_check_why,
        repairs_for=_start_check,
    ),
    cause(
        r"Available memory on node \d+ \(([\d.]+)/([\d.]+) GiB\) on kv cache allocation is less than requested "
        r"memory for kv \(([\d.]+) GiB\)",
        "Not enough memory for the KV cache",
        "{2} GiB of KV cache were asked for and {0} of {1} GiB are free (a memory limit of the container counts).",
        by_hand("ask for a smaller KV cache, or raise the container's memory limit"),
    ),
    cause(
        r"No available memory for the cache blocks|Cannot auto-fit max_model_len: not enough GPU memory",
        "No room for the KV cache",
        "Weights and activations take the whole memory budget; nothing is left for the KV cache.",
        repairs_for=lambda _, context: (
            *more_utilisation(4.0, context),
            *smaller_half(context, BATCHED[:1], "smaller activations", 8192),
            by_hand("a smaller quantisation, or more hosts"),
        ),
    ),
    cause(
        r"^Available KV cache memory: (-[\d.]+) GiB",
        "No room for the KV cache",
        "The memory budget is {0} GiB short before any KV cache. After a large copy the page cache may be to blame.",
        by_hand("sync; echo 3 | sudo tee /proc/sys/vm/drop_caches, then launch again"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"CUDA out of memory occurred when warming up sampler with (\d+) dummy requests",
        "Too many concurrent requests",
        "The sampler's warm-up with {0} requests did not fit in memory.",
        repairs_for=lambda _, context: smaller_half(context, SEQS[:1], _FEWER_REQUESTS, 256),
    ),
    cause(
        r"max_num_seqs \((\d+)\) exceeds available Mamba cache blocks \((\d+)\)",
        "Too many concurrent requests",
        "Each request of this model needs a block for its state: {1} blocks fit, and {0} requests were allowed.",
        repairs_for=_state_blocks,
    ),
    cause(
        r"Error in memory profiling\. Initial free memory ([\d.]+) GiB, current free memory ([\d.]+) GiB",
        "Memory changed while vLLM measured it",
        "{0} GiB were free before the measurement and {1} GiB after it: something else on that host gave memory back.",
        by_hand("launch it again while nothing else starts or ends on that host"),
        by_hand("--kv-cache-memory-bytes in the command", "the size of the KV cache; nothing is measured then"),
    ),
    cause(
        r"Timed out waiting for engine core processes to start(?:.{0,200}Waited (\d+)s)?",
        "Loading took longer than vLLM waits",
        lambda match, _: (
            f"vLLM gives its engine {match[1] or '600'} seconds to load and compile, and ended it after that."
        ),
        by_hand('VLLM_ENGINE_READY_TIMEOUT_S: "3600" in env', "an hour; what was compiled is kept for the next start"),
    ),
    cause(
        r"No valid attention backend found(?:.{1,300}?kv_cache_dtype=([\w.]{1,40}))?",
        "No attention kernel for these settings",
        _attention_why,
        repairs_for=_attention,
    ),
    # vllm-project/vllm#50708
    cause(
        r"max_num_scheduled_tokens is set to (-?\d{1,9}), which does not allow",
        "No tokens are left for a step",
        "A step has room for max_num_batched_tokens; the drafted tokens of all requests take more than that ({0}).",
        by_hand("raise max_num_batched_tokens", "above num_speculative_tokens times max_num_seqs"),
        by_hand("or lower max_num_seqs or num_speculative_tokens"),
    ),
    # vllm-project/vllm#38979
    cause(
        r"page size of the layer is not divisible by the maximum page size|Cannot unify by adjusting block_size",
        "The layers' KV caches do not fit together",
        "This model's kinds of layers need pages of KV cache that are no multiples of each other.",
        repairs_for=lambda _, context: (
            *_own_cache_type(context),
            by_hand("start without the drafter, and without a block_size of your own"),
            by_hand("a newer image"),
        ),
    ),
    # eugr/spark-vllm-docker#296, vllm-project/vllm#46480, #43626
    cause(
        r"assert new_spec\.page_size_bytes == max_page_size",
        "The layers' KV caches do not fit together",
        "The pages of KV cache of this model's kinds of layers, or of its drafter, cannot be made equal.",
        repairs_for=lambda _, context: (
            *_own_cache_type(context),
            by_hand("start without the drafter, and without a block_size of your own"),
            by_hand("a newer image; until then kv_cache_dtype auto where it is TurboQuant"),
        ),
        in_code=True,
    ),
    # vllm-project/vllm#42911
    cause(
        r"Hybrid KV cache manager is disabled but failed to convert the KV cache specs",
        "This model does not go with moving the KV cache",
        "The model has several kinds of layers, and what moves or offloads its KV cache handles only one.",
        by_hand("leave out kv_transfer_config and KV offloading (LMCache)"),
        by_hand("a newer image"),
    ),
    cause(
        r"model type '?([\w-]{1,60})'? does not support float16",
        "`dtype` does not fit the model",
        "{0} does not work in float16.",
        repairs_for=lambda _, context: (set_value("dtype", "auto", context, "the model's own type"),),
    ),
    cause(
        r"Triton Error \[CUDA\]: out of memory",
        "Out of GPU memory",
        "The GPU had no memory left for a Triton kernel.",
        repairs_for=lambda _, context: less_utilisation(0.05, context, "leaves room outside the KV cache"),
    ),
    # vllm/csrc/custom_all_reduce.cuh
    cause(
        r"custom_all_reduce\.cuh:\d{1,6} '([^']{1,100})'",
        "vLLM's own all-reduce fails between these GPUs",
        "CUDA says: {0}",
        by_hand("--disable-custom-all-reduce in the command", "NCCL is used instead"),
    ),
    # 1CatAI/1Cat-vLLM#94
    cause(
        r"Quantization scheme is not supported for .{0,20}the current GPU\. Min capability: (\d{2,3})",
        "No kernel for this quantisation",
        "This quantisation needs a GPU of compute capability {0} or more.",
        by_hand("another quantisation of the model"),
    ),
    # vllm-project/vllm#12932, #13332, #17341, #20122, #32554
    cause(
        r"^  Value error, Model architectures (\[[^\]]{1,200}\]) failed to be inspected",
        *_NOT_INSPECTED,
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"Model architectures (\[[^\]]{1,200}\]) failed to be inspected",
        *_NOT_INSPECTED,
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # vllm-project/vllm#26431, #43562
    cause(
        r"type fp8e4nv not supported in this architecture|"
        r"AttributeError: module 'torch' has no attribute '(?:nvfp4|fp8)",
        "This fp8 format is not for this GPU",
        "No kernel of this image computes with this format on this GPU: for the KV cache, or for the weights.",
        repairs_for=_other_fp8,
    ),
    cause(
        r"fp8_e5m2 kv-cache is not supported with fp8 checkpoints",
        "This KV cache type does not go with fp8 weights",
        "The model's weights are fp8, and vLLM has no fp8_e5m2 KV cache for these.",
        repairs_for=lambda _, context: (set_value("kv_cache_dtype", "fp8", context, "goes with fp8 weights"),),
    ),
    cause(
        r"ray\.exceptions\.OutOfMemoryError|workers? were killed due to the node running low on memory",
        "Ray killed a worker for memory",
        "Ray counts the page cache as used memory and kills workers at 95 %.",
        by_hand("RAY_memory_monitor_refresh_ms=0 in env", "turns Ray's own guard off"),
    ),
    cause(
        OUT_OF_MEMORY,
        "Out of GPU memory",
        _out_of_memory_why,
        repairs_for=_out_of_memory,
    ),
    cause(
        r"SemLock\._rebuild",
        "Ranks on several hosts through local processes",
        "vLLM ran its ranks as processes of one machine although they are on several. On one host, something has"
        " removed its semaphores from the shared memory.",
        by_hand("--distributed-executor-backend ray in the command", "the image's default has changed"),
        by_hand(
            "ipc: private in executor_config, where the container does not run as root",
            "with --ipc host, systemd-logind removes them when that user's last SSH session ends",
        ),
        in_code=True,
    ),
    cause(
        r"(?:World size|world_size|Tensor parallel size) \((\d+)\) (?:is|cannot be) "
        r"(?:larger than the number of available GPUs|less than than max local gpu count) \((\d+)\)",
        "More ranks than GPUs on the host",
        "{0} ranks were asked of a host with {1} GPU(s).",
        repairs_for=lambda match, context: (
            *_one_rank_per_gpu(match, context),
            by_hand("choose more hosts"),
        ),
    ),
    cause(
        r"Current node has no GPU available",
        "Ray has no free GPU on the head",
        "The head joined Ray without its GPU, or the ranks of an earlier start still hold it.",
        by_hand("stop the workload on all its hosts and launch it again", "its Ray containers are made anew"),
        by_hand("check that the container sees its GPU: nvidia-smi inside it"),
    ),
    cause(
        r"Session name \S{1,100} does not match persisted value",
        "Another Ray answers there",
        "A Ray of an earlier session still runs at this address.",
        by_hand("stop it on that host: docker ps, and `ray stop` where it was started without Docker"),
    ),
    cause(
        r"Cannot provide a placement group (?:requiring|of)",
        "Ray has too few GPUs",
        "Ray could not place all ranks: a host has not joined, or joined under another address.",
        *_RANK_COUNT,
    ),
    cause(
        r"Tensor parallel size \((\d+)\) exceeds available GPUs \((\d+)\)",
        "More ranks than GPUs",
        "{0} ranks were asked for and {1} GPU(s) seen.",
        *_RANK_COUNT,
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"number of required GPUs exceeds the total number of available GPUs",
        "Ray has too few GPUs",
        "The Ray cluster has fewer GPUs than ranks were asked for.",
        *_RANK_COUNT,
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"current platform (\w+) does not support ray",
        "No Ray on this platform",
        "vLLM found no CUDA device (platform {0}), and refuses Ray there.",
        by_hand("check that the container sees its GPU: nvidia-smi inside it"),
    ),
    cause(
        r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len "
        r"\((?:max_position_embeddings|max_model_len|[a-z_]+)=([\d.]+)",
        "Context longer than the model's",
        _model_length_why,
        repairs_for=_model_length,
    ),
    cause(
        r"Total number of attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)",
        "Heads cannot be split",
        "{0} attention heads cannot be split over {1} ranks.",
        repairs_for=_divisor,
    ),
    # vllm-project/llm-compressor#1803
    cause(
        r"^KeyError: 'Linear'$",
        "This form of quantisation is not known",
        "This version of vLLM cannot read how the model was quantised (compressed-tensors).",
        by_hand("a newer image, or another quantisation"),
    ),
    # vllm-project/vllm#9913, #17569, #5675, #11671; eugr/spark-vllm-docker PR 157
    cause(
        r"is not divisible by (?:(?:min_thread|tile)_[kn](?:_size)? = \d|weight quantization block_[nk] = \d)|"
        r"size is not aligned with the quantized weight shape|Invalid thread config: thread_m_blocks = ",
        "The quantised weights cannot be split so",
        "The blocks of this quantisation do not divide evenly over so many ranks.",
        repairs_for=lambda _, context: (
            *smaller_half(context, ("tensor_parallel",), "larger parts on each rank", 2),
            set_value("enable_expert_parallel", "true", context, "whole experts on each rank, for models with experts"),
            by_hand("pipeline_parallel instead of tensor_parallel", "whole layers on each host"),
        ),
    ),
    # vllm-project/vllm#52435
    cause(
        r"n_physical_experts=(\d{1,6}) must be divisible by ep_size=(\d{1,5})",
        "Experts cannot be split",
        "{0} experts cannot be split over {1} ranks.",
        by_hand("a tensor_parallel that divides the number of experts"),
    ),
    # vllm-project/vllm#54726
    cause(
        r"block_size must be divisible by hash_block_size|tokens_per_block=\d{1,9} not divisible by tokens_per_hash",
        "The blocks of the KV cache do not fit",
        "What moves or offloads the KV cache needs blocks of one size, and this model has several.",
        by_hand("start without it: kv_transfer_config, kv_offloading_size"),
        by_hand("--prefix-match-unit in the command", "where this version has it: a number that divides all blocks"),
        by_hand("a newer image"),
    ),
    # vllm-project/vllm PR 55369
    cause(
        r"num_speculative_tokens:? ?(\d{1,4}) must be divisible by n_predict=(\d{1,4})",
        "Drafted tokens do not fit the draft layers",
        "The model drafts {1} tokens at a time, and {0} is not a multiple of it.",
        repairs_for=_draft_length,
    ),
    cause(
        r"num_speculative_tokens must be provided with|Unsupported speculative method: '?(\w{1,60})",
        "The speculative setting is incomplete",
        "vLLM does not accept this speculative_config.",
        by_hand("correct speculative_config: method, model and num_speculative_tokens"),
    ),
    # vllm-project/vllm#45661, #35065; flashinfer-ai/flashinfer#3732
    cause(
        r"No (\w{1,20}) MoE backend supports the deployment configuration",
        "No kernel for this model's experts",
        "This build of vLLM has no {0} kernel for this model's experts on this GPU.",
        by_hand("an image that is made for this model on a Spark, or another quantisation"),
    ),
    # flashinfer-ai/flashinfer#3486, #3732
    cause(
        r"MoE backend '(\w{1,60})' does not support the deployment configuration(?: since (.{1,200}))?|"
        r"(?:the explicitly requested )?moe_backend='(\w{1,60})' (?:does not|is not supported for)",
        "The chosen kernel for experts does not fit",
        lambda match, _: (
            f"{shorten(first_of(match, 1, 3), 60)} cannot run this model's experts on this GPU"
            + (f": {shorten(match[2], 200)}" if match[2] else ".")
        ),
        repairs_for=lambda _, context: (set_value("moe_backend", "auto", context, "vLLM's own choice"),),
    ),
    cause(
        r"Did not receive response from front-end process within (\d{1,5}) minutes",
        "The head did not answer",
        "This engine waited {0} minutes for the server that leads it.",
        by_hand("read the head's log", "it may have stopped before"),
        by_hand("check data_parallel_address and data_parallel_rpc_port, and that nothing blocks ports"),
        by_hand("check that the host's own name does not lead to 127.0.1.1: /etc/hosts"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"RuntimeError: UVA is not available",
        "Memory cannot be pinned here",
        "This model runner needs memory that CPU and GPU share, which this host does not give: WSL, or a limit of "
        "locked memory.",
        set_env("VLLM_USE_V2_MODEL_RUNNER", "0", "the older runner"),
        by_hand("launch on Linux itself, with memlock unlimited"),
    ),
    cause(
        r"Duplicated timeseries in CollectorRegistry",
        "A defect of this version's measurements",
        "Two parts of the engine want to measure the same: two connectors of one kind, or an engine started twice.",
        by_hand("leave one connector in kv_transfer_config"),
        by_hand("a newer image, or --disable-log-stats in the command"),
    ),
    cause(
        r"routing_logits must be bfloat16",
        "The chosen kernel for experts does not fit",
        "flashinfer's kernel for experts does not take the router of this model.",
        repairs_for=lambda _, context: (
            set_env("VLLM_USE_FLASHINFER_MOE_FP8", "0", "another kernel for experts"),
            set_value("moe_backend", "auto", context, "vLLM's own choice"),
        ),
    ),
    cause(
        r"For FP8 input, output must have dtype BF16",
        "dtype does not go with an fp8 KV cache",
        "The attention kernel takes an fp8 KV cache with bfloat16 only.",
        repairs_for=lambda _, context: (
            set_value("dtype", "bfloat16", context, "what an fp8 KV cache needs"),
            set_value("kv_cache_dtype", "auto", context, "the model's own type"),
        ),
    ),
    cause(
        r"RuntimeError: NIXL is not available",
        "The image lacks a Python package",
        "kv_transfer_config asks for NIXL, which is not in this image.",
        by_hand("use an image that has it", "or a mod that installs it: nixl"),
        by_hand("leave out kv_transfer_config"),
    ),
    cause(
        r"Number of experts in the model must be greater than 0 when expert parallelism is enabled",
        "Expert parallelism without experts",
        "enable_expert_parallel is set, and the model or its drafter has no experts.",
        by_hand("remove enable_expert_parallel"),
        by_hand("or leave out the drafter", "where it is the one without experts"),
    ),
    # vllm-project/vllm#48541
    cause(
        r"Could not construct fused moe op with the",
        "The chosen kernel for experts does not fit",
        "flashinfer in this image is not built for the experts of this model with these types.",
        repairs_for=lambda _, context: (
            set_value("moe_backend", "triton", context, "not flashinfer's"),
            by_hand("use a newer image"),
        ),
    ),
    # vllm-project/vllm#22193
    cause(
        r"Head size (\d{1,6}) is not supported by (\w{1,60})|"
        r"Selected backend \S{1,80} is not valid for this configuration",
        "The chosen attention kernel does not fit the model",
        "The attention kernel that was asked for cannot run this model.",
        repairs_for=_own_kernel,
    ),
    # spark-arena/recipe-registry#23
    cause(
        r"Unknown attention backend: '?(\w{1,60})",
        "The image does not know the attention kernel",
        "vLLM in this image has no attention backend called {0}. A tag that moves may hold another build than the"
        " one that the recipe was written for.",
        by_hand("use the image that the recipe was written for", "by its digest, or by a tag that does not move"),
        by_hand("remove attention_backend and VLLM_ATTENTION_BACKEND", "vLLM then chooses"),
    ),
    # vllm-project/vllm#48848
    cause(
        r"a and b must have same reduction dim, but got \[([\d, ]{1,40})\] X \[([\d, ]{1,40})\]",
        "Two layers do not fit together",
        "[{0}] meets [{1}]. The older model runner of vLLM 0.25.1 does this with drafters of Gemma 4.",
        set_env("VLLM_USE_V2_MODEL_RUNNER", "1", "the newer runner"),
        by_hand("leave the drafter out", "where the recipe has one"),
        weight=Weight.UNKNOWN,
    ),
    # vllm-project/vllm#8893, #12754; lm-sys/FastChat#3507
    cause(
        r"Cannot re-initialize CUDA in forked subprocess",
        "CUDA was used before the processes were split",
        "A plugin or mod used the GPU before vLLM started its processes.",
        set_env("VLLM_WORKER_MULTIPROC_METHOD", "spawn", "each process starts anew"),
    ),
    cause(
        r"Cannot find the config file for (\w{1,40})",
        "`quantization` is not the model's",
        "The model's files hold no settings of {0}: it is not quantised so.",
        by_hand("remove `quantization`", "it is read from the model's own configuration"),
        by_hand("another repository of the model, one that is quantised so"),
    ),
    cause(
        r"Quantization method specified in the model config \(([\w-]{1,40})\) does not match the quantization",
        "`quantization` is not the model's",
        "The model is quantised as {0}.",
        by_hand("remove `quantization`", "it is read from the model's own configuration"),
    ),
    cause(
        r"[Tt]he quantization method '?(\w{1,40})'? is not supported for the current GPU|"
        r"torch\.(\w{1,20}) is not supported for quantization method",
        "No kernel for this quantisation",
        "This build of vLLM cannot run this quantisation on this GPU or in this type.",
        repairs_for=_dtype_of_weights,
    ),
    cause(
        r"max_num_batched_tokens \((\d{1,9})\) (?:is smaller than max_model_len|must be greater than or equal to "
        r"max_num_seqs) \((\d{1,9})\)",
        "max_num_batched_tokens is too small",
        "{0} tokens a step were allowed; at least {1} are needed.",
        by_hand("raise max_num_batched_tokens, or lower max_model_len and max_num_seqs"),
        by_hand("--enable-chunked-prefill in the command", "prompts are read in parts"),
    ),
    cause(
        r"Chunked MM input disabled but max_tokens_per_mm_item \((\d{1,9})\) is larger than max_num_batched_tokens",
        "max_num_batched_tokens is too small",
        "An image or video takes up to {0} tokens, which have to fit into one step.",
        by_hand("raise max_num_batched_tokens to that number"),
    ),
    cause(
        r"[Pp]ipeline parallelism is (?:not supported|only supported)",
        "This model cannot be split by layers",
        "vLLM cannot spread the layers of this model over hosts.",
        set_value("pipeline_parallel", "1", Context({}), "with a higher tensor_parallel"),
    ),
    cause(
        r"VLLM_USE_V1=(\d) is not supported",
        "VLLM_USE_V1 does not fit this version",
        "This version of vLLM does not have both engines.",
        by_hand("remove VLLM_USE_V1 from env"),
    ),
    cause(
        r"--enable-auto-tool-choice requires --tool-call-parser",
        "tool_call_parser is missing",
        "Tool calls were switched on without saying in which form the model writes them.",
        by_hand("set tool_call_parser to the model's, or remove enable_auto_tool_choice"),
    ),
    cause(
        r"LoRA rank (\d{1,6}) is greater than max_lora_rank (\d{1,6})",
        "The adapter is larger than allowed",
        "The adapter has rank {0}, and {1} is allowed.",
        by_hand("raise max_lora_rank"),
    ),
    # vllm-project/vllm#30690
    cause(
        r"Loading lora (.{1,200}) failed: No adapter found for (\S{1,300})",
        "The adapter is not there",
        "{1} is no adapter: no folder in the container with an adapter_config.json, and no repository of the Hub.",
        by_hand("correct lora_modules", "a path that the container sees: mount the folder"),
    ),
    # vllm-project/vllm#9280, thinking-machines-lab/tinker-cookbook#193, vllm-project/vllm-ascend#2034
    cause(
        r"expected target modules in .{1,600} but received|ValueError: (\S{1,200}) is unsupported LoRA weight|"
        r"vLLM only supports modules_to_save being None|does not yet support DoRA",
        "The adapter does not fit this model",
        lambda match, _: (
            "The adapter changes parts of the model that vLLM does not change by adapters"
            + (f": {shorten(match[1], 200)}." if match[1] else ".")
        ),
        by_hand("merge the adapter into the model, and serve the result"),
        by_hand("check that the adapter was made for this model", "modules_to_save is not supported"),
    ),
    cause(
        r"This model does not support `--(runner|task|convert) (\w{1,40})`",
        "The model cannot do this task",
        "This model cannot be served with `{0} {1}`.",
        by_hand("remove runner, convert and task from the recipe"),
    ),
    cause(
        r"Ray does not allocate any GPUs on the driver node",
        "Ray has no free GPU on the head",
        "The head joined Ray without its GPU, or its GPU is taken.",
        by_hand("stop the workload on all its hosts and launch it again", "its Ray containers are made anew"),
    ),
    cause(
        r"Every node should have a unique IP address",
        "Two hosts have the same address",
        "VLLM_HOST_IP is the same on several hosts.",
        by_hand("remove VLLM_HOST_IP from the recipe's env", "it is set for each host"),
    ),
    cause(
        r"Unable to load Ray|Ray is not installed|[Pp]lease install [Rr]ay",
        "The image lacks Ray",
        "Ray was asked for, and it is not in this image.",
        set_value("distributed_executor_backend", "mp", Context({}), "without Ray"),
        by_hand("use an image with Ray"),
    ),
    cause(
        r"ActorDiedError|RayActorError: The actor died|The node with node id: \S{1,80} .{0,120}has been marked dead",
        "A rank on another host is gone",
        "Ray noticed that a rank or its host has died.",
        *_LOST_RANK,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"Unknown quantization method: (\S+?)\.",
        "Unknown quantisation",
        "This vLLM knows no quantisation called {0}.",
        by_hand("remove `quantization`", "it is read from the model's own configuration"),
    ),
    # vllm-project/vllm#28856
    cause(
        r"\b(Int8|INT8|Fp8|FP8|Int4|INT4) not supported for this architecture",
        "No kernel for this quantisation",
        "This build of vLLM has no kernel for weights in {0} on this GPU.",
        by_hand("another quantisation of the model: FP8 or NVFP4", "those have kernels for the Spark"),
        by_hand("a newer image"),
    ),
    cause(
        rf"Failed to find a kernel that can implement the ({GAP}?)\.? Reasons",
        "No kernel for this quantisation",
        "This build of vLLM has no kernel for {0} on this GPU.",
        by_hand("an image built for the Spark's GPU (sm_121), or another quantisation"),
    ),
    cause(
        rf"Worker failed with error '{GAP}Connection closed by peer \[([\d.]+)\]|"
        r"gloo/transport/tcp/pair\.cc:\d+\] (?:Connection closed by peer|Read error|Write error) \[([\d.]+)\]",
        "A rank on another host is gone",
        lambda match, _: f"The connection to {first_of(match, 1, 2)} was closed: the rank there has died.",
        *_LOST_RANK,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"^Worker proc (\S+) died unexpectedly \(exit code: (-9)\)",
        "A worker process was killed",
        lambda match, _: ended_words(match[1], match[2]),
        repairs_for=after_kill,
    ),
    cause(
        r"^Worker proc (\S+) died unexpectedly \(exit code: (-?\d+)\)",
        "A worker process ended without a message",
        lambda match, _: ended_words(match[1], match[2]),
        repairs_for=after_kill,
    ),
    # spark-arena/recipe-registry#23
    cause(
        r"^Worker proc (\S+) died unexpectedly \(exit code: None\)",
        "A worker process is gone",
        "{0} ended without a message: it crashed, or it was killed for lack of memory.",
        repairs_for=after_kill,
    ),
    cause(
        r"RayWorkerProc rank=\[([\d, ]+)\] died unexpectedly",
        "A rank on another host is gone",
        "The process of rank {0} has died, or its container has.",
        *_LOST_RANK,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"Failed core proc\(s\): (\{)[^}]{0,200}?: (-\d{1,3})",
        "The engine process ended without a message",
        lambda match, _: ended_words("The process that holds the model", match[2]),
        repairs_for=_after_end,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"engine core exited unexpectedly",
        "The engine process is gone",
        "The process that holds the model ended without a message: killed from outside, most often for memory.",
        by_hand("journalctl -k -b | grep -i -e oom -e NVRM", "shows whether the kernel killed it"),
        weight=Weight.CONSEQUENCE,
        even_as_note=True,
    ),
    cause(
        r"TimeoutError: RPC call to (\w+) timed out|RPC call to (\w+) timed out",
        "Ranks lost each other",
        "A rank did not answer in time: the link between the hosts, or a host out of memory.",
        by_hand("check the hosts' memory and link, then start all ranks together"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"^TimeoutError$",
        "Ranks lost each other",
        "The engine waited for a rank until its own limit (five minutes in service): a dead link or a frozen host.",
        by_hand("check the hosts and the link, then start all ranks together"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        rf"Cgroup memory preflight {GAP}current headroom is below",
        "The container's memory limit is too low",
        "The container has a memory limit, and it is reached.",
        by_hand("raise `executor_config.memory_limit` of the recipe, or the limit for containers of that host"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
)
