"""All problems of a recipe: those of reading and rendering it, and checks of its content."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from math import inf

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.base.reading.identifiers import variable_name
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.checks.cache import check_cache
from sparkrun_tui.engines.checks.command_lines import check_command
from sparkrun_tui.engines.checks.fields import (
    check_container,
    check_metadata,
    check_model,
    check_topology,
    problem,
)
from sparkrun_tui.engines.checks.flags import check_flags, check_revision
from sparkrun_tui.engines.checks.per_host import check_per_host
from sparkrun_tui.engines.checks.unused import unused_defaults, unused_overrides
from sparkrun_tui.engines.checks.values import check_values
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.fields.declared import field_for
from sparkrun_tui.engines.layout.options import mount_problems
from sparkrun_tui.engines.registry import ENGINES, family_of
from sparkrun_tui.recipe.bundled_files.attachments import find_attachments
from sparkrun_tui.recipe.format.characters import check_characters
from sparkrun_tui.recipe.format.extensions import LATER_KEYS, changes_launch, later_fields
from sparkrun_tui.recipe.format.hooks import container_options, hooks_of, model_on_hosts
from sparkrun_tui.recipe.format.keys import KNOWN_KEYS, METADATA_KEYS, NOT_DONE, below
from sparkrun_tui.recipe.format.loader import unknown_keys
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import split_gguf
from sparkrun_tui.recipe.names.local_model import cached_snapshot, is_path
from sparkrun_tui.recipe.suggestions import did_you_mean, listed
from sparkrun_tui.recipe.values.env_fields import field_problems
from sparkrun_tui.recipe.values.environment import expand_env, unfilled, wanted
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import ChainValue, Rendered
from sparkrun_tui.recipe.values.shell_scanner import quotes_at

_MAX_UNKNOWN = 100
"""Most unknown keys that are compared with the format's: no person writes a file with more of them."""
_VARIABLE = late_regex(r"(?<![\\\w])\$(?:\{([A-Za-z_]\w{0,99})\}|([A-Za-z_]\w{0,99}))")
_ASSIGNED = late_regex(r"(?:^|[\s;(])(?:for +|read +(?:-\w+ +)*)?([A-Za-z_]\w{0,99})(?:=| in\b|\s*$|;)", re.MULTILINE)
_USUAL_VARIABLES = frozenset(
    [
        "PATH",
        "HOME",
        "PWD",
        "HOSTNAME",
        "USER",
        "SHELL",
        "TMPDIR",
        "RANDOM",
        "LD_LIBRARY_PATH",
        "PYTHONPATH",
        "HF_HOME",
        "NODE_IP",
    ]
)
"""Variables that a shell or the images of the engines have, or that a launch on several hosts sets."""
_OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("environment", "enviroment", "env_vars", "envs"), "env"),
    **dict.fromkeys(("image", "docker_image", "container_image"), "container"),
    **dict.fromkeys(("cmd", "serve_command"), "command"),
    **dict.fromkeys(("engine", "backend"), "runtime"),
    **dict.fromkeys(("model_id", "model_path"), "model"),
    **dict.fromkeys(("nodes", "num_nodes"), "min_nodes"),
    **dict.fromkeys(("args", "parameters", "settings"), "defaults"),
}
"""Keys of other formats, and the key of this format that means the same."""
_METADATA_ELSEWHERE = frozenset(
    ["model_type", "quantization", "quant_bits", "model_max_len", "kv_lora_rank", "qk_rope_head_dim", "compress_ratios"]
)
"""Keys of `metadata` that sparkrun's own estimate reads (sparkrun/core/recipe.py): they are no typing errors."""
_CONTAINER_OPTIONS = {key for key in below("executor_config") if f"executor_config.{key}" not in NOT_DONE}
_OTHER_FORMATS: Mapping[str, str] = {
    "services": "a file for Docker Compose",
    "apiVersion": "a file for Kubernetes",
    "models": "a configuration of llama-swap",
}
"""Keys that are typical of files for other programs that serve models, and what such a file is."""


