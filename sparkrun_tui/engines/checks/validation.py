"""Everything that is wrong, or likely wrong, with a recipe: findings of reading and rendering, and checks of sense."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from itertools import islice, pairwise
from math import inf

from sparkrun_tui.base.errors import RecipeError, Spot
from sparkrun_tui.base.identifiers import variable_name
from sparkrun_tui.engines.checks.fields import (
    check_container,
    check_metadata,
    check_model,
    check_topology,
    is_local,
    problem,
)
from sparkrun_tui.engines.checks.flags import check_flags, check_revision
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.fields.declared import field_for
from sparkrun_tui.engines.layout.common import HF_HOME
from sparkrun_tui.engines.layout.options import mount_problems
from sparkrun_tui.engines.registry import ENGINES, family_of
from sparkrun_tui.recipe.bundled_files.attachments import bring
from sparkrun_tui.recipe.format.characters import check_characters
from sparkrun_tui.recipe.format.detect import split_gguf
from sparkrun_tui.recipe.format.extensions import LATER_KEYS, changes_launch, later_fields
from sparkrun_tui.recipe.format.hooks import ContainerOptions, container_options, hooks_of
from sparkrun_tui.recipe.format.loader import KNOWN_KEYS, METADATA_KEYS, unknown_keys
from sparkrun_tui.recipe.format.spots import command_spot
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.suggestions import did_you_mean, listed
from sparkrun_tui.recipe.values.environment import expand_env, unfilled, wanted
from sparkrun_tui.recipe.values.overrides import LOST_CONTINUATION, render, value_text
from sparkrun_tui.recipe.values.rendered import ChainValue, Origin, Rendered
from sparkrun_tui.recipe.values.shell_scanner import quotes_at

_STRICT = frozenset({"port", "gpu_memory_utilization", "tensor_parallel", "pipeline_parallel"})
"""Keys whose bad value no engine can start with."""
_NOT_IN_COMMANDS = frozenset({"tensor_parallel", "pipeline_parallel", "data_parallel"})
"""Keys that decide about hosts even when the command does not use them."""
_MAX_UNKNOWN = 100
"""Unknown keys that are compared with the format's: a file with more of them is none that a person wrote."""
_FLAG_LINE = re.compile(r"(?<=\n)[ \t]*(?=--?[A-Za-z])")
_GOES_ON = ("\\", "|", "&&", "||", "(", "{", ";", "then", "do", "else")
"""How a line ends that the shell does not end a command with, or behind which a new one may begin."""
_VARIABLE = re.compile(r"(?<![\\\w])\$(?:\{([A-Za-z_]\w{0,99})\}|([A-Za-z_]\w{0,99}))")
_ASSIGNED = re.compile(r"(?:^|[\s;(])(?:for +|read +(?:-\w+ +)*)?([A-Za-z_]\w{0,99})(?:=| in\b|\s*$|;)", re.MULTILINE)
_USUAL_VARIABLES = frozenset(
    ["PATH", "HOME", "PWD", "HOSTNAME", "USER", "SHELL", "TMPDIR", "RANDOM", "LD_LIBRARY_PATH", "PYTHONPATH", "HF_HOME"]
)
"""Variables that a shell or the images of the engines have."""
_RAY = re.compile(r"(?<![\w-])ray start(?![\w-])")
_CONTAINER = re.compile(
    r"^[ \t]*(?:sudo +)?((?:docker|podman|nerdctl) (?:container +)?(?:run|compose))\b", re.MULTILINE
)


