"""Causes that engines in Python share: flags, ports, models and their files, the CUDA stack, the network of ranks."""

from __future__ import annotations

import re

from sparkrun_tui.base.patterns import GAP
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    by_hand,
    cause,
    flag_in,
    next_port,
    set_env,
    set_value,
)
from sparkrun_tui.engines.registry import FAMILIES, counterpart, family_of
from sparkrun_tui.recipe.suggestions import nearest

_TOKEN = (
    by_hand("set HF_TOKEN in your environment", "huggingface.co/settings/tokens"),
    by_hand(
        "open the model's page and accept its licence",
        "403 means that the token is valid, but the licence was not accepted",
    ),
)
_QUOTED = re.compile(r"'([^']+)'")
_FETCH_AGAIN = by_hand("fetch the model again", "remove the damaged file from the cache first")


def _unknown_flag(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    flag = flag_in(match[1].strip().partition(" ")[0].partition("=")[0])
    if not flag:
        return (by_hand("read the engine's usage message above this line", "it names the flag that it does not know"),)
    family = family_of(context.engine)
    same = counterpart(flag, family) if family is not None else None
    if same is not None:
        other, row = same
        return (by_hand(f"write `{row.name}` instead of `{flag}`", f"`{flag}` is a flag of {other.title}"),)
    return (
        by_hand(f"remove `{flag}` from the recipe's command"),
        by_hand("use an image whose engine knows it", "flags come and go between versions"),
    )


def _choices(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    key = _key_of(match[1], context)
    words = _QUOTED.findall(match[3] or "")
    if key and "auto" in words:
        return (set_value(key, "auto", context, "the engine's own choice"),)
    reason = ""
    if words:
        reason = f"one of {', '.join(words[:8])}"
    return (by_hand(f"correct {key or flag_in(match[1]) or 'that flag'}", reason),)


def _parsers(match: re.Match[str], _: Context) -> tuple[Repair, ...]:
    names = [name.strip(" }'\")") for name in match[3].split(",")]
    reason = f"one of {', '.join(names[:30])}"
    close = nearest(match[2], names)
    if close:
        reason = f"`{close}` is similar; {reason}"
    key = f"{match[1].replace(' ', '_')}_parser"
    return (by_hand("use a newer image", "parsers come with new models"), by_hand(f"correct {key}", reason))


def _correct(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    flag = match[1].split("/")[0]
    return (by_hand(f"correct {_key_of(flag, context) or flag_in(flag) or 'that flag'}"),)


def _key_of(flags: str, context: Context) -> str:
    """The recipe key of a flag, whose spellings an engine joins with slashes; empty when it has none."""
    family = family_of(context.engine)
    return family.flags.key_for(flags.split("/")[0]) if family is not None else ""


def _usual_port(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    port = context.number("port") or 0
    if 0 < port < 65_536:
        return (by_hand("correct the port in the recipe's command"),)
    return (set_value("port", "8000", context, "the usual port"),)


def _value_error(match: re.Match[str], _: Context) -> str:
    return f"The engine refuses a setting: {shorten(match[1], 300)}"


_MODULES = "|".join(re.escape(name) for family in FAMILIES.values() for name in family.modules)
_STARTS = "|".join(re.escape(family.start[0]) for family in FAMILIES.values())
_PROGRAMS = f"{_MODULES}|{_STARTS}|ray|python"

FLAG_CAUSES: tuple[Cause, ...] = (
    cause(
        r"error: unrecognized arguments: (.+)",
        "Unknown flag",
        "The engine in this image does not know `{0}`.",
        mend=_unknown_flag,
    ),
    cause(
        r"error: ambiguous option: (\S{1,200}) could match (.+)",
        "Ambiguous flag",
        "{0} is short for several flags of this version: {1}.",
        by_hand("write the flag in full in the recipe's command"),
    ),
    cause(
        r"error: the following arguments are required: (.+)",
        "A flag is missing",
        "The command lacks {0}.",
        by_hand("add it to the recipe's command"),
    ),
    cause(
        r"error: argument (\S{1,200}): invalid choice: '?([^' ]{1,200})'? \(choose from (.*)",
        "A flag's value is refused",
        "{1} is not a value for {0}.",
        mend=_choices,
    ),
    cause(
        r"invalid (tool call|reasoning) parser: (\S{1,100}) \(chose from \{ ?(.*)",
        "A flag's value is refused",
        "This version has no {0} parser called {1}.",
        mend=_parsers,
    ),
    cause(
        r"error: argument (\S{1,200}): (.+)", "A flag's value is refused", "The engine refuses {0}: {1}", mend=_correct
    ),
    cause(
        rf"^(?:\S+: line \d+: )?({_PROGRAMS}): (?:command )?not found",
        "The image lacks the engine",
        "There is no `{0}` in this image.",
        by_hand("check `container`: it must be an image of this engine"),
    ),
    # NVIDIA/dgx-spark-playbooks#109
    cause(
        r"No module named '?ray\b",
        "The image lacks Ray",
        "Ray was asked for, and it is not in this image.",
        set_value("distributed_executor_backend", "mp", Context({}), "without Ray"),
        by_hand("use an image with Ray"),
    ),
    cause(
        rf"No module named '?({_MODULES})\b|No package metadata was found for ({_MODULES})",
        "The image lacks the engine",
        "The engine is not in this image, or its installation is incomplete.",
        by_hand("check `container`: it must be an image of this engine"),
    ),
)

PORT_CAUSES: tuple[Cause, ...] = (
    cause(
        rf"\[Errno 98\]{GAP}[Aa]ddress already in use|couldn't bind HTTP server socket|port is already allocated|"
        r"bind: address already in use|"
        r"^(?:\w{1,40}Error: )?[Pp]ort \d{1,6} is (?:not available|unavailable|already in use)",
        "The port is taken",
        lambda _, context: f"Another program listens on port {context.values.get('port', 'it wants')} of this host.",
        mend=lambda _, context: next_port(context),
    ),
    cause(
        r"bind\(\): port must be 0-65535",
        "Not a port",
        lambda _, context: f"{context.values.get('port', 'The port')} is outside 1 to 65535.",
        mend=_usual_port,
    ),
)

MODEL_CAUSES: tuple[Cause, ...] = (
    cause(
        r"[Gg]ated repo|401 Client Error|403 (?:Client Error|Forbidden)|not in the authorized list",
        "No access to the model",
        "The Hub refuses this model: its licence was not accepted, or the token is missing or of another account.",
        *_TOKEN,
    ),
    cause(
        r"429 (?:Client Error|Too Many Requests)|toomanyrequests",
        "Too many requests",
        "The Hub or the registry limits anonymous downloads.",
        by_hand("log in: set HF_TOKEN, or `docker login` on the host", "limits are higher with an account"),
    ),
    cause(
        r"contains custom code which must be executed",
        "The model brings its own code",
        "This model's repository has code that must be run to load it. Read it before you allow it.",
        mend=lambda _, context: (set_value("trust_remote_code", "true", context, "runs the repository's code"),),
    ),
    cause(
        r"The checkpoint you are trying to load has model type `([^`]{1,200})` but Transformers does not recognize",
        "The image is too old for this model",
        "The transformers library in this image does not know the model type `{0}`.",
        by_hand("use a newer image"),
    ),
    cause(
        rf"Model architectures \[({GAP}?)\] are not supported",
        "The engine does not know this model",
        "{0} is not among the architectures of this version.",
        by_hand("use a newer image, or another engine"),
    ),
    cause(
        r"LocalEntryNotFoundError: Cannot find an appropriate cached snapshot|"
        rf"LocalEntryNotFoundError: {GAP}outgoing traffic has been disabled",
        "The model is not on this host",
        "The Hugging Face cache of this host does not hold the model (or this revision), and downloads are off.",
        by_hand("launch again: the model is sent to every host", "HF_HUB_OFFLINE is set in env"),
    ),
    cause(
        r"OSError: We couldn't connect to '([^']{1,300})'|"
        r"LocalEntryNotFoundError: An error happened while trying to locate",
        "The Hub cannot be reached",
        lambda match, _: (
            f"The model is not in this host's cache, and {match[1] or 'the Hub'} does not answer from there."
        ),
        by_hand("launch again: the model is sent to every host"),
        by_hand("check the network and HF_ENDPOINT of the host"),
    ),
    cause(
        rf"HFValidationError: Repo id must be in the form {GAP}: '([^']+)'",
        "The model's path does not exist",
        "{0} is not a folder in the container, nor the name of a repository.",
        by_hand("correct `model`: a Hub name, or a path that the container sees"),
    ),
    # sgl-project/sglang#302
    cause(
        r"HFValidationError: Repo id must use alphanumeric chars .{0,200}max length is \d{1,4}: '([^']{1,300})'",
        "Not a name of a model",
        "{0} is not a name that a repository of the Hub can have.",
        by_hand("correct `model`: OWNER/NAME; a branch goes into `model_revision`"),
    ),
    cause(
        r"RepositoryNotFoundError|RevisionNotFoundError|404 Client Error",
        "The Hub does not know this model",
        "There is no such repository or revision, or it is private and the token gives no access to it.",
        by_hand("check `model` and `model_revision`"),
        *_TOKEN[:1],
    ),
    cause(
        r"KeyError: '((?:\w{1,40}\.){0,4}(?:layers|h|blocks)\.\d+\.[\w.]{1,200})'",
        "The weights do not fit the engine's model",
        "This version does not know the weight {0}: it cannot load this model in this quantisation.",
        by_hand("use a newer image"),
        by_hand("use another quantisation of the model"),
    ),
    # vllm-project/vllm#26161
    cause(
        r"Value error, Expecting value: line \d{1,9} column \d{1,9}",
        "A JSON file of the model is damaged",
        "One of the model's JSON files is empty or cut off, or is only a pointer of Git LFS.",
        _FETCH_AGAIN,
        by_hand("check JSON values in the recipe, too"),
    ),
    # vllm-project/vllm#14212, #28517, #21176
    cause(
        r"There is no module or parameter named '([\w.]{1,200})' in (\w{1,100})",
        "The weights do not fit the engine's model",
        "The files hold `{0}`, which this version's {1} does not have.",
        by_hand("use a newer image"),
        by_hand("use another quantisation of the model"),
    ),
    cause(
        r"Following weights were not initialized from checkpoint|Attempted to load weight \(torch\.Size|"
        r"assert (?:param|param_data)\.(?:size\(\)|shape) == loaded_weight\.(?:size\(\)|shape)",
        "The weights do not fit the engine's model",
        "This version expects other weights than the model's files hold.",
        by_hand("use a newer image"),
        by_hand("use another quantisation of the model"),
    ),
    cause(
        r"Tokenizer class (\w{1,80}) does not exist or is not currently imported",
        "The image is too old for this model",
        "The transformers library in this image does not know the tokenizer {0}.",
        by_hand("use a newer image", "one with transformers 5"),
    ),
    cause(
        r"data did not match any variant of untagged enum",
        "The image is too old for this model",
        "The tokenizers library in this image cannot read the model's tokenizer.json.",
        by_hand("use a newer image"),
    ),
    # OpenGVLab/InternVL#316
    cause(
        r"Couldn't instantiate the backend tokenizer from one of",
        "The tokenizer cannot be loaded",
        "The model has no tokenizer.json that this image can read, or a package for its tokenizer is missing.",
        by_hand("check that the model's folder holds its tokenizer: tokenizer.json or tokenizer.model"),
        by_hand("use an image with sentencepiece and tiktoken"),
    ),
    cause(
        r"does not appear to have a file named (\S{1,100}?)\.(?: |$)",
        "The model's folder lacks a file",
        "There is no {0} in the model's repository or folder.",
        by_hand("fetch the model again", "the download may have been cut off"),
        by_hand("check `model`: a repository of GGUF files or of an adapter has no such file"),
    ),
    cause(
        r"Cannot find any model weights with|No model weights found in",
        "Files of the model are missing",
        "The model's folder holds no weights in the format that was asked for.",
        by_hand("fetch the model again"),
        by_hand("check `model`, and load_format"),
    ),
    cause(
        r"Can't load (?:tokenizer|the configuration|the model|image processor|feature extractor) (?:for|of) "
        r"'([^']{1,300})'",
        "The model cannot be read",
        "{0} is no folder with a model in this container, and no repository that is in its cache.",
        by_hand("correct `model`: a Hub name, or a path that the container sees"),
        by_hand("fetch the model again"),
    ),
    cause(
        r"Invalid repository ID or local directory specified",
        "The model's path does not exist",
        "`model` is neither a folder with a config.json nor the name of a repository.",
        by_hand("correct `model`: a Hub name, or a path that the container sees"),
    ),
    cause(
        r"Unrecognized model in (\S{1,300})\. Should have a `model_type` key",
        "The model's configuration is of another kind",
        "The config.json of {0} does not say which model it is.",
        by_hand("check `model`: an adapter or a repository of GGUF files is no model for this engine"),
        by_hand("--config-format mistral in the command", "for Mistral's own format"),
    ),
    # vllm-project/vllm#22525, NVIDIA/dgx-spark-playbooks#17, openai/harmony#46
    cause(
        r"error downloading or loading vocab file",
        "A vocabulary of gpt-oss cannot be downloaded",
        "gpt-oss needs two files beside the model (o200k_base.tiktoken, cl100k_base.tiktoken), and the container "
        "cannot reach the server that holds them.",
        by_hand(
            "put the two files into a mounted folder, and set TIKTOKEN_ENCODINGS_BASE in env to it",
            "openaipublic.blob.core.windows.net/encodings",
        ),
    ),
    cause(
        r"HF_HUB_ENABLE_HF_TRANSFER=1\) but 'hf_transfer' package is not available",
        "hf_transfer is asked for and not there",
        "HF_HUB_ENABLE_HF_TRANSFER is set, and this image lacks the package.",
        set_env("HF_HUB_ENABLE_HF_TRANSFER", "0"),
    ),
    cause(
        r"Consistency check failed: file should be of size (\d{1,15}) but has size (\d{1,15})",
        "A file of the model is damaged",
        "A download has {1} of {0} bytes.",
        _FETCH_AGAIN,
    ),
    cause(
        r"CAS service error|Data processing error: (?:File reconstruction|CAS)",
        "The Hub's transfer failed",
        "The Hub's fast transfer (Xet) broke off.",
        set_env("HF_HUB_DISABLE_XET", "1", "the ordinary download"),
    ),
    cause(
        r"OfflineModeIsEnabled|Cannot reach https?://\S{1,200}: offline mode is enabled",
        "The model is not on this host",
        "The Hugging Face cache of this host lacks a file of the model, and downloads are off.",
        by_hand("launch again: the model is sent to every host", "HF_HUB_OFFLINE is set in env"),
    ),
    cause(
        r"HTTPSConnectionPool\(host='([^']{1,200})', port=\d{1,6}\): (?:Max retries|Read timed out)|"
        r"(?:httpx|httpcore)2?\.Connect(?:Error|Timeout)",
        "The Hub cannot be reached",
        lambda match, _: f"{shorten(match[1] or 'The Hub', 100)} does not answer from this host.",
        # Without it, newer releases of vLLM and huggingface_hub ask for the list of files though all of them are there.
        set_env("HF_HUB_OFFLINE", "1", "the model was sent to this host, so that no download is needed"),
        by_hand("launch again: the model is sent to every host"),
        by_hand("check the network and HF_ENDPOINT of the host"),
        weight=Weight.HINT,
    ),
    # vllm/distributed/utils.py ensure_divisibility
    cause(
        r"AssertionError: (\d{1,9}) is not divisible by (\d{1,5})$",
        "Heads cannot be split",
        "{0} parts of the model cannot be split over {1} ranks.",
        by_hand("a lower tensor_parallel, or one that is a power of two"),
    ),
    cause(
        r"SafetensorError: (.*)",
        "A file of the model is damaged",
        "A weights file cannot be read: {0}. Most often its download or copy is incomplete.",
        _FETCH_AGAIN,
        by_hand("compare its SHA-256 with the Hub's", "where it is the same, set load_format to safetensors"),
    ),
    cause(
        r"Weight files referenced in index but missing: (.*)",
        "Files of the model are missing",
        "The index names weights files that do not exist: {0}",
        by_hand("fetch the model again"),
    ),
    cause(
        r"^MemoryError$",
        "A file of the model is damaged",
        "Reading the model's files needed an impossible amount of memory: the header of a weights file is damaged.",
        _FETCH_AGAIN,
    ),
)

STACK_CAUSES: tuple[Cause, ...] = (
    cause(
        r"/dev/shm/[^ ]{0,200} .{0,120}[Nn]o space left on device|"
        r"[Nn]o space left on device: '/(?:dev/shm|psm_|mp-)|"
        r"insufficient shared memory \(shm\)",
        "Shared memory is full",
        "/dev/shm is full: its limit is too low, or it still contains segments of engines that were killed.",
        by_hand(
            "ls -la /dev/shm on that host",
            "with the host's IPC, segments of a killed engine remain: remove nccl-* and psm_*",
        ),
        even_as_note=True,
    ),
    cause(
        rf"NVRM: {GAP}Out of memory \[NV_ERR_NO_MEMORY\]",
        "The driver ran out of memory",
        "The GPU driver could not get memory; the host may freeze next.",
        by_hand("stop the workload, then launch with less: utilisation lower by 0.05, fewer requests, no drafter"),
        even_as_note=True,
    ),
    # tenstorrent/tt-inference-server#37, av/harbor#262
    cause(
        r"(?:Permission denied|Read-only file system): '(/[^']{0,200}/\.(?:cache|triton|config|nv)[^']{0,200})'",
        "A cache folder is not writable",
        "The engine's user may not write to {0}: it belongs to another user on the host.",
        by_hand("sudo chown -R $USER ~/.cache/huggingface on that host"),
        by_hand("run the container as root, or as the folder's owner"),
    ),
    # foundation-model-stack/fastsafetensors#28
    cause(
        r"gds_device_buffer\.|cuFile(?:BufRegister|HandleRegister|DriverOpen) (?:returned|failed)",
        "The fast loader failed",
        "fastsafetensors could not register memory with the GPU's direct storage.",
        mend=lambda _, context: (set_value("load_format", "auto", context, "the ordinary loader, slower"),),
        even_as_note=True,
    ),
    cause(
        r"^OSError: \[Errno 24\] Too many open files|in read-write mode: Too many open files \(24\)",
        "Too many open files",
        "The container may open too few files.",
        by_hand("docker run --ulimit nofile=1048576", "or default-ulimits in /etc/docker/daemon.json"),
    ),
    cause(
        r"can't start new thread|pthread_create failed.{0,80}Resource temporarily unavailable",
        "Too many processes",
        "The container may not start more threads: a limit on processes is reached.",
        by_hand("raise the limit on processes: --pids-limit, or TasksMax of docker.service"),
    ),
    cause(
        r"^Bus error(?: \(core dumped\))?$",
        "Shared memory is full",
        "A process wrote to shared memory that is not there: /dev/shm is too small.",
        by_hand("raise shm_size, or use the host's IPC"),
        weight=Weight.HINT,
    ),
    cause(
        r"Segfault encountered|Segmentation fault \(core dumped\)|Fatal Python error: Segmentation fault",
        "The engine crashed",
        "A compiled part of the engine crashed without a message (segmentation fault).",
        by_hand("read the lines above it: the last library that was used is named there"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"[Nn]o space left on device|Disk quota exceeded",
        "The disk is full",
        "There is no space left on the host (cache, image store or /tmp).",
        by_hand("docker image prune; and remove models you do not use from the cache"),
        even_as_note=True,
    ),
)

SETTING_CAUSES: tuple[Cause, ...] = (
    cause(
        r"^  (?:Value|Assertion) error, (.*?)(?: \[type=.*)?$",
        "A setting is refused",
        _value_error,
        by_hand("correct it in the recipe or the overrides"),
    ),
    cause(
        r"^  (Input should be .*?)(?: \[type=.*)?$",
        "A setting is refused",
        _value_error,
        by_hand("correct it in the recipe or the overrides"),
    ),
)