def validate(
    recipe: Recipe,
    rendered: Rendered | None = None,
    env: Mapping[str, str] | None = None,
    *,
    attention_heads: int | None = None,
    gpus_per_host: int = 1,
    privileged: bool = False,
    engine_version: str = "",
) -> tuple[Problem, ...]:
    """All problems of a recipe, in the order of the file; the same finding at the same place is reported once.

    `rendered` carries the overrides (none when left out). Of `env`, the workstation's environment, only the names and
    the lengths of the values are used. `attention_heads` is given where the model's facts are known, `engine_version`
    where it was read from the image itself; `privileged` says that containers run privileged on the hosts.
    """
    result = rendered
    if result is None:
        result = render(recipe, {})
    environ = env
    if environ is None:
        environ = os.environ
    found = [*recipe.problems, *result.problems]
    found += check_characters(result)
    found += check_model(recipe, result)
    found += _check_runtime(recipe)
    found += check_container(recipe)
    found += check_metadata(recipe)
    found += check_topology(result, attention_heads, gpus_per_host)
    found += check_values(result)
    found += unused_defaults(result)
    found += unused_overrides(result)
    found += _check_env(recipe, environ, result.chain)
    found += field_problems(recipe, result.chain)
    found += _check_later(recipe)
    found += _strange_keys(recipe)
    found += check_flags(result, engine_version)
    found += check_revision(result)
    found += check_per_host(result)
    found += check_cache(result)
    found += _check_words(result)
    found += _check_path(result.recipe)
    found += hooks_of(result).problems
    found += container_options(recipe).problems
    found += _check_attachments(result)
    found += mount_problems(result.recipe, privileged=privileged)
    return ordered(found)


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by their place in the file, those without a place last, repetitions dropped."""
    unique = dict.fromkeys(problems)

    def place(found: Problem) -> tuple[float, int]:
        if found.spot is None:
            return (inf, 0)
        return (found.spot.line, found.spot.column)

    return tuple(sorted(unique, key=place))


def _check_runtime(recipe: Recipe) -> Iterator[Problem]:
    if recipe.runtime not in ENGINES:
        remedy = did_you_mean(recipe.runtime, ENGINES)
        if not remedy:
            remedy = f"this program launches {listed(sorted(ENGINES), 'and')}"
        message = f"this program cannot launch the engine `{recipe.runtime}`"
        yield problem(recipe, Severity.ERROR, "unknown-runtime", message, "runtime", remedy=remedy)
    elif "runtime" not in recipe.spots and recipe.version != "1":
        message = f"`runtime` is not given; it is taken as `{recipe.runtime}`"
        yield problem(recipe, Severity.NOTE, "missing-runtime", message, "")
    yield from _check_model_path(recipe)
    if recipe.command is not None:
        yield from check_command(recipe, recipe.command)
    elif recipe.runtime in ENGINES:
        message = "`command` is not given; the engine's command is built from `defaults`"
        yield problem(recipe, Severity.NOTE, "missing-command", message, "")


def _check_snapshot(recipe: Recipe, commit: str) -> Iterator[Problem]:
    """A command that names a commit of its model by a folder of the cache, where another may be fetched."""
    if recipe.model_revision == commit:
        return
    fetched = f"`{recipe.model_revision}`" if recipe.model_revision else "the newest commit"
    message = f"the command serves commit {commit[:12]} from the cache, while {fetched} is fetched"
    remedy = f"write `model_revision: {commit}`, and `{{model}}` in the command"
    yield Problem(Severity.WARNING, "snapshot", message, recipe.command_spot, remedy)


def _check_model_path(recipe: Recipe) -> Iterator[Problem]:
    """A model that is named by a folder of the Hugging Face cache, which no launch fetches or sends."""
    snapshot = cached_snapshot(recipe.model)
    if snapshot is None or not is_path(recipe.model):
        return
    repository, commit = snapshot
    message = "`model` is a folder of the cache: it is neither fetched nor sent, and must be on every host"
    remedy = f"write `model: {repository}` and `model_revision: {commit}`"
    yield problem(recipe, Severity.NOTE, "cached-model", message, "model", remedy=remedy)


def _check_words(rendered: Rendered) -> Iterator[Problem]:
    """A model that the command does not name, and shell variables that neither recipe nor command sets."""
    recipe, command = rendered.recipe, rendered.recipe.command
    if command is None or not recipe.model:
        return
    repository = split_gguf(recipe.model)[0].lower()
    final = rendered.command or command
    snapshot = cached_snapshot(final)
    if snapshot is not None and not is_path(recipe.model) and snapshot[0].lower() == repository:
        yield from _check_snapshot(recipe, snapshot[1])
    elif "model" not in rendered.used and repository not in final.lower():
        message = "the command does not name the model: it may serve another model than the one fetched and sized"
        remedy = "write `{model}` in place of the model's name"
        yield Problem(Severity.NOTE, "model-unused", message, recipe.command_spot, remedy)
    for name, offset in islice(_unset_variables(recipe, command).items(), 20):
        key = name.lower()
        remedy = f"set `{name}` in `env`"
        if key in rendered.chain:
            remedy = f"write `{{{key}}}`"
        message = f"`${name}` is not set by the recipe: it is empty unless the image sets it"
        yield Problem(Severity.NOTE, "variable-unset", message, command_spot(recipe, offset), remedy)


def _check_path(recipe: Recipe) -> Iterator[Problem]:
    """A note about a model on a path of the hosts: it must be there already."""
    model = model_on_hosts(recipe)
    if model is None or not model.volumes:
        return
    path = shorten(model.path, 80)
    message = f"`{path}` is a path of the hosts: it is not fetched but mounted, and every host must have it"
    yield problem(recipe, Severity.NOTE, "model-path", message, "model")


def _unset_variables(recipe: Recipe, command: str) -> dict[str, int]:
    """Variables that the container's shell expands and that neither the recipe nor the command sets, with offsets."""
    if "$" not in command:
        return {}
    found: dict[str, int] = {}
    for match in _VARIABLE.finditer(command):
        name = match[1] or match[2]
        if name not in recipe.env and name not in _USUAL_VARIABLES:
            found.setdefault(name, match.start())
    if not found:
        return {}
    for name in _ASSIGNED.findall(command):
        found.pop(name, None)
    around = quotes_at(command, found.values())
    return {name: offset for name, offset in found.items() if around[offset] in ("", '"')}