_OTHER_NAMES: Mapping[str, str] = {
    **dict.fromkeys(("environment", "enviroment", "env_vars", "envs"), "env"),
    **dict.fromkeys(("image", "docker_image", "container_image"), "container"),
    **dict.fromkeys(("cmd", "serve_command"), "command"),
    **dict.fromkeys(("engine", "backend"), "runtime"),
    **dict.fromkeys(("model_id", "model_path"), "model"),
    **dict.fromkeys(("nodes", "num_nodes"), "min_nodes"),
    **dict.fromkeys(("args", "parameters", "settings"), "defaults"),
}
"""Keys as other formats call what this one has a key for."""
_CONTAINER_OPTIONS = frozenset({field.name for field in fields(ContainerOptions)} - {"problems"})
_OTHER_FORMATS: Mapping[str, str] = {
    "services": "a file for Docker Compose",
    "apiVersion": "a file for Kubernetes",
    "models": "a configuration of llama-swap",
}
"""Keys that files of other programs have, which serve models too."""


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
    """All problems of a recipe, in the order of the file; the same finding at the same place is told once.

    `rendered` carries the overrides (none when left out); `env` is the workstation's environment, of which only
    the names are looked at, and how long the values become; `attention_heads` is known when the model's facts are,
    `engine_version` when the image has said it of itself; `privileged` says that containers run so on the hosts.
    """
    result = rendered if rendered is not None else render(recipe, {})
    found = [*recipe.problems, *result.problems]
    found += check_characters(result)
    found += check_model(recipe, result)
    found += _check_runtime(recipe)
    found += check_container(recipe)
    found += check_metadata(recipe)
    found += check_topology(result, attention_heads, gpus_per_host)
    found += _check_values(result)
    found += _unused_defaults(result)
    found += _check_env(recipe, os.environ if env is None else env)
    found += _check_later(recipe)
    found += _strange_keys(recipe)
    found += check_flags(result, engine_version)
    found += check_revision(result)
    found += _check_words(result)
    found += _check_path(result.recipe)
    found += [*hooks_of(result).problems, *container_options(recipe).problems, *_check_brought(result)]
    found += mount_problems(recipe, privileged=privileged)
    return ordered(found)


