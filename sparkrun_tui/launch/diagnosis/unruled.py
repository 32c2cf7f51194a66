"""What can be said of an exception that no rule describes: by its own words, and by the place where it was raised.

Nothing here guesses: the exception is quoted, and a title names only what it says itself or whose code raised it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sparkrun_tui.base.patterns import LinePattern
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import Context, Repair, by_hand, set_value
from sparkrun_tui.launch.diagnosis.common import DRAFT_FILES
from sparkrun_tui.launch.diagnosis.named import named_settings, names_a_flag
from sparkrun_tui.launch.diagnosis.tracebacks import Raised

_QUOTED = 300
_MOST_FRAMES = 4
"""How far above the last frame a place is searched: libraries raise for those that called them."""

_NEWER = by_hand("use a newer image", "or the one that the recipe was made with")
_EAGER = set_value("enforce_eager", "true", Context({}), "without graphs and compiled kernels")


@dataclass(frozen=True, slots=True)
class Saying:
    """What is said of an exception."""

    title: str
    explanation: str
    repairs: tuple[Repair, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Code that has one job: an exception out of it is a failure of that job."""

    files: LinePattern
    """What the path of a file holds."""
    title: str
    why: str
    """What the code does; the exception is quoted behind it."""
    repairs: tuple[Repair, ...]
    by_checks: bool = False
    """Whether only exceptions count that a check of the code raises."""


@dataclass(frozen=True, slots=True)
class Kernels:
    """Kernels that can be chosen or left out."""

    files: LinePattern
    setting: str
    """A part of the name of what chooses them."""
    repair: Repair


def _place(files: str, title: str, why: str, *repairs: Repair, by_checks: bool = False) -> Place:
    return Place(LinePattern(files), title, why, repairs, by_checks)