def _check_env(recipe: Recipe, environ: Mapping[str, str], chain: Mapping[str, ChainValue]) -> Iterator[Problem]:
    for name in recipe.env:
        if variable_name(name) is None:
            message = f"`{shorten(name, 60)}` is not a name for a variable"
            yield problem(recipe, Severity.ERROR, "env-name", message, f"env.{name}")
        if "\0" in recipe.env[name].text:
            yield problem(recipe, Severity.ERROR, "env-value", f"`env.{name}` holds a NUL character", f"env.{name}")
        for form in unfilled(recipe.env[name].text):
            message = f"`{form}` is left as written: only `$NAME` and `${{NAME}}` are filled in"
            yield problem(recipe, Severity.WARNING, "env-form", message, f"env.{name}")
    try:
        expand_env(recipe, environ, chain=chain)
    except RecipeError as error:
        yield Problem(Severity.ERROR, "env-long", error.what, error.spot, error.remedy)
    for want in wanted(recipe, environ):
        if not want.is_set:
            message = f"`${{{want.name}}}` is not set on this machine: it is left as written"
            remedy = f"export {want.name}=... before the launch"
            yield problem(recipe, Severity.WARNING, "env-unset", message, f"env.{want.keys[0]}", remedy=remedy)


def _check_attachments(rendered: Rendered) -> Iterator[Problem]:
    """Problems with what is copied into the containers, those that depend on this machine's registries softened.

    Which registries are present here says nothing about the recipe itself.
    """
    for found in find_attachments(rendered).problems:
        if found.code == "mod-unseen":
            yield replace(found, severity=Severity.NOTE)
        elif found.code == "mod-missing":
            message = f"{found.message}: a launch stops at it"
            yield replace(found, severity=Severity.WARNING, message=message)
        else:
            yield found


