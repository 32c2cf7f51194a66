"""Why llama-server does not start, by the lines it prints."""

from __future__ import annotations

import re

from sparkrun_tui.base.reading.numbers import whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    first_of,
    flag_in,
    set_env,
    set_length,
    set_value,
)

_NEW_FILE = by_hand("fetch the file again", "remove it from the cache first")
_CACHE_TYPES = frozenset(("f32", "f16", "bf16", "q8_0", "q5_1", "q5_0", "q4_1", "q4_0", "iq4_nl"))
_DRAFTS = late_regex(r"(?i)\b(?:draft|mtp|speculative)")
_OTHER_BUILD = (
    by_hand("another tag of the image"),
    set_env("LD_LIBRARY_PATH", "/app", "the folder of llama-server in its images"),
)
_REMOVED = {"--no-mmap": "-lm none", "--mlock": "-lm mlock"}


def _allocation_why(match: re.Match[str], _: Context) -> str:
    what = "a buffer"
    size = whole(match[2])
    if size is not None:
        what = f"{size / GIB:.1f} GiB"
    return f"llama-server could not allocate {what} on {shorten(match[1], 100)}."


def _smaller(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    repairs = []
    length = context.whole("ctx_size", "max_model_len") or 0
    if length > 4096:
        repairs.append(set_length(length // 2, context, "half the KV cache"))
    if context.values.get("cache_type_k", "f16") == "f16":
        repairs.append(by_hand("-ctk q8_0 -ctv q8_0 in the command", "about half the KV cache"))
    return (*repairs, by_hand("a smaller quantisation"))


def _same_cache_type(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    kind = match[1].lower()
    if kind not in _CACHE_TYPES:
        return (by_hand("write the same type for cache_type_k and cache_type_v"),)
    return (set_value("cache_type_v", kind, context, "the same as K"),)


def _assertion(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs for a check that failed, by the part of llama.cpp that it is in."""
    repairs = [by_hand("a newer image of llama.cpp")]
    if "fattn" in match.string:
        repairs.append(by_hand("write `--flash-attn off`", "the check is in flash attention"))
    if "ggml-cuda.cu" in match.string and any("RPC" in line for line in context.before):
        repairs.append(by_hand("on one host, without RPC servers", "they pass on steps that the GPU cannot do"))
    if any(_DRAFTS.search(line) is not None for line in context.before):
        repairs.append(by_hand("leave out the draft model (-md, --spec-type)", "it was being set up"))
    return tuple(repairs)


def _assertion_why(match: re.Match[str], _: Context) -> str:
    if match[1] == "ok" and "ggml-cuda" in match.string:
        return "A step of the model could not be done on this GPU."
    return f"A check inside llama.cpp failed: {shorten(first_of(match, 1, 2), 200)}"


def _kernel(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Repairs for a kernel that failed, by what was being done."""
    repairs = [
        by_hand("a newer image of llama.cpp, or one that was built with another CUDA toolkit"),
        set_env("GGML_CUDA_DISABLE_GRAPHS", "1", "without CUDA graphs"),
    ]
    if any(_DRAFTS.search(line) is not None for line in context.before):
        repairs.append(by_hand("leave out the draft model (-md, --spec-type)", "it was being set up"))
    return (*repairs, by_hand("write `--flash-attn off`, and f16 for both cache types"))


def _projector_why(match: re.Match[str], _: Context) -> str:
    if not match[1]:
        return "The projector is of a kind that this build does not know."
    return f"This build does not know the projector `{match[1]}`."


CAUSES: tuple[Cause, ...] = (
    # ggml-org/llama.cpp#14019
    cause(
        r"^error: invalid argument: (\S{0,40}/(?:ba|da|z)?sh)$",
        "llama-server was given a command",
        "The image starts llama-server by itself, and `{0}` became an argument of it.",
        by_hand("set executor_config.entrypoint to an empty value or to `env`", "the command is then the only one"),
        by_hand("or use an image that starts nothing by itself"),
    ),
    cause(
        r"^error: invalid argument: (?!-)(.+)",
        "The flag before it has no value",
        "`{0}` stands where a flag is expected: an empty value came before it, or the flag before it takes none.",
        by_hand("check the word before it in the command: dry run or plan", "an unset variable is empty"),
    ),
    # Any other flag that is not known: FLAG_CAUSES of launch/diagnosis/common.py.
    cause(
        r"^error: invalid argument: (--no-mmap|--mlock)$",
        "Unknown flag",
        "This build of llama-server does not know `{0}`.",
        repairs_for=lambda match, _: (by_hand(f"write `{_REMOVED[flag_in(match[1])]}`"),),
    ),
    cause(
        r'^error while handling argument "(-fa|--flash-attn)"',
        "--flash-attn needs a value",
        "A bare {0} swallows the next word of the command.",
        by_hand("write `--flash-attn on`"),
    ),
    cause(
        r'^error while handling argument "([^"]+)": the argument has been removed\. (.*)',
        "A flag that was removed",
        "llama-server no longer has {0}. It says: {1}",
        by_hand("remove it from the command, or write its successor"),
    ),
    cause(
        r'^error while handling argument "([^"]+)": (?:sto\w+$|(.*))',
        "A flag's value is refused",
        lambda match, _: f"llama-server refuses the value of {match[1]}: {match[2] or 'it must be a number'}",
        by_hand("correct the value in the recipe's command or defaults"),
    ),
    # ollama/ollama#10930, #7038; ggml-org/llama.cpp#13613
    cause(
        r"error loading model vocabulary: (?!unknown pre-tokenizer)(.{1,200})",
        "The model file's vocabulary cannot be read",
        "llama.cpp says: {0}",
        by_hand("another GGUF of the model", "it was converted wrongly, or by a version that does not fit this build"),
        by_hand("a newer image of llama.cpp"),
    ),
    cause(
        r"failed to allocate (?:compute|graph|output|KV|kv) (?:\w{1,10} )?buffers?|std::bad_alloc",
        "Not enough memory",
        "There was no memory left for the context.",
        repairs_for=_smaller,
    ),
    cause(
        r"error loading model: (?:llama_mmap: )?((?:read error|mmap failed|seek error|failed to mmap).{0,200})",
        "The model file cannot be read",
        "The system says: {0}",
        by_hand("copy the file to a disk of that host", "network and foreign drives fail so"),
        by_hand("--no-mmap in the command"),
    ),
    cause(
        r"failed to allocate (\S{1,100}) buffer of size (\d+)",
        "Not enough memory",
        _allocation_why,
        repairs_for=_smaller,
    ),
    cause(
        r"unable to allocate (\S{1,100}) buffer|failed to allocate buffer for kv cache",
        "Not enough memory",
        "A buffer for weights or context could not be allocated.",
        repairs_for=_smaller,
    ),
    cause(
        r"quantized V cache requires flash_attn",
        "A quantised V cache needs flash attention",
        "cache_type_v is quantised and flash attention is off.",
        by_hand("write `--flash-attn on`, or cache_type_v f16"),
    ),
    cause(
        r"([KV]) cache type (\S{1,100}) with block size (\d+) does not divide n_embd_head_\w=(\d+)",
        "This cache type does not fit the model",
        "Blocks of {2} values do not divide the heads of {3}.",
        repairs_for=lambda match, context: (
            set_value(f"cache_type_{match[1].lower()}", "f16", context, "not quantised, fits every model"),
        ),
    ),
    cause(
        r"model does not support different K \((\S+)\) and V \((\S+)\) cache types",
        "K and V cache must have one type",
        "This model keeps K and V together: {0} and {1} cannot be mixed.",
        repairs_for=_same_cache_type,
    ),
    cause(
        r"unknown model architecture: '([^']+)'",
        "llama.cpp is too old for this model",
        "This build does not know the architecture `{0}`.",
        by_hand("a newer image of llama.cpp"),
    ),
    cause(
        r"unknown pre-tokenizer type: '([^']{1,100})'",
        "llama.cpp is too old for this model",
        "This build does not know the tokenizer `{0}`.",
        by_hand("a newer image of llama.cpp"),
    ),
    cause(
        r"[Uu]nknown projector type:? ?'?([\w-]{0,100})",
        "llama.cpp is too old for this model's images",
        _projector_why,
        by_hand("a newer image of llama.cpp"),
        by_hand("--no-mmproj in the command", "text only"),
    ),
    # justrach/nanobrew#360
    cause(
        r"no backends are loaded\. hint",
        "The image is broken",
        "llama-server found none of its own libraries for the GPU and the processor: they are missing in this image.",
        *_OTHER_BUILD,
    ),
    # ggml-org/llama.cpp#14160
    cause(
        r"failed to find ggml_backend_init in (\S{1,300})",
        "The image is broken",
        "{0} is of another build of llama.cpp than the program.",
        *_OTHER_BUILD,
        weight=Weight.HINT,
    ),
    cause(
        r"failed to load multimodal model, '([^']{1,500})'|Failed to load CLIP model from (\S{1,500})",
        "The projector could not be loaded",
        lambda match, _: f"{first_of(match, 1, 2)} holds no projector that this build can load.",
        by_hand("check --mmproj: the file must be the projector of the same model"),
        by_hand("--no-mmproj in the command", "text only"),
        weight=Weight.HINT,
    ),
    cause(
        r"context type MTP requested but model doesn't contain MTP layers",
        "The model has no layers to draft with",
        "Drafting by MTP was asked for, and this file has no MTP layers: another model, or converted without them.",
        by_hand("a GGUF with the MTP layers, or `--spec-type` without draft-mtp"),
        by_hand("use draft-mtp without a draft model (-md)", "some builds search the layers in the draft model"),
        even_as_note=True,
    ),
    cause(
        r"draft model vocab type must match target model|draft (?:model )?vocab is not compatible",
        "The draft model has another vocabulary",
        "A draft model must have the tokenizer of the model it drafts for.",
        by_hand("a draft model of the same family, or no drafting"),
        even_as_note=True,
    ),
    cause(
        r"failed to open (?:GGUF file )?'([^']{1,500})'(?: \(|: ')([^()']{1,300})[)']",
        "The model file is not there",
        "{0}: {1}",
        by_hand("fetch the model again, and check the quantisation in `model`"),
    ),
    # ggml-org/llama.cpp#15919
    cause(
        r"failed to open GGUF file '([^']{1,500})'$",
        "The model file is not there",
        "{0} is not there, or llama-server may not read it.",
        by_hand("fetch the model again, and check the quantisation in `model`"),
        by_hand("check the mount, and who owns the file"),
    ),
    cause(
        r"invalid magic (?:characters: '|number )|failed to read magic",
        "Not a GGUF file",
        "The file does not begin like a GGUF file: it is damaged, empty, or in another format (older ones are GGML).",
        _NEW_FILE,
        by_hand("check `model`: it must be a GGUF file of the model"),
    ),
    cause(
        r"failed to read key-value pairs|tensor '([^']{1,300})' data is not within the file bounds",
        "The model file is cut off",
        "The file ends too early: it was not downloaded or copied whole.",
        _NEW_FILE,
    ),
    # ggml-org/llama.cpp#8467, #25833, SciSharp/LLamaSharp#765
    cause(
        r"tensor '([^']{1,300})' has (?:wrong shape|offset \d{1,20}, expected)|"
        r"wrong number of tensors; expected (\d{1,9}), got (\d{1,9})|has invalid ggml type|invalid ggml type",
        "The model file does not fit this llama.cpp",
        "The file holds other tensors than this build expects: the file or the build is too old, or of a fork.",
        by_hand("a newer image of llama.cpp"),
        by_hand("another GGUF of the model", "one for llama.cpp itself, not for a fork"),
    ),
    cause(
        r"illegal split file(?: idx)?: \S{1,200}|model must be loaded with the first split",
        "Not the first part of the model",
        "A model of several files is loaded by its first one (-00001-of-).",
        by_hand("name the first file in `model`"),
    ),
    cause(
        r"failed to load (?:GGUF|model) split from (\S{1,300})",
        "A part of the model is missing",
        "{0} cannot be read.",
        _NEW_FILE,
    ),
    # ggml-org/llama.cpp#24439
    cause(
        r"file '([^']{1,300})' not found in repository",
        "The repository has no such file",
        "There is no {0} in the repository that was named.",
        by_hand("check `model` and the quantisation behind its colon"),
    ),
    cause(
        r"CUDA error: out of memory|cudaMalloc failed: out of memory",
        "Not enough memory",
        "The GPU had no memory left for weights or context.",
        repairs_for=_smaller,
    ),
    cause(
        r"the supplied chat template is not supported",
        "The chat template is not known",
        "llama.cpp has no template of that name.",
        by_hand("--jinja with --chat-template-file, or leave the template to the model"),
    ),
    cause(
        r"[Cc]hat template parsing error|failed to (?:parse|initialize) chat template",
        "The chat template cannot be read",
        "The model's chat template uses what this build does not know.",
        by_hand("a newer image of llama.cpp, or --chat-template-file with a corrected template"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"ggml_cuda_init: failed to initialize CUDA: (.{1,200})",
        "llama-server finds no GPU",
        "CUDA says: {0}",
        by_hand("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker"),
        by_hand("compare the image's CUDA with the driver's: nvidia-smi"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"tensor '([^']{1,300})' not found|missing tensor '([^']{1,300})'",
        "The model file is incomplete",
        lambda match, _: (
            f"The tensor {first_of(match, 1, 2)} is missing: a wrong conversion, or a build too old for this model."
        ),
        by_hand("another GGUF of the model, or a newer image"),
    ),
    cause(
        r"key not found in model: (\S+)",
        "The model file lacks a setting",
        "The GGUF has no {0}: this build is too old for the model, or the file was converted wrongly.",
        by_hand("a newer image of llama.cpp"),
        by_hand("another GGUF of the model"),
    ),
    cause(
        r"exactly one out metadata, path_model, and file must be defined",
        "No model file",
        "llama-server searched the model on the Hub and could not reach it.",
        by_hand("fetch the model to the host first"),
    ),
    cause(
        r"no models found on the system",
        "No model was given",
        "llama-server started without a model: it waits as a router that has none.",
        by_hand("add `-hf {model}` to the command"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"HTTPS is not supported|built without (?:libcurl|CURL|SSL)|without CURL, cannot",
        "This build cannot download",
        "This llama-server was built without what downloads need.",
        by_hand("fetch the model to the host first, and name its path"),
    ),
    cause(
        r"curl_easy_perform\(\) failed: (.{1,200})",
        "The Hub cannot be reached",
        "The download failed: {0}",
        by_hand("launch again: the model is sent to every host"),
        by_hand("check the network and HF_ENDPOINT of the host"),
    ),
    cause(
        r"(?:error from HF API|GET failed|HEAD request failed|HTTP (?:status|error)).{0,200}?\b(40[134])\b",
        "The Hub refuses the file",
        "The Hub answered with {0}: there is no such repository or file, or it needs a token.",
        by_hand("check `model` and the quantisation behind its colon"),
        by_hand("set HF_TOKEN in your environment", "for models with a licence to accept, and private ones"),
    ),
    # ggml-org/llama.cpp#25333
    cause(
        r"option '([^']{1,80})' not recognized in preset '([^']{1,120})'",
        "A preset names an unknown option",
        "The preset {1} sets `{0}`, which this build does not take there.",
        by_hand("correct or remove it in the file of presets"),
        by_hand("a newer image of llama.cpp"),
    ),
    # ggml-org/llama.cpp#26583, PR 26610
    cause(
        r"Remote RPC server crashed or returned malformed response|^\[graph_compute\] invalid data ptr",
        "An RPC server failed",
        "The rpc-server of another host crashed, or it is of another build and speaks another version.",
        by_hand("read the log of rpc-server on that host", "the first failure is there"),
        by_hand("use the same, newest image of llama.cpp on all hosts"),
    ),
    cause(
        r"[Ff]ailed to connect to (?:RPC server at )?(\S{1,100}:\d{1,6})",
        "An RPC server does not answer",
        "Nothing answers at {0}.",
        by_hand("check that rpc-server runs on that host, and --rpc in the command"),
    ),
    # ggml-org/llama.cpp#23522
    cause(
        r"loading shared libraries: (lib(?:llama|ggml|mtmd)[\w.+-]{0,60}): cannot open shared object",
        "The image is broken",
        "The program does not find its own library {0}: it is missing in this image, or in a folder that is not"
        " searched.",
        by_hand("another tag of the image"),
        set_env("LD_LIBRARY_PATH", "/app", "the folder of llama-server in its images"),
    ),
    # abetlen/llama-cpp-python#382
    cause(
        r"CUDA error(?: 3 at \S{1,300})?: initialization error",
        "CUDA cannot be started",
        "The driver does not work, or it is too old for the CUDA of this build.",
        by_hand("nvidia-smi on that host; restart it where that fails"),
        by_hand("compare the image's CUDA with the driver's: nvidia-smi"),
    ),
    # ggml-org/llama.cpp#28403, #23546, #24310; oobabooga/textgen#6398
    cause(
        r"CUDA error: (?!out of memory|invalid device ordinal)([a-z].{3,120})",
        "A kernel failed on the GPU",
        "CUDA reports: {0}. It is a defect of a kernel of this build, or one that does not work on this GPU.",
        repairs_for=_kernel,
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"failed to initialize the context: (?!.{0,120}warning is normal)(.{1,200})",
        "The context could not be made",
        "llama.cpp says: {0}",
        by_hand("change what the message names: cache types, flash attention, context size, -np"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"no usable GPU found|invalid value for main_gpu: \d{1,4} \(available devices: 0\)",
        "llama-server finds no GPU",
        "This build or container has no GPU: the model runs on the processor, if at all.",
        by_hand("use an image for CUDA, and check the GPU in the container: nvidia-smi"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"failed to fit params to free device memory",
        "The model is too large for this host",
        "Even the smallest context does not fit in free memory.",
        repairs_for=_smaller,
        weight=Weight.HINT,
        even_as_note=True,
    ),
    cause(
        r"error loading model(?: hyperparameters| vocabulary| architecture)?: ((?:(?!error loading model).){1,300})",
        "The model could not be loaded",
        "llama.cpp says: {0}",
        by_hand("a newer image of llama.cpp, or another GGUF of the model"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"GGML_ASSERT(?:\((.{1,200})\) failed|: \S{1,300}:\d{1,6}: (.{1,200}))",
        "llama.cpp stopped itself",
        _assertion_why,
        repairs_for=_assertion,
        weight=Weight.UNKNOWN,
    ),
    # ggml-org/llama.cpp#24400
    cause(
        r"^(?:\S{1,300}/)?[\w.-]{1,60}\.(?:cu|cuh|cpp|c|h):\d{1,6}: (?!CUDA error$|GGML_ASSERT)([A-Za-z].{3,200})",
        "llama.cpp stopped itself",
        lambda match, _: (
            "It has no code for what this model asks of this GPU."
            if match[1] == "fatal error"
            else f"It says: {shorten(match[1], 200)}"
        ),
        repairs_for=_assertion,
        weight=Weight.UNKNOWN,
    ),
    # ggml-org/llama.cpp#24443, #25668
    cause(
        r"failed to (?:create context with model|load model)|exiting due to \w{1,20} loading error",
        "The file is only a drafter",
        "This model drafts for another one and cannot be loaded by itself.",
        by_hand("name the model's own file in `model`, and this one as the draft model (-md)"),
        by_hand("leave it out, and --spec-type with it"),
        near=r"requires ctx_other to be set",
        weight=Weight.HINT,
    ),
    # ikawrakow/ik_llama.cpp#2173
    cause(
        r"failed to (?:create draft context|load draft model)",
        "The draft model could not be loaded",
        "llama-server loaded the model itself, and failed with the one that drafts for it.",
        by_hand("leave out the draft model (-md, --spec-type)"),
        by_hand("a newer image of llama.cpp"),
        weight=Weight.UNKNOWN,
    ),
    # What a function of llama.cpp says of its failure, before the lines that only pass it on.
    cause(
        r"^(?:srv {1,10}|slot {1,10}|cmn {1,10})?(?:gguf|llama|clip|mtmd|common|ggml)_\w{1,60}(?:\(\))?: "
        r"(?:error: )?(?!.{0,200}(?:failed to load model|normal during|to fit params|using cached|error loading model))"
        r"((?:.{0,120} )?(?:[Ff]ailed|cannot|could not|unable|invalid|unsupported|not supported|mismatch|required)\b"
        r".{0,200})",
        "The model could not be loaded",
        "llama.cpp says: {0}",
        by_hand("a newer image of llama.cpp, or another GGUF of the model"),
        weight=Weight.HINT,
        generic=True,
    ),
    # What else the program says of its end.
    cause(
        r"^(?:error|main|llama_server|(?:srv|cmn|slot) {1,10}\w{1,40}): (?:error: )?"
        r"(?!.{0,120}(?:failed to load model|failed to initialize the context))"
        r"((?:.{0,120} )?(?:[Ff]ailed|cannot|could not|couldn't|unable|invalid|required|not found|missing)\b.{0,200})",
        "llama-server stopped",
        "It says: {0}",
        by_hand("correct what it names in the recipe's command"),
        by_hand("a newer image of llama.cpp, or another GGUF of the model"),
        weight=Weight.HINT,
        generic=True,
    ),
    cause(
        r"failed to load model(?: '(.*)')?|exiting due to \w{1,20} loading error",
        "The model could not be loaded",
        "llama-server gives no reason in this line; the lines above it do.",
        by_hand("-v in the command", "without it some builds do not print why"),
        by_hand("compare the file's SHA-256 with the Hub's", "a download that broke off looks like this, too"),
        weight=Weight.CONSEQUENCE,
    ),
)