_NO_DRAFTER = by_hand("leave out the drafter: speculative_config, speculative_algorithm", "its code had called this")
_DRAFTING = _place(
    DRAFT_FILES,
    "Drafting does not work with this version",
    "The code for speculative decoding failed",
    _NO_DRAFTER,
    _NEWER,
)
"""By any file of a traceback: whatever fails below a file that only a drafter uses fails for it."""
PLACES = (
    _place(
        r"/torch/_(?:inductor|dynamo|functorch)/|/vllm/compilation/|/srt/compilation/",
        "The model could not be compiled",
        "torch.compile failed",
        _EAGER,
        by_hand("remove compiled code of an earlier start: ~/.cache/vllm/torch_compile_cache on that host"),
        _NEWER,
    ),
    _place(
        r"/flashinfer/",
        "A kernel of flashinfer failed",
        "flashinfer refused what the engine asked of it",
        by_hand("another attention_backend; for a model with experts another moe_backend", "without flashinfer"),
        _NEWER,
    ),
    _place(
        r"/(?:cutlass|cute|b12x|quack|tilelang|flash_attn|vllm_flash_attn|flash_mla|deep_ep|pplx_kernels|humming)/",
        "A kernel failed",
        "A library of kernels refused what the engine asked of it",
        by_hand("another attention_backend; for a model with experts another moe_backend"),
        by_hand("another quantisation of the model"),
        _NEWER,
    ),
    _place(
        r"/site-packages/triton/|/dist-packages/triton/",
        "A Triton kernel failed",
        "Triton could not translate or start a kernel",
        by_hand("another attention_backend or another quantisation of the model"),
        _NEWER,
    ),
    _place(
        r"/deep_gemm",
        "DeepGEMM failed",
        "A kernel of DeepGEMM failed",
        by_hand('VLLM_USE_DEEP_GEMM: "0" in env', "other kernels are used"),
        _NEWER,
    ),
    _place(
        r"/vllm/_custom_ops\.py|/layers/fused_moe/|/layers/moe/|/sgl_kernel/",
        "A kernel of the engine refuses this model",
        "A kernel that was chosen for this model and GPU failed",
        by_hand("another quantisation of the model; for one with experts another moe_backend"),
        _NEWER,
    ),
    _place(
        r"/vllm/lora/|/srt/lora/|/peft/",
        "The adapter cannot be used",
        "The code for LoRA adapters failed",
        by_hand("check that the adapter is for this model; start without it"),
        _NEWER,
    ),
    _place(
        r"/kv_transfer/|/kv_offload/|/lmcache/|/disaggregation/|/mem_cache/storage/",
        "The KV cache cannot be moved",
        "The code that moves or offloads the KV cache failed",
        by_hand("start without it: kv_transfer_config, kv_offloading_size, hicache and disaggregation"),
        _NEWER,
    ),
    _place(
        r"/vllm/config/|/vllm/engine/arg_utils\.py|/srt/server_args\.py|/srt/arg_groups/",
        "A setting is refused",
        "The engine read its settings and stopped",
        by_hand("correct it in the recipe or the overrides"),
        by_checks=True,
    ),
    _place(
        r"/vllm/transformers_utils/|/srt/configs/",
        "The model's configuration does not fit",
        "The engine could not make sense of the model's settings",
        _NEWER,
        by_hand("fetch the model again", "its config.json may be incomplete, or of another version"),
        by_hand("check `model`, and hf_overrides where the recipe sets them"),
    ),
    _place(
        r"/reasoning/|/tool_parsers/|/srt/function_call/|/srt/parser/",
        "A parser does not fit the model",
        "The parser for tool calls or for reasoning failed",
        by_hand("correct tool_call_parser and reasoning_parser, or leave them out"),
        _NEWER,
    ),
    _place(
        r"/vllm/multimodal/|/srt/multimodal/",
        "The model's images cannot be prepared",
        "The code that prepares images, sound and video failed",
        _NEWER,
        by_hand("serve text only: language_model_only, or limit_mm_per_prompt 0 for each kind"),
    ),
    _place(
        r"/v1/core/kv_cache_|/v1/kv_cache_|/srt/mem_cache/|/quantization/turboquant/",
        "The KV cache cannot be set up",
        "The code that lays out the KV cache failed",
        by_hand("kv_cache_dtype auto, and no block_size or page_size of your own"),
        by_hand("start without the drafter"),
        _NEWER,
    ),
    _place(
        r"/vllm/distributed/|/srt/distributed/|/v1/executor/ray|/vllm/ray/",
        "The ranks could not be set up",
        "The code that connects the ranks failed",
        by_hand("read the logs of all hosts", "a rank that failed there is the cause"),
        by_hand("check tensor_parallel and pipeline_parallel against the number of hosts"),
        _NEWER,
    ),
    _place(
        r"/v1/attention/|/vllm/attention/|/srt/layers/attention/",
        "The attention kernel failed",
        "The code of the attention kernel that was chosen failed",
        by_hand("another attention_backend, or leave it to the engine"),
        by_hand("kv_cache_dtype auto"),
        _NEWER,
    ),
    _place(
        r"/layers/quantization/",
        "This quantisation cannot be used here",
        "The code for the model's quantisation failed",
        by_hand("another quantisation of the model"),
        by_hand("for a model with experts another moe_backend (vLLM) or moe_runner_backend (SGLang)"),
        _NEWER,
    ),
    _place(
        r"/model_loader/",
        "The weights could not be loaded",
        "The code that loads the weights failed",
        by_hand("fetch the model again", "where its files may be incomplete"),
        _NEWER,
        by_hand("another quantisation of the model"),
    ),
    _place(
        r"/transformers/(?:tokenization_|models/[^/]{1,60}/(?:tokenization|processing|image_processing|configuration)_|"
        r"processing_utils|configuration_utils|image_processing_|video_processing_|dynamic_module_utils|"
        r"modeling_rope_utils|models/auto/)|/transformers_modules/",
        "The model does not fit this image's transformers",
        "transformers, or code that the model brings, failed while it read the model's settings or tokenizer",
        _NEWER,
        by_hand("fetch the model again", "where its files may be incomplete or older than the model's page"),
    ),
    _place(
        r"/huggingface_hub/|/hf_xet/",
        "The Hub's library failed",
        "huggingface_hub could not get a file of the model",
        by_hand("launch again: the model is sent to every host"),
        by_hand("check the network, HF_ENDPOINT and HF_TOKEN of the host"),
    ),
)
"""By the paths of the files in a traceback, the last frame first."""