def ordered(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Problems by their place in the file, those without a place last, repetitions dropped."""
    unique = dict.fromkeys(problems)

    def place(found: Problem) -> tuple[float, int]:
        return (found.spot.line, found.spot.column) if found.spot else (inf, 0)

    return tuple(sorted(unique, key=place))


def _check_runtime(recipe: Recipe) -> Iterator[Problem]:
    known = ENGINES
    if recipe.runtime not in known:
        remedy = did_you_mean(recipe.runtime, known) or f"this program launches {listed(sorted(known), 'and')}"
        message = f"the engine `{recipe.runtime}` is not one that this program launches"
        yield problem(recipe, Severity.ERROR, "unknown-runtime", message, "runtime", remedy=remedy)
    elif "runtime" not in recipe.spots and recipe.version != "1":
        message = f"`runtime` is not given; it is taken as `{recipe.runtime}`"
        yield problem(recipe, Severity.NOTE, "missing-runtime", message, "")
    if recipe.command is not None:
        for match in islice(LOST_CONTINUATION.finditer(recipe.command), 20):
            message = "spaces stand behind this backslash, and a shell would end the command here: they are left out"
            remedy = "remove them, for those who run the command elsewhere"
            yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, match.start()), remedy)
        for offset in islice(_lines_left_alone(recipe.command), 20):
            message = "the line before does not end in a backslash: the command ends there, and without this flag"
            remedy = "write ` \\` at the end of the line before"
            yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, offset), remedy)
        for offset in islice(_comments_between(recipe.command), 20):
            message = "a comment between the lines of a command ends it: the shell takes the next line as another one"
            remedy = "move the comment above the command"
            yield Problem(Severity.WARNING, "continuation", message, command_spot(recipe, offset), remedy)
        started = _CONTAINER.search(recipe.command)
        if started is not None:
            message = (
                f"the command starts a container of its own with `{started[1]}`, from within the recipe's container"
            )
            remedy = "write the engine's command alone: the container is made from the recipe's own fields"
            spot = command_spot(recipe, started.start(1))
            yield Problem(Severity.WARNING, "container-in-command", message, spot, remedy)
        ray = _RAY.search(recipe.command)
        if ray is not None and recipe.max_nodes != 1:
            message = "the command starts Ray, which a launch on several hosts does by itself before it"
            spot = command_spot(recipe, ray.start())
            yield Problem(Severity.WARNING, "ray-in-command", message, spot, "leave it out, and serve alone")
    elif recipe.runtime in known:
        message = "`command` is not given; the engine's command is built from `defaults`"
        yield problem(recipe, Severity.NOTE, "missing-command", message, "")


def _check_words(rendered: Rendered) -> Iterator[Problem]:
    """A model that the command does not name, and variables of the shell that nothing here sets."""
    recipe, command = rendered.recipe, rendered.recipe.command
    if command is None or not recipe.model:
        return
    repository = split_gguf(recipe.model)[0].lower()
    if "model" not in rendered.used and repository not in (rendered.command or command).lower():
        message = "the command does not name the model: what is fetched and sized may be another one than is served"
        yield Problem(Severity.NOTE, "model-unused", message, recipe.command_spot, "write `{model}` where it is named")
    for name, offset in islice(_unset_variables(recipe, command).items(), 20):
        key = name.lower()
        remedy = f"write `{{{key}}}`" if key in rendered.chain else f"set `{name}` in `env`"
        message = f"`${name}` is not set by the recipe: it is empty unless the image sets it"
        yield Problem(Severity.NOTE, "variable-unset", message, command_spot(recipe, offset), remedy)


def _check_path(recipe: Recipe) -> Iterator[Problem]:
    """A model that is named by a path of the hosts which nothing brings into the containers."""
    model = recipe.model
    if not is_local(model):
        return
    targets = [volume.split(":")[1] for volume in container_options(recipe).volumes if ":" in volume]
    seen = [HF_HOME, *targets]
    if any(model == target or model.startswith(f"{target.rstrip('/')}/") for target in seen):
        return
    message = f"`{model[:80]}` is a path: it is not fetched, and the container sees it only if the image holds it"
    folder = model.rpartition("/")[0] or model
    remedy = f"mount it: `executor_config: {{volumes: ['{folder}:{folder}:ro']}}`"
    yield problem(recipe, Severity.WARNING, "model-path", message, "model", remedy=remedy)


def _unset_variables(recipe: Recipe, command: str) -> dict[str, int]:
    """Variables that the shell in the container fills in and that neither the recipe nor the command sets: where."""
    found: dict[str, int] = {}
    for match in _VARIABLE.finditer(command):
        name = match[1] or match[2]
        if name in recipe.env or name in _USUAL_VARIABLES:
            continue
        found.setdefault(name, match.start())
    around = quotes_at(command, found.values())
    assigned = set(_ASSIGNED.findall(command))
    return {name: at for name, at in found.items() if name not in assigned and around[at] in ("", '"')}


def _lines_left_alone(command: str) -> Iterator[int]:
    """Where lines begin with a flag although the command has ended with the line before."""
    starts = [match.end() for match in _FLAG_LINE.finditer(command)]
    around = quotes_at(command, starts)
    for start in starts:
        before = command[: command.rfind("\n", 0, start)].rpartition("\n")[2].strip()
        comment = before.startswith("#")
        if before and not comment and around[start] == "" and not before.endswith(_GOES_ON):
            yield start


def _comments_between(command: str) -> Iterator[int]:
    """Where comments stand in a continued command that would go on with a flag behind them."""
    lines = command.split("\n")
    start, continued = 0, False
    for line, following in pairwise(lines):
        text = line.lstrip(" \t")
        comment = text.startswith("#")
        if continued and comment and following.lstrip(" \t").startswith("-"):
            yield start + len(line) - len(text)
            continued = False
        continued = line.endswith("\\") or (continued and comment)
        start += len(line) + 1


def _chain_spot(link: ChainValue) -> Spot | None:
    return link.value.spot


def _check_values(rendered: Rendered) -> Iterator[Problem]:
    for key, link in rendered.chain.items():
        if link.origin is Origin.MODEL or link.value.data is None:
            continue
        field = field_for(key, link.value)
        text = value_text(link.value)
        if not field.known or not text or (wrong := field.check(text)) == "":
            continue
        severity, remedy = Severity.ERROR if key in _STRICT else Severity.WARNING, ""
        if key == "gpu_memory_utilization":
            severity, wrong, remedy = _utilisation(rendered, text, wrong)
            if not wrong:
                continue
        message = f"`{key}` {wrong}, not {text[:60]}"
        yield Problem(severity, f"value-{key.replace('_', '-')}", message, _chain_spot(link), remedy)


def _utilisation(rendered: Rendered, text: str, wrong: str) -> tuple[Severity, str, str]:
    value = rendered.get("gpu_memory_utilization")
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 1:
        return Severity.ERROR, wrong, ""
    if "--gpu-memory-utilization-gb" in rendered.argv:
        return Severity.NOTE, "", ""
    remedy = f"{text} may be meant as GiB: a share of the memory is wanted, such as {min(value, 121) / 121:.2f}"
    return Severity.ERROR, wrong, remedy if 1 < value <= 1024 else ""


def _unused_defaults(rendered: Rendered) -> Iterator[Problem]:
    recipe = rendered.recipe
    if recipe.command is None:
        return
    for key, value in recipe.defaults.items():
        if key in rendered.used or key in rendered.overrides:
            continue
        message = f"`{key}` is not used by the command"
        note = key in _NOT_IN_COMMANDS and recipe.min_nodes == recipe.max_nodes
        severity = Severity.NOTE if note else Severity.WARNING
        yield Problem(severity, "unused-default", message, recipe.spots.get(f"defaults.{key}") or value.spot)


def _check_env(recipe: Recipe, environ: Mapping[str, str]) -> Iterator[Problem]:
    for name in recipe.env:
        if variable_name(name) is None:
            message = f"`{name[:60]}` is not a name for a variable"
            yield problem(recipe, Severity.ERROR, "env-name", message, f"env.{name}")
        if "\0" in recipe.env[name].text:
            yield problem(recipe, Severity.ERROR, "env-value", f"`env.{name}` holds a NUL character", f"env.{name}")
        for form in unfilled(recipe.env[name].text):
            message = f"`{form}` stays as it is written: only `$NAME` and `${{NAME}}` are filled in"
            yield problem(recipe, Severity.WARNING, "env-form", message, f"env.{name}")
    try:
        expand_env(recipe, environ)
    except RecipeError as error:
        yield Problem(Severity.ERROR, "env-long", error.what, error.spot, error.remedy)
    for want in wanted(recipe, environ):
        if not want.is_set:
            message = f"`${{{want.name}}}` is not set on this machine: it stays as it is written"
            remedy = f"export {want.name}=... before the launch"
            yield problem(recipe, Severity.WARNING, "env-unset", message, f"env.{want.keys[0]}", remedy=remedy)


def _check_brought(rendered: Rendered) -> Iterator[Problem]:
    """What is copied into the containers; which registries are here says nothing against the recipe itself."""
    for found in bring(rendered).problems:
        if found.code == "mod-unseen":
            yield replace(found, severity=Severity.NOTE)
            continue
        here = found.code == "mod-missing"
        yield (
            replace(found, severity=Severity.WARNING, message=f"{found.message}: a launch stops at it")
            if here
            else found
        )


def _strange_keys(recipe: Recipe) -> Iterator[Problem]:
    """Keys of the file and of its `metadata` that the format does not have."""
    other = next((_OTHER_FORMATS[key] for key in unknown_keys(recipe) if key in _OTHER_FORMATS), "")
    if other and not recipe.model:
        message = f"this looks like {other}, not like a recipe"
        remedy = "write its image as `container`, its arguments as `command`, and name the model"
        yield problem(recipe, Severity.ERROR, "other-format", message, "", remedy=remedy)
        return
    for key in islice(unknown_keys(recipe), _MAX_UNKNOWN):
        if key not in LATER_KEYS:
            yield _strange_key(recipe, key)
    for key in islice(recipe.metadata.extra, _MAX_UNKNOWN):
        near = _nearly(key.lower(), METADATA_KEYS)
        if near and f"metadata.{near}" not in recipe.spots:
            message = f"`metadata.{key}` is not a key of the format, and has no effect"
            remedy = f"did you mean `{near}`?"
            yield problem(recipe, Severity.WARNING, "unknown-key", message, f"metadata.{key}", remedy=remedy)


def _strange_key(recipe: Recipe, key: str) -> Problem:
    """What is said of a key that has no effect: a warning where something else was surely meant by it."""
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
    """Whether a key would be read among `defaults`: by the engine, or by the command's placeholders."""
    if field_for(name).known or f"{{{name}}}" in (recipe.command or ""):
        return True
    family = family_of(recipe.runtime)
    return family is not None and f"--{name.replace('_', '-')}" in load_flags(family).by_spelling


@lru_cache(maxsize=1024)
def _nearly(key: str, known: frozenset[str]) -> str:
    """The one of `known` that `key` is a slip of, kept: a form asks again with each keystroke."""
    return next(iter(difflib.get_close_matches(key, sorted(known), n=1, cutoff=0.85)), "")


def _check_later(recipe: Recipe) -> Iterator[Problem]:
    for field in later_fields(recipe):
        if changes_launch(field):
            message = f"`{field.key}` ({field.meaning}) is not carried out by this program"
            severity = Severity.WARNING
        else:
            did = f"has no effect: {field.idle}" if field.idle else "has no effect on the launch"
            did = "is carried out" if field.honoured and not field.idle else did
            message, severity = f"`{field.key}` ({field.meaning}) {did}", Severity.NOTE
        yield problem(recipe, severity, "later-field", message, field.key, f"runtime_config.{field.key}")
