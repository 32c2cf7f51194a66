"""Causes that engines in Python share: flags, ports, models and their files, the CUDA stack, the network of ranks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sparkrun_tui.base.make_room import room_for_images, room_for_models
from sparkrun_tui.base.reading.patterns import GAP
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.logs.causes import (
    Cause,
    Context,
    Repair,
    Weight,
    after_kill,
    by_hand,
    cause,
    first_of,
    flag_in,
    next_port,
    port_in,
    set_env,
    set_value,
)
from sparkrun_tui.engines.registry import FAMILIES, counterpart, family_of
from sparkrun_tui.launch.diagnosis.named import named_settings
from sparkrun_tui.launch.diagnosis.places import DRAFT_FILES
from sparkrun_tui.launch.diagnosis.subjects import by_words
from sparkrun_tui.recipe.suggestions import nearest

_TOKEN = (
    by_hand("set HF_TOKEN in your environment", "huggingface.co/settings/tokens"),
    by_hand(
        "open the model's page and accept its licence",
        "403 means that the token is valid, but the licence was not accepted",
    ),
)
_JOINING = frozenset({"--nnodes", "--node-rank", "--master-addr", "--master-port", "--headless"})
"""Flags of vLLM that are added to a command for each of several hosts (engines/vllm/plan.py)."""
_OTHER_WEIGHTS = (by_hand("use a newer image"), by_hand("use another quantisation of the model"))
_EXPERTS = late_regex(r"\bexperts\b|\bw13_|\bw2_")


def _other_weights(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """Other weights, and for those of experts another kernel, which expects other parts of them."""
    if _EXPERTS.search(match.string) is None:
        return _OTHER_WEIGHTS
    backend = by_hand(
        "another moe_backend (vLLM) or moe_runner_backend (SGLang)", "each expects other parts of experts"
    )
    for key in ("moe_backend", "moe_runner_backend"):
        if context.values.get(key, "auto") != "auto":
            backend = set_value(key, "auto", context, "the engine's own choice")
    return (*_OTHER_WEIGHTS, backend)


_QUOTED = late_regex(r"'([^']+)'")
_FETCH_AGAIN = by_hand("fetch the model again", "remove the damaged file from the cache first")


def _unknown_flag(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    flag = flag_in(match[1].strip().partition(" ")[0].partition("=")[0])
    if not flag:
        return (by_hand("read the engine's usage message above this line", "it names the flag that it does not know"),)
    family = family_of(context.engine)
    if family is not None and flag[1:] in load_flags(family).by_spelling:
        return (
            by_hand(f"write `{flag[1:]}` instead of `{flag}`", "short flags have one dash"),
            by_hand(f"remove `{flag}` from the recipe's command"),
        )
    if family is not None and f"-{flag}" in load_flags(family).by_spelling:
        # vllm-project/vllm#46325
        return (by_hand(f"write `-{flag}` instead of `{flag}`", "with two dashes"),)
    dashed = flag.replace("_", "-")
    if family is not None and dashed != flag and dashed in load_flags(family).by_spelling:
        # sgl-project/sglang#12818
        return (by_hand(f"write `{dashed}` instead of `{flag}`"),)
    if flag in _JOINING:
        # spark-arena/sparkrun#287
        return (
            by_hand("use a newer image", f"`{flag}` is given by this program to join several hosts"),
            by_hand("connect the hosts by Ray: `runtime: vllm-ray`", "where the image has it"),
        )
    same = counterpart(flag, family) if family is not None else None
    if same is not None:
        other, row = same
        return (by_hand(f"write `{row.name}` instead of `{flag}`", f"`{flag}` is a flag of {other.title}"),)
    without = by_hand(f"remove `{flag}` from the recipe's command")
    if family is not None and flag in load_flags(family).by_spelling:
        # The flags that are known here are those of a new release.
        return (by_hand("use a newer image", f"`{flag}` is a flag of later versions"), without)
    image = by_hand("use an image whose engine knows it", "flags come and go between versions")
    meant = "" if family is None else _meant(flag, load_flags(family).by_spelling)
    if meant:
        return (by_hand(f"write `{meant}` instead of `{flag}`", "where that is meant"), without, image)
    return (without, image)


def _meant(flag: str, known: Iterable[str]) -> str:
    """The flag that was meant by one that is not known: one of the same words in any order, else a similar one."""
    long = [name for name in known if name.startswith("--")]
    words = sorted(flag.strip("-").split("-"))
    for name in long:
        if sorted(name.strip("-").split("-")) == words:
            return name
    return nearest(flag, long)


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


def _port_why(match: re.Match[str], context: Context) -> str:
    port = port_in(match.string) or context.values.get("port", "it wants")
    return f"Another program listens on port {port} of this host."


def _usual_port(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    port = context.number("port") or 0
    if 0 < port < 65_536:
        return (by_hand("correct the port in the recipe's command"),)
    return (set_value("port", "8000", context, "the usual port"),)


def _value_error(match: re.Match[str], _: Context) -> str:
    return f"The engine refuses a setting: {shorten(match[1], 300)}"


def _settings_of(match: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """The settings that a refusal names, else what may help with any."""
    named = named_settings(match[1] or "", context, with_features=True)
    correct = by_hand("correct it in the recipe or the overrides")
    if named:
        return (*named, correct)
    parts = by_words(match[1] or "", (), context)
    return (*parts, correct, by_hand("use a newer image or other weights", "where it is about the model"))


def _field_above(context: Context) -> str:
    """The setting that a message is about: pydantic writes its name in the line above."""
    above = context.before[-1] if context.before else ""
    return f"`{above}`" if _FIELD.fullmatch(above) else "a setting"


def _repairs_above(_: re.Match[str], context: Context) -> tuple[Repair, ...]:
    """What to do with that setting: one that the engine has no flag for is of the model's own files.

    Its name is not repeated as advice where the engine has none of that name.
    """
    family = family_of(context.engine)
    above = context.before[-1] if context.before else ""
    if family is not None and above in family.flags.by_key:
        return (by_hand(f"correct {above} in the recipe or the overrides"),)
    correct = by_hand("correct it in the recipe or the overrides")
    if family is not None and f"--{above.replace('_', '-')}" in load_flags(family).by_spelling:
        return (correct,)
    return (
        correct,
        by_hand(
            "use a newer image, or another quantisation of the model", "where it stands in the model's config.json"
        ),
    )


_FIELD = late_regex(r"[A-Za-z_][\w.]{0,80}")
_MODULES = "|".join(re.escape(name) for family in FAMILIES.values() for name in family.modules)
_DRAFTS = rf"{DRAFT_FILES}|Loading drafter model"
_READS_WEIGHTS = r"load_weights|weight_loader|loaded_weight|params_dict"
_STARTS = "|".join(re.escape(family.start[0]) for family in FAMILIES.values())
_PROGRAMS = f"{_MODULES}|{_STARTS}|python"
_SHELL = r"(?:\S{1,200}: )?(?:line )?(?:\d+: )?"
"""How a shell begins a message: `start.sh: line 3: `, `/bin/bash: line 1: `, `sh: 1: `, `bash: `."""

FLAG_CAUSES: tuple[Cause, ...] = (
    # vllm-project/vllm#27389, #37133
    cause(
        r"error: unrecognized arguments: (?:vllm )?serve (\S{1,300})",
        "The command is there twice",
        "The image starts `vllm serve` itself, and the command does so once more.",
        by_hand("set executor_config.entrypoint to `env`", "the command of the recipe is then the only one"),
        by_hand("or leave out `vllm serve` in the recipe's command"),
    ),
    cause(
        r"error: unrecognized arguments: (?!-)(\S{1,300})",
        "A word that belongs to no flag",
        "`{0}` stands where a flag is expected: the flag before it takes no value or only one, or a quote is missing.",
        by_hand("check the word before it in the command: dry run or plan"),
        by_hand("the image may start the server itself: leave out `vllm serve` then"),
    ),
    cause(
        r"error: unrecognized arguments: (.+)",
        "Unknown flag",
        "The engine in this image does not know `{0}`.",
        repairs_for=_unknown_flag,
    ),
    # llama-server; ggml-org/llama.cpp#6226
    cause(
        r"^error: (?:invalid|unknown) argument: (-.+)",
        "Unknown flag",
        "The program that was started does not know `{0}`.",
        repairs_for=_unknown_flag,
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
        r"(?<![\w-])(--[a-z][a-z0-9-]{2,60}) requires (--[a-z][a-z0-9-]{2,60})",
        "A flag is missing",
        "{0} works only with {1}.",
        by_hand("add the one, or leave out the other"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"error: argument (\S{1,200}): invalid choice: '?([^' ]{1,200})'? \(choose from (.*)",
        "A flag's value is refused",
        "{1} is not a value for {0}.",
        repairs_for=_choices,
    ),
    cause(
        r"invalid (tool call|reasoning) parser: (\S{1,100}) \(chose from \{ ?(.*)",
        "A flag's value is refused",
        "This version has no {0} parser called {1}.",
        repairs_for=_parsers,
    ),
    # vllm/entrypoints/chat_utils.py, sglang/srt/managers/template_manager.py; eugr/spark-vllm-docker#294, vllm#47600
    cause(
        r"[Cc]hat template (?:string \()?([^\s()]{1,200})\)? (?:appears path-like, but|is not a built-in)",
        "The chat template is not in the container",
        "There is no file {0} in the container, from the folder where the engine starts.",
        by_hand(
            "put it beside the recipe, with `pre_exec: [{copy: FILE, dest: FOLDER}]`", "and name it by its whole path"
        ),
        by_hand("leave --chat-template out", "the model's own template is used then"),
        by_hand("add the mod that brings it, or an image that has it"),
    ),
    # spark-arena/sparkrun#195
    cause(
        r"error: argument (\S{1,200}): (?:Value )?[\"']?\{\{",
        "The JSON has doubled braces",
        "{0} got `{{{{` where JSON begins with `{{`: a recipe writes them doubled where something takes one away.",
        repairs_for=lambda match, context: (
            by_hand(
                f"write single braces in {_key_of(match[1], context) or 'the value'}", "{ and } instead of {{ and }}"
            ),
            by_hand("use the newest version of the recipe"),
        ),
    ),
    cause(
        r"error: argument (\S{1,200}): (.+)",
        "A flag's value is refused",
        "The engine refuses {0}: {1}",
        repairs_for=_correct,
    ),
    cause(
        rf"^{_SHELL}({_PROGRAMS}): (?:command )?not found",
        "The image lacks the engine",
        "There is no `{0}` in this image.",
        by_hand("check `container`: it must be an image of this engine"),
    ),
    # NVIDIA/dgx-spark-playbooks#109, #75
    cause(
        rf"^ModuleNotFoundError: No module named 'ray'$|^{_SHELL}ray: (?:command )?not found",
        "The image lacks Ray",
        "Ray was asked for, and it is not in this image.",
        set_value("distributed_executor_backend", "mp", Context({}), "without Ray"),
        by_hand("use an image with Ray"),
    ),
)


def engine_missing(modules: Sequence[str]) -> tuple[Cause, ...]:
    """The rule for an image without the engine, whose Python modules are `modules`; another engine's may be missing."""
    if not modules:
        return ()
    names = "|".join(map(re.escape, modules))
    return (
        # vllm-project/vllm-ascend#725
        cause(
            rf"^ModuleNotFoundError: No module named '((?:{names})\.[\w.]{{1,100}})'$",
            "The engine's installation is incomplete",
            "There is no {0}: the engine in this image is of another version than what asks for it, or a folder of the "
            "same name hides it.",
            by_hand("use the image that the recipe was made with"),
            by_hand("start it in another folder, and leave out mods and mounted files of the engine"),
        ),
        cause(
            rf"^ModuleNotFoundError: No module named '({names})'$|: No module named ({names})$|"
            rf"No package metadata was found for ({names})|ImportError: (?i:{names}) is not installed",
            "The image lacks the engine",
            "The engine is not in this image, or its installation is incomplete.",
            by_hand("check `container`: it must be an image of this engine"),
        ),
    )