_WEIGHTS = _place(
    r"^(?:load_weights?|\w{0,40}weight_loader|load_\w{1,40}_weights?|_load_module|_load_w\d{1,2})$",
    "The weights do not fit the engine's model",
    "The engine failed while it put a weight of the files into its model",
    _NEWER,
    by_hand("use another quantisation of the model"),
    by_hand("fetch the model again", "where its files may be incomplete"),
)
"""By the functions in a traceback: every model has one that loads its weights."""
_LIBRARY = LinePattern(
    r"/torch/(?!_inductor|_dynamo|_functorch)|/lib/python3\.\d{1,2}/(?!site-packages|dist-packages)|"
    r"(?:^|/)(?:zmq|msgspec|msgpack|pydantic|pydantic_core|uvloop|numpy|einops)/"
)
"""Files that are called from everywhere: the frame above says more."""

_REFUSALS = LinePattern(
    r"(?:is|are) not (?:yet )?(?:supported|compatible|allowed|available)|not (?:yet )?supported|[Uu]nsupported |"
    r"(?:does|do) ?n[o']t (?:yet )?support|incompatible|only supports? |(?:is|are) only (?:supported|valid|available)|"
    r"requires (?:SM|sm_?\d|compute capability|at least|a GPU|NVIDIA|CUDA|Hopper|Blackwell)|"
    r"cannot be (?:used|combined|set|specified|enabled)|can only be |mutually exclusive|"
    r"expects \w{1,60} to be |expected one of |"
    r"must (?:equal|match|be equal) |"
    r"must be (?:divisible|a multiple|greater|less|smaller|larger|set|one of|at least|at most|positive|specified)"
)
"""Words by which an engine refuses what it was asked for."""
_DIVIDES = LinePattern(r"divisible by|multiple of|not divisible")
_IN_BLOCKS = LinePattern(r"(?i)block_?size|page|hash|tokens?_per|chunk|batch|capture")
"""Sizes that no number of ranks changes."""
_KERNELS = (
    Kernels(
        LinePattern(r"/batch_invariant"),
        "determin",
        by_hand(
            "leave out deterministic inference: --enable-deterministic-inference (SGLang), VLLM_BATCH_INVARIANT (vLLM)",
            "its own kernels failed",
        ),
    ),
    Kernels(
        LinePattern(r"/deep_gemm"),
        "DEEP_GEMM",
        by_hand('VLLM_USE_DEEP_GEMM: "0" in env', "other kernels are used"),
    ),
    Kernels(
        LinePattern(r"/layers/fused_moe/|/layers/moe/|/triton_kernels/"),
        "moe_",
        by_hand("another moe_backend (vLLM) or moe_runner_backend (SGLang)", "a kernel of the experts failed"),
    ),
)
"""What chooses other kernels, by the files of a traceback."""
_LAYS_OUT_CACHE = LinePattern(r"reshape_kv_cache|get_kv_cache_shape|initialize_kv_cache")
_OTHER_CACHE = by_hand("kv_cache_dtype auto, or another one", "the KV cache was being laid out")
_OF_CACHE = LinePattern(r"(?i)kv.?cache.?d?type|cache.?dtype|kv_data_type")
_UNDONE = "NotImplementedError"
_RAISED_BY_CHECKS = frozenset(("ValueError", _UNDONE, "AssertionError", "RuntimeError", "Exception"))
_RAISED_BY_SETTINGS = frozenset(("ValueError", _UNDONE))
"""Exceptions of checks that are about a setting where they name one; others speak of their own state, too."""
_ENGINE = LinePattern(r"/(?:vllm|sglang)/")
_SLIPS = frozenset(
    ("AttributeError", "TypeError", "IndexError", "NameError", "UnboundLocalError", "ZeroDivisionError", "KeyError")
)
"""Exceptions that are raised by a programming error, or by parts that do not fit together."""


def of_exception(raised: Raised, context: Context) -> Saying | None:
    """What can be said of an exception; None where it has neither telling words nor a telling place."""
    refused = raised.name in _RAISED_BY_CHECKS and _REFUSALS.search(raised.words) is not None
    named: tuple[Repair, ...] = ()
    if raised.name in _RAISED_BY_CHECKS:
        named = named_settings(raised.words, context, with_features=refused)
    words = shorten(raised.words, _QUOTED)
    is_of_settings = refused or raised.name in _RAISED_BY_SETTINGS or names_a_flag(raised.words)
    if named and is_of_settings:
        return Saying("A setting does not fit", f"The engine refuses it: {words}", named)
    place = _place_of(raised)
    if place is not None:
        why = f"{place.why} ({raised.name}): {words}"
        first = _first_by_words(raised.words, place.repairs, context)
        kernels = _of_kernels(place.repairs, raised.files) if place is _DRAFTING else ()
        return Saying(place.title, why, (*first, *place.repairs, *kernels))
    is_missing = raised.name == _UNDONE and raised.words != ""
    is_slip = raised.name in _SLIPS or (raised.name == "AssertionError" and raised.is_wordless)
    if is_slip and _is_of_engine(raised.files):
        why = f"Its own code failed with {raised.name}, which is a defect or a package of another version: {words}"
        changed = by_hand("leave out what the recipe adds", "mods, mounted files, flags that the model does not need")
        return Saying("This version of the engine cannot do this", why, (_NEWER, changed))
    if refused or is_missing:
        without = by_hand("leave out or change what the message names", "or use an image that supports it")
        repairs = (*_first_by_words(raised.words, (), context), without, _NEWER)
        return Saying("The engine does not support this", f"It says: {words}", repairs)
    return None


