"""How vLLM's processes on several hosts are connected: through Ray, or by its own distribution."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sparkrun_tui.base import shell
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.serving import ServeCommand
from sparkrun_tui.engines.command.shell_edit import Splice, serve_commands, splice
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import PlanRequest
from sparkrun_tui.recipe.format.hooks import hooks_of
from sparkrun_tui.recipe.model import Problem, Severity
from sparkrun_tui.recipe.values.rendered import Origin, Rendered, value_text
from sparkrun_tui.recipe.values.shell_scanner import Command

BACKEND_FLAGS = ("--distributed-executor-backend", "--distributed_executor_backend")
COPIES_FLAGS = ("--data-parallel-backend", "--data_parallel_backend", "-dpb", "--data-parallel-size-local", "-dpl")
"""Flags with which the author says where the copies of a model run (`data_parallel`)."""
KEY = "distributed_executor_backend"
WITHOUT = ("mp", "external_launcher")
"""Executors that connect the hosts without Ray."""
RUNTIME = "vllm-ray"
"""The runtime word that asks for Ray by name."""

NO_RAY = "no-ray"
"""The code of the problem that stops a launch before its model is sent."""
GO_WITHOUT = Repair("Go without Ray", "go without Ray: vLLM connects the hosts itself (--nnodes)", KEY, "mp")

_VERBS = ("start", "status", "stop")
_BEFORE_PROGRAM = 4
"""How many words of a command are looked at: `nohup env ray start`."""

# ray/_private/authentication, docs.ray.io ray-security/token-auth
TOKEN_MODE = "RAY_AUTH_MODE"
TOKEN = "RAY_AUTH_TOKEN"


@dataclass(frozen=True, slots=True)
class Executor:
    """The executor of a recipe: `named` by its author or the user (empty: by nobody), and why it counts as Ray."""

    named: str = ""
    asks_for_ray: str = ""
    """The words that ask for Ray, as they are shown; empty where none do."""


def executor_of(rendered: Rendered, script: str, said: ServeCommand) -> Executor:
    """The executor that a recipe names, by its command, its values or its runtime word; a user's value wins."""
    typed = override_of(rendered)
    if typed:
        return Executor(typed, f"{KEY}: {typed}" if typed == "ray" else "")
    backend = said.value(BACKEND_FLAGS) or ""
    if backend:
        return Executor(backend, f"{BACKEND_FLAGS[0]} ray" if backend == "ray" else "")
    if ray_commands(script):
        return Executor("ray", "ray start")
    link = rendered.chain.get(KEY)
    if link is not None:
        value = value_text(link.value)
        return Executor(value, f"{KEY}: {value}" if value == "ray" else "")
    if rendered.recipe.runtime_word == RUNTIME:
        return Executor("ray", f"runtime: {RUNTIME}")
    return Executor()


def override_of(rendered: Rendered) -> str:
    """The executor that the user has set; empty where none is."""
    link = rendered.chain.get(KEY)
    if link is None or link.origin not in (Origin.OVERRIDE, Origin.USER):
        return ""
    return value_text(link.value)


def ray_commands(script: str) -> list[Command]:
    """The commands of a script that start or ask Ray, also inside `bash -c`; none where it is not valid shell."""
    try:
        return serve_commands(script, _is_ray)
    except ValueError:
        return []


def _is_ray(words: Sequence[str]) -> bool:
    return any(
        program.rpartition("/")[2] == "ray" and verb in _VERBS for program, verb in pairwise(words[:_BEFORE_PROGRAM])
    )


def with_executor(script: str, said: ServeCommand, name: str) -> str:
    """`script` with the executor called `name` wherever its serve command names another one."""
    changes = []
    words: Sequence[str] = [word.text for word in said.words]
    for index, text in enumerate(words):
        flag, equals, value = text.partition("=")
        if flag not in BACKEND_FLAGS:
            continue
        if equals and value != name:
            changes.append(Splice(said.words[index].start, said.words[index].end, f"{flag}={shell.word(name)}"))
        elif not equals and index + 1 < len(words) and words[index + 1] != name:
            place = said.words[index + 1]
            changes.append(Splice(place.start, place.end, shell.word(name)))
    return splice(script, changes)


def without_ray_commands(script: str) -> str:
    """`script` with `true` in place of each command that starts or asks Ray."""
    return splice(script, (Splice(words[0].start, words[-1].end, "true") for words in ray_commands(script)))


def brings_ray(request: PlanRequest) -> bool:
    """Whether a command or a mod that runs before the server may install Ray: the image alone does not decide then."""
    for entry in hooks_of(request.rendered).before:
        if _speaks_of_ray(entry.command):
            return True
    return any(_speaks_of_ray(bundle.script) for bundle in request.attachments.bundles.values())


def _speaks_of_ray(text: str) -> bool:
    return any(word.strip("'\"").partition("[")[0].partition("=")[0] in ("ray", "ray-cluster") for word in text.split())


def copies_over_ray(copies: int, rendered: Rendered) -> Problem:
    """The problem of several copies of a model on hosts that Ray connects.

    vLLM starts all copies on the head unless it is told otherwise (vllm/v1/engine/utils.py, CoreEngineProcManager).
    """
    return Problem(
        Severity.WARNING,
        "copies-over-ray",
        f"over Ray, vLLM starts all {copies} copies of the model on the head node",
        rendered.recipe.spots.get("defaults.data_parallel") or rendered.recipe.command_spot,
        f"go without Ray: {shell.override(GO_WITHOUT.key, GO_WITHOUT.value)}; or write `--data-parallel-backend ray`",
    )


def no_ray(image: str, asked_by: str, rendered: Rendered) -> Problem:
    """The problem of an image without Ray whose recipe asks for it."""
    return Problem(
        Severity.WARNING,
        NO_RAY,
        f"{image} has no Ray, and the recipe asks for it (`{asked_by}`): the launch will stop before the model is sent",
        rendered.recipe.command_spot,
        f"go without Ray: {shell.override(GO_WITHOUT.key, GO_WITHOUT.value)}; or choose an image with Ray",
    )