PORT_CAUSES: tuple[Cause, ...] = (
    # sglang: detokenizer_manager.py; vllm: the queues between its processes
    cause(
        r"ZMQError: Address already in use(?: \(addr='\w{1,10}://[^']{1,200}?:(\d{2,6})'\))?",
        "A port between the processes is taken",
        lambda match, _: (
            f"The processes of the engine talk through port {match[1] or 'of their own'}, and another program has it."
        ),
        by_hand("stop an earlier start that still runs on that host: docker ps, ss -ltnp"),
        by_hand("launch it again", "most of these ports are chosen by chance"),
    ),
    cause(
        rf"\[Errno 98\]{GAP}[Aa]ddress already in use|couldn't bind HTTP server socket|port is already allocated|"
        r"bind: address already in use|failed to bind host port \S{1,100}: address already in use|"
        r"^(?:\w{1,40}Error: )?[Pp]ort \d{1,6} is (?:not available|unavailable|already in use)",
        "The port is taken",
        _port_why,
        repairs_for=lambda match, context: next_port(match.string, context),
    ),
    cause(
        r"bind\(\): port must be 0-65535",
        "Not a port",
        lambda _, context: f"{context.values.get('port', 'The port')} is outside 1 to 65535.",
        repairs_for=_usual_port,
    ),
)