def _first_by_words(words: str, repairs: tuple[Repair, ...], context: Context) -> tuple[Repair, ...]:
    """What the words of an exception ask for, before the repairs of its place."""
    return (*_fewer_ranks(words, context), *_other_cache(words, repairs))


def _other_cache(words: str, repairs: tuple[Repair, ...]) -> tuple[Repair, ...]:
    """What helps where the words speak of the type of the KV cache."""
    if _OF_CACHE.search(words) is None or any("kv_cache_dtype" in repair.title for repair in repairs):
        return ()
    return (by_hand("kv_cache_dtype auto, or another one", "the words name the type of the KV cache"),)


def _fewer_ranks(words: str, context: Context) -> tuple[Repair, ...]:
    """What helps where a size of the model does not divide: fewer ranks, unless there is only one."""
    if _DIVIDES.search(words) is None or _IN_BLOCKS.search(words) is not None:
        return ()
    if context.whole("tensor_parallel") == 1:
        return ()
    return (by_hand("a lower tensor_parallel", "the model's parts must divide over the ranks"),)


def beside_the_cache(repairs: tuple[Repair, ...], functions: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule, and another type of the KV cache where it was being laid out."""
    if not any(_LAYS_OUT_CACHE.search(name) is not None for name in functions):
        return repairs
    if any("kv_cache_dtype" in f"{repair.title} {repair.key}" for repair in repairs):
        return repairs
    return (*repairs, _OTHER_CACHE)


def before_other_kernels(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule that has other kernels chosen, after the one for the kernels that had failed."""
    if not any("_backend" in f"{repair.title} {repair.key}" for repair in repairs):
        return repairs
    return (*_of_kernels(repairs, files), *repairs)


def _of_kernels(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """What chooses other kernels than those that a traceback came through, unless the repairs have it."""
    for kernels in _KERNELS:
        if any(kernels.files.search(file) is not None for file in files[-_MOST_FRAMES * 2 :]):
            has_it = any(kernels.setting in f"{repair.title} {repair.key}" for repair in repairs)
            return () if has_it else (kernels.repair,)
    return ()


def beside_the_drafter(repairs: tuple[Repair, ...], files: Sequence[str]) -> tuple[Repair, ...]:
    """The repairs of a rule, and to leave the drafter out where its code had called what failed."""
    if not any(_DRAFTING.files.search(file) is not None for file in files):
        return repairs
    if any("draft" in f"{repair.title} {repair.key}" for repair in repairs):
        return repairs
    return (*repairs, _NO_DRAFTER)


def _place_of(raised: Raised) -> Place | None:
    """The place of the last frame that is not of a library that everything calls; the drafter's before all others."""
    if any(_DRAFTING.files.search(file) is not None for file in raised.files):
        return _DRAFTING
    if any(_WEIGHTS.files.search(name) is not None for name in raised.functions[-_MOST_FRAMES:]):
        return _WEIGHTS
    is_checked = raised.name in _RAISED_BY_CHECKS
    for file in list(reversed(raised.files))[:_MOST_FRAMES]:
        for place in PLACES:
            if place.files.search(file) is not None and (is_checked or not place.by_checks):
                return place
        if _LIBRARY.search(file) is None:
            return None
    return None


def _is_of_engine(files: Sequence[str]) -> bool:
    """Whether an exception was raised by the engine's own code."""
    for file in list(reversed(files))[:_MOST_FRAMES]:
        if _LIBRARY.search(file) is None:
            return _ENGINE.search(file) is not None
    return False
