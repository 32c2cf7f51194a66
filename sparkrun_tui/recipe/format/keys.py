"""Every key of a recipe, in one table: the loader, the checks and `docs/recipes.md` know keys from here."""

from __future__ import annotations

from sparkrun_tui.base.records import dataclass


@dataclass(frozen=True, slots=True)
class Key:
    """One key. `name` is its path in the file; `[]` stands for an entry of a list, `*` for any key."""

    name: str
    kind: str
    """What its value is, in words."""
    default: str
    """What holds without it."""
    since: str
    """`1`: the first format; `0.4`: sparkrun 0.4 or before; `here`: this program only."""
    reader: str
    """What reads it."""
    does: str
    """What it does, in a few words."""
    later: bool = False
    """Whether it is found among the settings of the runtime (`runtime_config`), too."""


_FIRST, _LATER, _HERE = "1", "0.4", "here"

KEYS: tuple[Key, ...] = (
    # Core.
    Key("model", "text", "required", _FIRST, "download, memory, command", "the model to serve"),
    Key("model_revision", "text", "the main branch", _LATER, "download, memory", "its branch, tag or commit"),
    Key("mmproj", "text", "the repository's own", _LATER, "download, command", "the projector of a GGUF model", True),
    Key("runtime", "word", "found by the command, else `vllm`", _FIRST, "plan", "the engine"),
    Key("container", "image", "the engine's usual image", _FIRST, "plan", "the image of every host"),
    Key("containers", "list of mappings", "none", _LATER, "plan", "another image for some of the hosts"),
    Key("containers[].host", "text", "required", _LATER, "plan", "the host, as you name it for ssh"),
    Key("containers[].image", "image", "required", _LATER, "plan", "its image"),
    Key("command", "text", "built from `defaults`", _FIRST, "plan", "the command that serves"),
    Key("include", "text", "none", _LATER, "loading", "another recipe that this one builds on"),
    Key("name", "text", "the file's name", _FIRST, "lists", "the name that is shown"),
    Key("description", "text", "empty", _FIRST, "lists, search", "one sentence about it"),
    Key("maintainer", "text", "empty", _FIRST, "lists, search", "its author"),
    # Hosts.
    Key("mode", "`auto`, `solo` or `cluster`", "`auto`", _FIRST, "plan", "one host or several"),
    Key("min_nodes", "whole number", "1", _FIRST, "plan", "the fewest hosts"),
    Key("max_nodes", "whole number", "no limit", _FIRST, "plan", "the most hosts"),
    Key("solo_only", "true or false", "false", _FIRST, "plan", "one host only"),
    Key("cluster_only", "true or false", "false", _FIRST, "plan", "at least two hosts"),
    # Values.
    Key("defaults", "mapping", "empty", _FIRST, "command, memory, form", "values that can be overridden"),
    Key("env", "mapping of texts", "empty", _FIRST, "plan", "variables of the containers"),
    Key("overrides", "list of mappings", "none", _LATER, "plan, memory", "values that hold under conditions"),
    Key("overrides[].when", "mapping", "required", _LATER, "plan, memory", "the conditions, all of which must be met"),
    Key("overrides[].defaults", "mapping", "empty", _LATER, "plan, memory", "values in place of those of `defaults`"),
    Key("overrides[].env", "mapping of texts", "empty", _LATER, "plan", "variables in place of those of `env`"),
    Key("overrides[].container", "image", "the recipe's", _LATER, "plan", "another image"),
    # About the model.
    Key("metadata", "mapping", "empty", _FIRST, "lists, memory", "descriptions, and facts of the model"),
    Key("metadata.description", "text", "empty", _FIRST, "lists, search", "one sentence about it"),
    Key("metadata.maintainer", "text", "empty", _FIRST, "lists, search", "its author"),
    Key("metadata.name", "text", "the file's name", _FIRST, "lists", "the name that is shown"),
    Key("metadata.model_params", "text", "the model's own", _FIRST, "memory, search", "how many: `30B`, `35B-A3B`"),
    Key("metadata.model_dtype", "word", "the model's own", _FIRST, "memory, search", "the format of its weights"),
    Key("metadata.kv_dtype", "word", "`bfloat16`", _FIRST, "memory", "the format of its KV cache"),
    Key("metadata.num_layers", "whole number", "the model's own", _FIRST, "memory", "its layers"),
    Key("metadata.num_kv_heads", "whole number", "the model's own", _FIRST, "memory", "key and value heads of a layer"),
    Key("metadata.head_dim", "whole number", "the model's own", _FIRST, "memory", "the width of a head"),
    Key("metadata.model_vram", "number, GiB", "by the parameters", _FIRST, "memory", "the size of its weights"),
    Key("metadata.kv_vram_per_token", "number, bytes", "by the layers", _FIRST, "memory", "KV cache for one token"),
    # What runs besides the engine.
    Key("pre_exec", "list", "none", _LATER, "plan, trust",
        "commands to run in the containers before the engine starts", True),
    Key("pre_exec[].command", "text", "required", _LATER, "plan, trust", "a command with a limit on its time"),
    Key("pre_exec[].timeout", "number, seconds", "no limit", _LATER, "launch", "the time it may take; 0 is no limit"),
    Key("pre_exec[].copy", "path", "none", _LATER, "plan, trust", "a file or folder beside the recipe to copy"),
    Key("pre_exec[].dest", "path", "`/workspace/mods/NAME`", _LATER, "plan", "where it goes in the container"),
    Key("post_exec", "list", "none", _LATER, "plan, trust",
        "commands to run in the head's container once the server answers", True),
    Key("post_exec[].command", "text", "required", _LATER, "plan, trust", "a command with a limit on its time"),
    Key("post_exec[].timeout", "number, seconds", "3600", _LATER, "launch", "the time it may take; 0 is no limit"),
    Key("post_commands", "list", "none", _LATER, "plan, trust",
        "commands to run on the head host once the server answers", True),
    Key("post_commands[].command", "text", "required", _LATER, "plan, trust", "a command with a limit on its time"),
    Key("post_commands[].timeout", "number, seconds", "3600", _LATER, "launch", "the time it may take; 0 is no limit"),
    Key("stop_after_post", "true or false", "false", _LATER, "launch",
        "to stop the server once these commands have run", True),
    Key("mods", "list of names", "none", _LATER, "plan, trust",
        "folders whose run.sh changes the container before the engine starts", True),
    # The container.
    Key("executor_config", "mapping", "empty", _LATER, "plan, trust", "options of the container", True),
    Key("executor_config.shm_size", "size", "`10.24gb`", _LATER, "plan", "shared memory"),
    Key("executor_config.ulimit", "list", "memlock and stack", _LATER, "plan", "limits of its processes"),
    Key("executor_config.ulimits", "list", "memlock and stack", _LATER, "plan", "another name for `ulimit`"),
    Key("executor_config.user", "text", "the image's", _LATER, "plan", "the user in the container"),
    Key("executor_config.volumes", "list", "none", _LATER, "plan, trust", "folders of the hosts to mount"),
    Key("executor_config.devices", "list", "none", _LATER, "plan, trust", "devices of the hosts"),
    Key("executor_config.cap_add", "list", "none", _LATER, "plan, trust", "capabilities of Linux"),
    Key("executor_config.entrypoint", "text or list", "the image's is not used", _LATER, "plan", "a program around it"),
    Key("executor_config.network", "word", "`host`", _LATER, "plan, trust", "the network of the container"),
    Key("executor_config.ipc", "word", "`host`; `private` for users other than root", _LATER, "plan, trust",
        "the shared memory that it sees"),
    Key("executor_config.privileged", "true or false", "false", _LATER, "plan, trust", "full access to the hosts"),
    Key("executor_config.memory_limit", "size", "no limit", _LATER, "plan", "the most memory of the container"),
    Key("executor_config.restart_policy", "word", "`no`", _LATER, "plan, trust", "when Docker restarts it"),
    Key("executor_config.security_opt", "list", "none", _LATER, "plan, trust", "how Docker protects the host"),
    Key("executor_config.labels", "list or mapping", "none", _LATER, "plan, trust", "labels of the container"),
    # The wait, and what stays.
    Key("readiness", "mapping", "the engine's own check", _LATER, "launch", "when the server counts as ready"),
    Key("readiness.port_timeout_s", "number, seconds", "no limit", _LATER, "launch", "until something answers"),
    Key("readiness.health_timeout_s", "number, seconds", "no limit", _LATER, "launch", "then until it is healthy"),
    Key("readiness.inference", "true or false", "true", _LATER, "launch", "whether the model is asked once"),
    Key("readiness.inference_style", "word", "`auto`", _LATER, "launch", "the API by which it is asked"),
    Key("readiness.inference_timeout_s", "number, seconds", "900", _LATER, "launch", "until it has answered"),
    Key("readiness.inference_prompt", "text", "`Hi`", _LATER, "launch", "what it is asked"),
    Key("readiness.path", "path", "the engine's own", _HERE, "launch", "the page that says whether it is healthy"),
    Key("readiness.timeout", "number, seconds", "no limit", _HERE, "launch", "from the start until it is healthy"),
    Key("runtime_cache", "true, false or mapping", "true", _LATER, "plan", "whether compiled code stays on the hosts"),
    Key("runtime_cache.enabled", "true or false", "true", _LATER, "plan", "the same in the mapping"),
    Key("runtime_cache.key_by_image", "true or false", "false", _LATER, "plan", "a folder for each image"),
    Key("runtime_cache.key_by_model", "true or false", "false", _LATER, "plan", "a folder for each model"),
    Key("runtime_cache.dir", "path", "this program's own", _LATER, "nothing: reported", "another folder of the hosts"),
    Key("runtime_cache.prune", "mapping", "never", _LATER, "nothing: reported", "when old folders are removed"),
    # Other models.
    Key("distribution_config", "mapping", "empty", _LATER, "download", "models beside the recipe's own", True),
    Key("distribution_config.additional_models", "list", "none", _LATER, "download", "models to fetch beside it"),
    Key("distribution_config.models", "mapping", "the recipe's model", _LATER, "download", "the models to fetch"),
    Key("distribution_config.models.entries", "list", "none", _LATER, "download", "the same as `additional_models`"),
    Key("distribution_config.containers", "mapping", "empty", _LATER, "nothing: reported", "images to send"),
    # Settings of the runtime.
    Key("runtime_config", "mapping", "empty", _FIRST, "plan", "settings of the runtime, and unknown keys"),
    Key("build_args", "list", "none", _FIRST, "plan, trust", "arguments for building the container image", True),
    Key("builder", "word", "none", _LATER, "plan, trust", "a program that builds the container image", True),
    Key("executor", "word", "`docker`", _LATER, "plan", "the program that runs the containers", True),
    # Versions.
    Key("recipe_version", "`1` or `2`", "`2`", _FIRST, "loading", "the format of the file"),
    Key("sparkrun_version", "`1` or `2`", "`2`", _FIRST, "loading", "another name for `recipe_version`"),
    # Known and reported, but not carried out here.
    Key("builder_config", "mapping", "empty", _LATER, "nothing: reported",
        "options of the program that builds the container image", True),
    Key("layout", "mapping", "empty", _LATER, "nothing: reported", "which host gets which rank", True),
    Key("scheduler", "word", "none", _LATER, "nothing: reported", "how the hosts are chosen", True),
    Key("cluster_config", "mapping", "empty", _LATER, "nothing: reported", "settings of the cluster", True),
    Key("ssh", "mapping", "empty", _LATER, "nothing: reported", "how to reach the hosts", True),
    Key("benchmark", "mapping", "empty", _LATER, "nothing: reported", "settings of a benchmark", True),
    Key("capabilities", "list", "none", _LATER, "nothing: reported", "what the model can do, for a gateway", True),
    Key("unsupported_capabilities", "list", "none", _LATER, "nothing: reported",
        "what the model cannot do, for a gateway", True),
    Key("runtime_version", "text", "none", _LATER, "nothing: reported", "the version of its engine", True),
    Key("min_sparkrun_version", "text", "none", _LATER, "nothing: reported", "the sparkrun that it needs", True),
    Key("executor_config.auto_remove", "true or false", "false", _LATER, "nothing: reported",
        "whether a container is removed when it ends; here it stays, with its log"),
    Key("executor_config.gpus", "text", "`all`", _LATER, "nothing: reported",
        "which GPUs a container gets; here it gets all of its host"),
    Key("executor_config.gpu_access_mode", "word", "`gpus`", _LATER, "nothing: reported",
        "how GPUs are asked of Docker; here by `--gpus`"),
    Key("volumes", "list", "none", _HERE, "nothing: reported",
        "folders of the host to mount; `executor_config.volumes` is what mounts them", True),
)  # fmt: skip
"""All keys, in the order of `docs/recipes.md`."""


def _plain(name: str) -> bool:
    return "." not in name


KNOWN_KEYS = frozenset(key.name for key in KEYS if _plain(key.name) and not key.later)
"""Top-level keys with a meaning of their own; every other key is moved to `runtime_config`."""

MEANINGS = {key.name: key.does for key in KEYS if key.later}
"""The keys among the settings of the runtime, and what they do."""


NOT_DONE = {key.name: key.does for key in KEYS if key.reader.startswith("nothing")}
"""The keys that are known and not carried out, and what they do elsewhere."""


def below(holder: str) -> frozenset[str]:
    """The keys of a mapping of the format: those of `metadata`, of an entry of `containers[]`."""
    start = f"{holder}."
    return frozenset(key.name[len(start) :] for key in KEYS if key.name.startswith(start))


RECIPE_WORDS = frozenset(
    ["model", "command", "container", "runtime", "recipe_version", "sparkrun_version", "include"]
)  # fmt: skip
"""A file is meant to be a recipe when it has one of these keys at its top."""

METADATA_KEYS = below("metadata")
"""Keys of `metadata` with a meaning of their own."""