def _strange_keys(recipe: Recipe) -> Iterator[Problem]:
    """Problems with keys of the file and of its `metadata` that the format does not have."""
    if not recipe.model:
        for key in unknown_keys(recipe):
            if key not in _OTHER_FORMATS:
                continue
            message = f"this looks like {_OTHER_FORMATS[key]}, not like a recipe"
            remedy = "write its image as `container`, its arguments as `command`, and name the model"
            yield problem(recipe, Severity.ERROR, "other-format", message, "", remedy=remedy)
            return
    for key in islice(unknown_keys(recipe), _MAX_UNKNOWN):
        if key not in LATER_KEYS:
            yield _strange_key(recipe, key)
    for key in islice(recipe.runtime_config, _MAX_UNKNOWN):
        if key in KNOWN_KEYS:
            message = f"`runtime_config.{key}` has no effect: it is a key of the recipe itself"
            remedy = f"move `{key}` to the top of the file"
            yield problem(recipe, Severity.WARNING, "misplaced-key", message, f"runtime_config.{key}", remedy=remedy)
    for key in islice(recipe.metadata.extra, _MAX_UNKNOWN):
        near = _nearly(key.lower(), METADATA_KEYS)
        if key in _METADATA_ELSEWHERE:
            continue
        if near and f"metadata.{near}" not in recipe.spots:
            message = f"`metadata.{key}` is not a key of the format, and has no effect"
            remedy = f"did you mean `{near}`?"
            yield problem(recipe, Severity.WARNING, "unknown-key", message, f"metadata.{key}", remedy=remedy)


def _strange_key(recipe: Recipe, key: str) -> Problem:
    """The problem of a key that has no effect: a warning where another key was surely meant."""
    name = key.replace("-", "_")
    if _is_setting(recipe, name):
        message = f"`{key}` is a setting of the engine: at the top of a recipe it has no effect"
        remedy = f"write it under `defaults`, and use `{{{name}}}` in the command"
        return problem(recipe, Severity.WARNING, "misplaced-key", message, key, remedy=remedy)
    message = f"`{key}` is not a key of the format, and has no effect"
    if key in _CONTAINER_OPTIONS:
        remedy = f"did you mean `executor_config: {{{key}: ...}}`?"
        return problem(recipe, Severity.WARNING, "unknown-key", message, key, remedy=remedy)
    meant = _OTHER_NAMES.get(key.lower(), "") or _nearly(key.lower(), KNOWN_KEYS | LATER_KEYS)
    if meant and meant not in recipe.spots:
        return problem(recipe, Severity.WARNING, "unknown-key", message, key, remedy=f"did you mean `{meant}`?")
    if meant and isinstance(recipe.runtime_config[key], dict):
        remedy = f"put what is in it into `{meant}`, which the file has too"
        return problem(recipe, Severity.WARNING, "unknown-key", message, key, remedy=remedy)
    return problem(recipe, Severity.NOTE, "unknown-key", message, key)


def _is_setting(recipe: Recipe, name: str) -> bool:
    """Whether a key would have an effect among `defaults`: in the engine, or in the command's placeholders."""
    if field_for(name).known:
        return True
    if recipe.command is not None and f"{{{name}}}" in recipe.command:
        return True
    family = family_of(recipe.runtime)
    if family is None:
        return False
    return f"--{name.replace('_', '-')}" in load_flags(family).by_spelling


@lru_cache(maxsize=1024)
def _nearly(key: str, known: frozenset[str]) -> str:
    """The one of `known` that `key` is a typing error of; empty where there is none.

    Cached: a form asks again with each keystroke.
    """
    import difflib

    close = difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.85)
    if not close:
        return ""
    return close[0]


def _check_later(recipe: Recipe) -> Iterator[Problem]:
    for field in later_fields(recipe):
        severity = Severity.NOTE
        if changes_launch(field):
            severity = Severity.WARNING
            outcome = "is not carried out by this program"
        elif field.idle:
            outcome = f"has no effect: {field.idle}"
        elif field.honoured:
            outcome = "is carried out"
        else:
            outcome = "has no effect on the launch"
        message = f"`{field.key}` ({field.meaning}) {outcome}"
        yield problem(recipe, severity, "later-field", message, field.key, f"runtime_config.{field.key}")