MODEL_CAUSES: tuple[Cause, ...] = (
    cause(
        r"[Gg]ated repo|401 Client Error|403 Client Error|(?<!: )403 Forbidden|not in the authorized list",
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
        repairs_for=lambda _, context: (set_value("trust_remote_code", "true", context, "runs the repository's code"),),
    ),
    cause(
        r"The checkpoint you are trying to load has model type `([^`]{1,200})` but Transformers does not recognize",
        "The image is too old for this model",
        "The transformers library in this image does not know the model type `{0}`.",
        by_hand("use a newer image"),
    ),
    cause(
        rf"Model architectures \[({GAP}?)\] are not supported|(\w{{1,80}}) has no (?:vLLM|SGLang) implementation|"
        r"Cannot find model module\. '(\w{1,80})'",
        "The engine does not know this model",
        lambda match, _: f"{shorten(first_of(match, 1, 2, 3), 300)} is not among the architectures of this version.",
        by_hand("use a newer image, or another engine"),
    ),
    # huggingface_hub 2.4, _snapshot_download.py
    cause(
        r"IncompleteSnapshotError: The cached snapshot for '([^']{1,200})' \(revision '[^']{1,200}', "
        r"commit [0-9a-f]{40}\) is incomplete: (\d{1,9}) file\(s\) are missing \(([^)]{1,300})\)",
        "The cached model is a part of the repository",
        "A download of {0} that was filtered left {1} file(s) out ({2}). The list that it kept of the repository names"
        " them, and without the Hub the engine takes that for a broken download.",
        by_hand(
            "remove the folder `trees` of the model in the host's Hugging Face cache",
            "it holds only lists: the files of the model stay",
        ),
        by_hand("hf download the model on the host, without a filter"),
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
        r"HFValidationError: Repo id must use alphanumeric chars .{0,200}max length is \d{1,4}: '([^']{0,300})'",
        "Not a name of a model",
        lambda match, _: f"`{match[1]}` is not a name that a repository of the Hub can have.",
        by_hand("correct `model`: OWNER/NAME; a branch goes into `model_revision`"),
    ),
    cause(
        r"Entry Not Found for url: \S{1,300}/([\w.-]{1,100})|EntryNotFoundError: 404",
        "The model's folder lacks a file",
        lambda match, _: f"There is no {shorten(match[1] or 'such file', 100)} in the model's repository.",
        by_hand("check `model` and `model_revision`", "a repository of GGUF files or of an adapter lacks some files"),
    ),
    # vllm-project/vllm#14090
    cause(
        r"No supported config format found in (\S{1,200})",
        "The model has no configuration that can be read",
        "The engine found no config.json of {0}: it is not there, or this host may not or cannot read it.",
        by_hand("check `model`: a Hub name, or a path that the container sees"),
        *_TOKEN,
        by_hand("launch again: the model is sent to every host"),
    ),
    cause(
        r"(\S{1,200}) is not a local folder and is not a valid model identifier",
        "The Hub does not know this model",
        "{0} is neither a folder in the container nor a repository of the Hub; a private one looks the same.",
        by_hand("check `model`: a Hub name, or a path that the container sees"),
        *_TOKEN[:1],
    ),
    cause(
        r"(50[0234]) Server Error",
        "The Hub has a fault",
        "The Hub answered with {0}.",
        by_hand("launch again later", "status.huggingface.co shows faults of the Hub"),
        by_hand("launch a model that is in the cache of the hosts", "nothing is downloaded then"),
    ),
    cause(
        r"CERTIFICATE_VERIFY_FAILED",
        "The server's certificate is not accepted",
        "The clock of the host is wrong, or a proxy with its own certificate stands in between.",
        by_hand("check the clock: timedatectl"),
        by_hand("give the container the proxy's certificate: REQUESTS_CA_BUNDLE and SSL_CERT_FILE in env"),
    ),
    cause(
        r"Timeout: The file lock '([^']{1,300})' could not be acquired",
        "Another process downloads the same model",
        "{0} is locked: another container fetches this file, or one that was killed has left the lock.",
        by_hand("wait for the other download; else remove the lock file"),
    ),
    cause(
        r"[Nn]ot enough (?:free )?disk space",
        "The disk is full",
        "There is no space left for the model's files.",
        by_hand(room_for_models("HOST")),
    ),
    cause(
        r"RepositoryNotFoundError|RevisionNotFoundError|404 Client Error",
        "The Hub does not know this model",
        "There is no such repository or revision, or it is private and the token gives no access to it.",
        by_hand("check `model` and `model_revision`"),
        *_TOKEN[:1],
    ),
    # vllm-project/vllm#18906
    cause(
        r"KeyError: '((?:[\w-]{1,60}\.){1,12}[\w-]{1,60})'$",
        "The drafter does not fit",
        "This version does not know the weight {0} of the drafter.",
        by_hand("use the drafter that is made for this model and this engine", "or leave it out"),
        by_hand("use a newer image"),
        near=_DRAFTS,
    ),
    cause(
        r"KeyError: '((?:\w{1,40}\.){0,4}(?:layers|h|blocks)\.\d+\.[\w.]{1,200})(?<!\.attn)'",
        "The weights do not fit the engine's model",
        "This version does not know the weight {0}: it cannot load this model in this quantisation.",
        repairs_for=_other_weights,
    ),
    # vllm-project/vllm#42813
    cause(
        r"Tried to load weights of size torch\.Size\(.{1,60}?\) ?to a parameter of size",
        "The weights do not fit the engine's model",
        "This version expects other weights than the model's files hold.",
        *_OTHER_WEIGHTS,
    ),
    cause(
        r"Detected some but not all shards of (\S{1,120}) are quantized",
        "The weights do not fit the engine's model",
        "The parts of {0} are quantised differently, and the engine joins them into one.",
        *_OTHER_WEIGHTS,
    ),
    # vllm-project/vllm#41108, #15332
    cause(
        r"RuntimeError: The (?:expanded )?size of (?:the )?tensor (?:a )?\((\d{1,12})\) must match the "
        r"(?:size of tensor b|existing size) \((\d{1,12})\)",
        "The weights do not fit the engine's model",
        "A weight of the files has {1} values along one side where this version expects {0}.",
        *_OTHER_WEIGHTS,
        by_hand("a lower tensor_parallel", "where the number of ranks does not divide that side"),
        near=_READS_WEIGHTS,
    ),
    cause(
        r"^KeyError: '((?:[\w-]{1,60}\.){1,12}(?:weight|bias|qweight|qzeros|scales?|\w{1,30}_scale(?:_inv)?))'$",
        "The weights do not fit the engine's model",
        "This version does not know the weight {0}: it cannot load this model in this quantisation.",
        *_OTHER_WEIGHTS,
    ),
    # vllm-project/vllm#30691, #18382, #28691, #33229, #15277
    cause(
        r"GGUF model with architecture (\S{1,60}) is not supported|ValueError: Architecture (\S{1,60}) not supported",
        "This engine does not read GGUF files of this model",
        lambda match, _: f"The library that reads GGUF files here does not know {shorten(first_of(match, 1, 2), 60)}.",
        by_hand("launch the GGUF file with llama.cpp: `runtime: llama-cpp`"),
        by_hand("use the model's own weights, or another quantisation for this engine"),
    ),
    # vllm-project/vllm#26161
    cause(
        r"Value error, Expecting value: line \d{1,9} column \d{1,9}",
        "A JSON file of the model is damaged",
        "One of the model's JSON files is empty or cut off, or is only a pointer of Git LFS.",
        _FETCH_AGAIN,
        by_hand("check JSON values in the recipe, too"),
    ),
    # vllm-project/vllm#20871
    cause(
        r"There is no module or parameter named '(?:base_model|\w{0,60}lora_[AB])[\w.]{0,200}' in",
        "The files are of an adapter",
        "The files hold a LoRA adapter, which is loaded beside a model and is none itself.",
        by_hand("name the model it was made for in `model`, and the adapter in lora_modules"),
        by_hand("merge the adapter into its model first"),
    ),
    # vllm-project/vllm#14212, #28517, #21176
    cause(
        r"There is no module or parameter named '([\w.]{1,200})' in (\w{1,100})",
        "The weights do not fit the engine's model",
        "The files hold `{0}`, which this version's {1} does not have.",
        *_OTHER_WEIGHTS,
    ),
    # vllm-project/vllm-ascend#15201
    cause(
        r"Following weights were not initialized from checkpoint: "
        r".{0,40}'(?:model\.)?(mtp|nextn|draft|eagle)\w{0,20}\.",
        "The model has no layers to draft with",
        "The settings ask for the model's own draft layers ({0}), and its files do not hold them: a fine-tune or a"
        " quantisation often leaves them out.",
        by_hand("leave out the drafter: speculative_config, speculative_algorithm"),
        by_hand("use a repository of the model that holds them"),
    ),
    # vllm-project/vllm#43062
    cause(
        r"Following weights were not initialized from checkpoint: \{[^}]{0,80}'"
        r"(?:\w{1,40}\.){0,3}(?:score|classifier)\.",
        "The model has no weights to classify with",
        "The engine runs the model as one that classifies or reranks, and its files hold no weights for that.",
        by_hand("leave out --convert, --runner and --task, or leave them to the engine's choice"),
        by_hand("use a repository of the model that is made for it", "one with `ForSequenceClassification`"),
    ),
    cause(
        r"Following weights were not initialized from checkpoint|Attempted to load weight \(torch\.Size",
        "The weights do not fit the engine's model",
        "This version expects other weights than the model's files hold.",
        *_OTHER_WEIGHTS,
    ),
    cause(
        r"assert (?:param|param_data)\.(?:size\(\)|shape) == loaded_weight\.(?:size\(\)|shape)",
        "The weights do not fit the engine's model",
        "This version expects other weights than the model's files hold.",
        *_OTHER_WEIGHTS,
        in_code=True,
    ),
    cause(
        r"AttributeError: '?(\w{0,60}Tokenizer\w{0,30})'? (?:object )?has no attribute '?(\w{1,80})",
        "Packages of the image do not match",
        "The tokenizer of this image's transformers has no `{1}`: the engine is for another version of transformers.",
        by_hand("use another image", "its engine and transformers must be of one time"),
        by_hand("leave out mods that install packages"),
    ),
    cause(
        r"AttributeError: '((?!(?:Model|Vllm|Cache|Load|Parallel|Scheduler|Speculative|Compilation)Config')"
        r"\w{1,60}(?:Config|Processor|FeatureExtractor))' object has no attribute '(\w{1,80})'",
        "The model does not fit this image's transformers",
        "{0} has no `{1}`, which the engine expects.",
        by_hand("use a newer image", "or the one that the recipe was made with"),
        by_hand("fetch the model again", "its config.json may be older or newer than its code"),
    ),
    cause(
        r"`rope_scaling` must be|rope_scaling should have a 'rope_type'|Unknown RoPE scaling type|"
        r"KeyError: '(?:rope_theta|rope_type|rope_scaling)'",
        "The model does not fit this image's transformers",
        "The image does not understand the model's settings for long contexts (RoPE).",
        by_hand("use a newer image", "or the one that the recipe was made with"),
        by_hand("correct rope_scaling, where the recipe sets it by hf_overrides"),
    ),
    cause(
        r"Found 0 files matching the pattern|No (?:tokenizer|tekken) file found|"
        r"tekken\.json.{0,80}(?:not found|does not exist)",
        "The model has no tokenizer of Mistral's format",
        "tokenizer_mode mistral needs a tekken.json or tokenizer.model of Mistral, and the model has none.",
        by_hand("remove tokenizer_mode, config_format and load_format mistral"),
    ),
    cause(
        r"TemplateSyntaxError: (.{1,200})|TemplateAssertionError: (.{1,200})",
        "The chat template is faulty",
        lambda match, _: f"Jinja says: {shorten(first_of(match, 1, 2), 200)}",
        by_hand("correct chat_template, or leave it to the model"),
    ),
    cause(
        r"supplied chat template .{0,20}\((.{1,200}?)\).{0,20}looks like a file path|"
        r"[Cc]hat template (?:file )?'?(\S{1,200}?)'? (?:does not exist|not found)",
        "The chat template is not there",
        lambda match, _: f"{shorten(first_of(match, 1, 2), 200)} is not a file in the container.",
        by_hand("correct chat_template: a path that the container sees"),
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
        r"Can't load (?:image processor|video processor|feature extractor|processor) for '([^']{1,300})'",
        "The model's folder lacks a file",
        "{0} has no preprocessor_config.json, which its kind of model needs: most often weights for text only.",
        by_hand("serve text only: language_model_only, or limit_mm_per_prompt 0 for each kind"),
        by_hand("take the file from the model it was made from", "or use that one"),
        by_hand("fetch the model again", "where its own page has the file"),
    ),
    cause(
        r"Can't load (?:tokenizer|the configuration|the model) (?:for|of) "
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
    # vllm-project/vllm-omni#2170
    cause(
        r"No model architectures are specified",
        "The model's configuration is of another kind",
        "The config.json names no architecture, by which this engine would know the model.",
        by_hand("check `model`: it must be a whole model in the form of transformers, not a part or an adapter"),
        by_hand("use an engine that is made for it", "models for speech and images often need another one"),
    ),
    # vllm-project/vllm PR 17132
    cause(
        r"Failed to load mistral 'params\.json' config",
        "The model is not in Mistral's format",
        "config_format mistral needs a params.json, and this repository has none: it is in the form of transformers.",
        by_hand("remove tokenizer_mode, config_format and load_format mistral"),
        by_hand("use Mistral's own repository of the model", "quantised ones are in the form of transformers"),
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
        r"Could not reach the Hub|thrown while requesting (?:GET|HEAD) https?://|Error retrieving file list: |"
        r"(?:(?:httpx|httpcore)2?|http|requests\.exceptions)\.(?:ConnectError|\w{0,10}Timeout)",
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
    # vllm-project/vllm#28997, PR 28873
    cause(
        r"local_world_size \((\d{1,5})\) must be less than or equal to the number of visible devices \((\d{1,5})\)",
        "More ranks than GPUs on this host",
        "{0} ranks were to run on this host, which has {1} GPU(s).",
        by_hand("launch on more hosts, one rank for each GPU"),
        by_hand("use a newer image", "some versions cannot spread ranks over hosts by Ray"),
        by_hand("a lower tensor_parallel"),
    ),
    cause(
        r"SafetensorError: (Error while deserializ.*|.{0,80}[Hh]eader.*|.{0,80}(?:[Ii]ncomplete|[Ii]nvalid JSON).*)",
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
        near=r"safe_?tensors|safe_open",
    ),
)

_XID = {
    "48": "memory that fails",
    "62": "its own processor stopped",
    "74": "a link between GPUs (NVLink) failed",
    "79": "it is gone from the bus",
    "94": "memory that fails",
    "95": "memory that fails",
    "119": "its own processor does not answer",
    "120": "its own processor stopped",
}


_XID_OF_KERNELS = frozenset(("13", "31", "43", "45", "69"))


def _xid_why(match: re.Match[str], _: Context) -> str:
    meaning = _XID.get(match[1], "")
    if not meaning:
        by_kernel = ", most often caused by a kernel of the engine" if match[1] in _XID_OF_KERNELS else ""
        return f"The driver reports error {match[1]} (Xid) of the GPU{by_kernel}."
    return f"The driver reports error {match[1]} (Xid) of the GPU: {meaning}."


STACK_CAUSES: tuple[Cause, ...] = (
    # NVIDIA/nvidia-docker#1648
    cause(
        r"NVRM: Xid \(PCI:[0-9a-fA-F:.]{4,20}\): (48|62|74|79|94|95|119|120),",
        "The GPU has a fault",
        _xid_why,
        by_hand("restart the host", "switch it off and on where a restart does not help"),
        by_hand("update the driver and the firmware; where it comes back, the GPU is faulty"),
        even_as_note=True,
    ),
    cause(
        r"NVRM: Xid \(PCI:[0-9a-fA-F:.]{4,20}\): (\d{1,4}),",
        "The GPU reports an error",
        _xid_why,
        by_hand("read the engine's log of the same moment", "what it did then is the cause"),
        by_hand("restart the host, where it comes with every engine"),
        weight=Weight.HINT,
        even_as_note=True,
    ),
    # eugr/spark-vllm-docker#144, #228, #261, #344
    cause(
        r"^Hunk #\d{1,4} FAILED at|^\d{1,4} out of \d{1,4} hunks? FAILED|^error: patch failed: (\S{1,200}):\d|"
        r"Patch script failed on|[Pp]atch could not be applied to",
        "A mod does not fit the image",
        lambda match, _: (
            "A mod changes files of the engine, and in this image they are not as it expects"
            + (f" ({shorten(match[1], 200)})." if match[1] else ".")
        ),
        by_hand("leave the mod out", "the engine may have the change by now"),
        by_hand("fetch the newest version of the mod, or use the image that it was made for"),
    ),
    cause(
        r"Out of memory: Killed process \d{1,9} \(([^)]{1,60})\)|Memory cgroup out of memory: Killed process|"
        r"oom-kill:constraint|oom_reaper: reaped process",
        "The kernel killed a process for memory",
        lambda match, _: (
            f"The host, or the container's limit, had no memory left; {match[1] or 'a process'} was killed."
        ),
        by_hand("leave the host more memory: a lower memory fraction, a shorter context, fewer requests"),
        by_hand("stop other programs that hold memory on that host"),
        even_as_note=True,
    ),
    cause(
        r"DefaultCPUAllocator: (?:can't allocate|not enough) memory|\[Errno 12\] Cannot allocate memory|"
        r"mmap.{0,60}Cannot allocate memory",
        "The host is out of memory",
        "The host had no memory left for what the engine needs outside the GPU's share.",
        by_hand("stop other programs there, drop the page cache, or lower the memory fraction"),
        by_hand("raise the container's memory limit, where it has one"),
    ),
    # tests of a deployment: vLLM's offloaded KV cache is a file in /dev/shm
    cause(
        r"^OSError: \[Errno 14\] Bad address",
        "Shared memory is too small",
        "A file in /dev/shm could not be filled: it is larger than the shared memory of the container or host.",
        by_hand("raise shm_size, or use the host's IPC"),
        by_hand("a smaller KV cache to offload to"),
        near=r"/dev/shm|mmap file",
    ),
    cause(
        r"OSError: \[Errno (?:5|116)\] (Input/output error|Stale file handle)(?:: '([^']{1,300})')?",
        "A disk does not answer",
        lambda match, _: f"{match[1]}{f' at {shorten(match[2], 200)}' if match[2] else ''}: a failing or distant disk.",
        by_hand("look at that host's disks and network drives: dmesg, mount"),
    ),
    cause(
        r"\[Errno -[235]\] (?:Name or service not known|Temporary failure in name resolution|No address)|"
        r"NameResolutionError|Could not resolve host",
        "A name cannot be looked up",
        "The container cannot look up a host's name: no network, or no name server.",
        by_hand("check that host's network and name server: getent hosts huggingface.co"),
        by_hand("use addresses instead of names in the cluster"),
        weight=Weight.HINT,
    ),
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
        repairs_for=lambda _, context: (set_value("load_format", "auto", context, "the ordinary loader, slower"),),
        even_as_note=True,
    ),
    cause(
        r"^OSError: \[Errno 24\] Too many open files|in read-write mode: Too many open files \(24\)",
        "Too many open files",
        "The container may open too few files.",
        by_hand("docker run --ulimit nofile=1048576", "or default-ulimits in /etc/docker/daemon.json"),
    ),
    cause(
        r"can't start new thread|thread: Resource temporarily unavailable|"
        r"pthread_create failed.{0,80}Resource temporarily unavailable",
        "Too many processes",
        "The container may not start more threads: a limit on processes is reached.",
        by_hand("raise the limit on processes: --pids-limit, or TasksMax of docker.service"),
    ),
    cause(
        r"^Bus error(?: \(core dumped\))?$|\*\*\* SIGBUS received at|^Fatal Python error: Bus error",
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
        r"Error: \[Errno (?:13|30)\] (?:Permission denied|Read-only file system): '([^']{1,300})'",
        "A file or folder is not accessible",
        "The engine's user may not use {0} in the container.",
        by_hand("check the mount and the owner of that path on the host"),
        by_hand("run the container as root, or as the folder's owner"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^FileNotFoundError: \[Errno 2\] No such file or directory: '(/[^']{1,300})'$",
        "A file is not there",
        "There is no {0} in the container.",
        by_hand("correct that path, or mount the folder that holds it"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    cause(
        r"JSONDecodeError: (.{1,200})",
        "A text that should be JSON is not",
        "Python says: {0}",
        by_hand("check JSON values in the recipe: double quotes, no trailing comma"),
        by_hand("fetch the model again", "where it is a file of the model"),
        weight=Weight.UNKNOWN,
        generic=True,
    ),
    # The words of a C++ exception that nothing caught.
    cause(
        r"^ {0,4}what\(\): {1,4}(.{1,300})",
        "A compiled part of the engine stopped",
        "It says: {0}",
        by_hand("use a newer image, or the one that the recipe was made with"),
        weight=Weight.UNKNOWN,
    ),
    cause(
        r"^(?:\S{1,200}: line \d{1,6}: {1,10}\d{1,9} )?Killed(?: {2,40}.{1,300})?$",
        "A process was killed",
        "A process was killed from outside, most often because the host ran out of memory.",
        repairs_for=after_kill,
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"double free or corruption|corrupted size vs\. prev_size|malloc\(\): |free\(\): invalid|"
        r"Fatal Python error: (?:Aborted|Illegal instruction)",
        "The engine crashed",
        "A compiled part of the engine crashed.",
        by_hand("read the lines above it: the last library that was used is named there"),
        weight=Weight.CONSEQUENCE,
    ),
    cause(
        r"[Nn]o space left on device|Disk quota exceeded",
        "The disk is full",
        "There is no space left on the host (cache, image store or /tmp).",
        by_hand(room_for_images("HOST")),
        by_hand(room_for_models("HOST")),
        even_as_note=True,
    ),
)

SETTING_CAUSES: tuple[Cause, ...] = (
    # NVIDIA/dgx-spark-playbooks#77
    cause(
        r"^  (?:Value|Assertion) error, ((?=.{0,400}quant_config|.{0,400}quantization (?:method|config|algorithm)|"
        r".{0,400}quantizations in ).*?)(?: \[type=.*)?$",
        "The image does not know this quantisation",
        "The engine cannot read how the model is quantised: {0}",
        by_hand("use a newer image, or another quantisation of the model"),
        by_hand("remove `quantization` from the recipe", "it is read from the model's own files"),
    ),
    cause(
        r"^  (?:Value|Assertion) error, (?!Model architectures )(.*?)(?: \[type=.*)?$",
        "A setting is refused",
        _value_error,
        repairs_for=_settings_of,
    ),
    cause(
        r"^  (Input should be .*?)(?: \[type=.*)?$|^  ([A-Z][^\[]{3,200}) \[type=\w{1,60}, ",
        "A setting is refused",
        lambda match, context: f"The engine refuses {_field_above(context)}: {shorten(first_of(match, 1, 2), 300)}",
        repairs_for=_repairs_above,
    ),
)
