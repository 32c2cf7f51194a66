"""What the containers of all engines share: names, labels, mounts, environment, and the start of their script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading import identifiers
from sparkrun_tui.base.secrets import LONG, Redactor, Secret, looks_secret
from sparkrun_tui.engines.layout.caches import HF_HOME, RUNTIME_CACHE, cache_mounts, runtime_cache_folder
from sparkrun_tui.engines.layout.nccl import nccl_env
from sparkrun_tui.engines.plan import (
    HEALTH_PATH,
    LABEL,
    ContainerSpec,
    Hook,
    HostView,
    Mount,
    PlanRequest,
    RankPlan,
    ReadyCheck,
    Role,
    ServePlan,
)
from sparkrun_tui.recipe.format.hooks import hooks_of, model_on_hosts
from sparkrun_tui.recipe.names.images import image_on
from sparkrun_tui.recipe.names.mounts import on_host, split_volume
from sparkrun_tui.recipe.values.env_fields import launch_fields, with_launch
from sparkrun_tui.recipe.values.launch_keys import SECRET_REFERENCE
from sparkrun_tui.recipe.values.masking import private_texts
from sparkrun_tui.recipe.values.rendered import Rendered

SCHEMA = "1"
"""Version of the labels' meaning."""

RUN_DIR = "/run/sparkrun"
START_FILE = f"{RUN_DIR}/start.sh"
"""The container's command is `bash START_FILE`; its text is `start_script()`."""
SERVE_FILE = f"{RUN_DIR}/serve.sh"
"""The bytes of `ContainerSpec.script`."""
EXEC_FOLDERS = f"{RUN_DIR}/exec-"
ENGINE_BEGUN = f"{EXEC_FOLDERS}0"
"""The folder that marks an engine as begun that is an exec of its container, and not the container's own program."""
SECRET_FILE = f"{RUN_DIR}/env"
"""Mode 0600, the text of `secret_file()`; the start script reads it once and removes it."""

BASE_ENV: Mapping[str, str] = {
    "HF_HOME": HF_HOME,
    # docker-init passes SIGTERM to the whole process group, so the engine under the start script can end cleanly.
    "TINI_KILL_PROCESS_GROUP": "1",
}
_MAX_SETTINGS = 1024
KILL_AFTER = 10
"""Seconds between the request to end and the kill of a hook that took too long."""
LAST_MOMENTS = 5.0
"""Seconds that the processes of an engine may take to end after the engine itself has."""
_STEP = 0.2
_START = """\
# The engine gets SIGTERM too and ends in its own time; this shell waits for it and keeps its exit code.
trap : TERM
others() {{
    for place in /proc/[0-9]*; do
        case ${{place#/proc/}} in 1 | "$$") ;; *) return 0 ;; esac
    done
    return 1
}}
# Writes down the shared memory of Python's processes. It is the host's: what is not removed stays there.
look() {{
    {{ cat /proc/[0-9]*/maps | sed -n 's|.* \\(/dev/shm/psm_[0-9a-f]*\\)$|\\1|p' | sort -u >>"$0.shared"; }} 2>/dev/null
}}
first=
if [ "$PPID" = 1 ]; then
    first=yes
    (
        trap 'look; exit' TERM
        while :; do sleep 86400 & wait; done
    ) &
fi
(
    trap : TERM
    if [ -f {secrets} ]; then
        set -a
        . {secrets}
        set +a
        rm -f {secrets}
    fi
    {before}. {serve}
)
code=$?
# The container ends with this shell, and what still runs in it is killed: with it, Python's resource tracker, which
# removes shared memory once the last process that uses it is gone. Ray kills the trackers of its workers itself.
if [ -n "$first" ]; then
    look
    kill -TERM -1 2>/dev/null
    for step in $(seq {steps}); do
        others || break
        sleep {step}
    done
    [ ! -f "$0.shared" ] || while read -r name; do rm -f "$name"; done <"$0.shared"
fi
exit "$code"
"""
_BEFORE = """\
echo {began}
{what} || {{
    code=$?
    echo {failed}"$code" >&2
    exit "$code"
}}
"""


def start_script(serve: str = SERVE_FILE, secrets: str = SECRET_FILE, before: Sequence[Hook] = ()) -> shell.Text:
    """The bash script that reads the secrets, runs the hooks, and runs the script at `serve` in the same shell.

    Each of `before` is in a file of its own, see `hook_file`; the first that fails ends the script with its exit code.
    At its end the container's first program asks all other processes there to end, and waits for them for a moment.
    """
    hooks = shell.joined(_before(hook, shell.word(hook_file(number))) for number, hook in enumerate(before, 1))
    return shell.script(
        _START,
        serve=serve,
        secrets=secrets,
        before=hooks,
        steps=str(round(LAST_MOMENTS / _STEP)),
        step=str(_STEP),
    )


def hook_script(hooks: Sequence[Hook]) -> shell.Text:
    """The hooks as one bash script, each in a shell of its own; the first that fails ends it with its exit code."""
    return shell.joined(_before(hook, shell.words(["-c", hook_text(hook)])) for hook in hooks)


def hook_text(hook: Hook) -> shell.Text:
    """The command of a hook with the variables that only it gets."""
    if not hook.env:
        return shell.authored(hook.command)
    words = []
    for name, value in hook.env.items():
        words.append(shell.script("{name}={value}", name=shell.word(name), value=value))
    return shell.script(
        "export {words}\n{command}", words=shell.joined(words, " "), command=shell.authored(hook.command)
    )


def timed(hook: Hook, what: shell.Text) -> shell.Text:
    """A program started within the time that the recipe gives the hook."""
    if not hook.timeout:
        return what
    return shell.script("timeout -k {kill} {limit} {what}", kill=str(KILL_AFTER), limit=f"{hook.timeout:g}", what=what)


def limited(hook: Hook) -> shell.Text:
    """The command of a hook that runs once the server answers, within its time where the recipe gives one."""
    text = hook_text(hook)
    if not hook.timeout:
        return text
    return timed(hook, shell.script("bash -c {text}", text=shell.word(text)))


def _before(hook: Hook, file: shell.Text) -> shell.Text:
    began = f"sparkrun-tui: {hook.title}: {hook.about or _first_line(hook.command)}"
    what = timed(hook, shell.script("bash {file}", file=file))
    return shell.script(_BEFORE, began=began, what=what, failed=hook_failed(hook.title))


def hook_failed(title: str) -> str:
    """The beginning of the log line about a failed hook, before the exit code."""
    return f"sparkrun-tui: {title} ended with exit code "


def hook_file(number: int) -> str:
    """The path of a hook in its container; hooks count from 1."""
    return f"{hook_folder(number)}.sh"


def hook_folder(number: int) -> str:
    """The folder of a hook's files in its container; hooks count from 1."""
    return f"{RUN_DIR}/before-{number}"


def _first_line(command: str) -> str:
    first, more, _ = command.strip().partition("\n")
    if more:
        return f"{first} …"
    return first


def secret_file(values: Mapping[str, Secret]) -> str:
    """The text of the file that the start script sources. This is the only place in the plans that reveals secrets.

    Raises `LaunchError` for a name that is not one of a variable.
    """
    lines = []
    for name, secret in values.items():
        if identifiers.variable_name(name) is None:
            raise LaunchError(f"`{name}` is not a name for a variable", remedy="correct the recipe's `env`")
        lines.append(f"{name}={shell.word(secret.reveal())}\n")
    return "".join(lines)


def container_name(launch_id: str, rank: int) -> str:
    """The name of the container of a rank, the same on every run of the launch."""
    return f"sparkrun-tui-{launch_id}-{rank}"


def role_of(rank: int, nodes: int) -> Role:
    """The role of a rank: rank 0 is the head, or solo where it is the only one."""
    if nodes == 1:
        return Role.SOLO
    if rank == 0:
        return Role.HEAD
    return Role.WORKER


def split_env(env: Mapping[str, str], secret_env: Mapping[str, Secret]) -> tuple[dict[str, str], dict[str, Secret]]:
    """Plain and secret variables. A variable is secret by its name, or where it holds the value of a known secret."""
    # A short value occurs in any text, so only long ones are searched for.
    known = [secret.reveal() for secret in secret_env.values() if len(secret.reveal()) >= LONG]
    plain: dict[str, str] = {}
    secret = dict(secret_env)
    for name, value in env.items():
        is_secret = looks_secret(name) or any(token in value for token in known)
        if is_secret:
            secret.setdefault(name, Secret(value))
        elif name not in secret:
            plain[name] = value
    return plain, secret


def model_mounts(request: PlanRequest, host: HostView) -> tuple[Mount, ...]:
    """The mounts of a model that lies on a path of the host; none for other models."""
    model = model_on_hosts(request.rendered.recipe)
    if model is None:
        return ()
    found = []
    for volume in model.volumes:
        source, target, _ = split_volume(volume)
        found.append(Mount(on_host(source, host.home), target, read_only=True, make=False))
    return tuple(found)


def devices(host: HostView) -> tuple[str, ...]:
    """Device nodes to pass to the container: InfiniBand where the host has it."""
    if not host.has_infiniband:
        return ()
    return ("/dev/infiniband",)


def container(
    request: PlanRequest,
    rank: int,
    *,
    engine: str,
    image: str,
    script: str,
    env: Mapping[str, str],
    caches: Mapping[str, str],
    collective: bool = True,
) -> ContainerSpec:
    """The container of a rank, with everything that does not depend on the engine; `labelled` adds the labels.

    `image` is used where the recipe names none for the host. `env` holds the engine's own variables; the recipe's
    variables override them, and secrets are kept out of what Docker shows. With `collective` the ranks use NCCL, whose
    variables override the engine's. `caches` are the engine's caches, name to folder in the container.
    """
    host = request.hosts[rank]
    plain, secret = split_env(request.env, request.secret_env)
    merged = {**BASE_ENV, **env}
    if collective:
        merged.update(nccl_env(host, request.hosts))
    merged.update(plain)
    filled = launch_fields_on(request, rank)
    visible = {name: with_launch(value, filled) for name, value in merged.items() if name not in secret}
    secret = {name: Secret(with_launch(value.reveal(), filled)) for name, value in secret.items()}
    mounts = cache_mounts(host, engine, caches, request.rendered)
    if wants_runtime_cache(request, script):
        mounts = (*mounts, Mount(runtime_cache_folder(host, engine, request.rendered), RUNTIME_CACHE))
    mounts = (*mounts, *model_mounts(request, host))
    if not script.endswith("\n"):
        script += "\n"
    return ContainerSpec(
        name=container_name(request.launch_id, rank),
        image=image_on(request.rendered.recipe, host.name) or image,
        script=script,
        env=visible,
        secret_env=secret,
        mounts=mounts,
        devices=devices(host),
        privileged=request.privileged,
    )


def launch_fields_on(request: PlanRequest, rank: int) -> Mapping[str, str]:
    """The values of `{launch.FIELD}` for a rank; the model's are marked as missing until it is on the hosts."""
    return {
        "num_nodes": str(len(request.hosts)),
        "node_rank": str(rank),
        "node_host": request.hosts[rank].name,
        "cluster_id": request.launch_id,
        "model_path": request.model_path or "<launch.model_path>",
        "model_revision": request.model_commit or "<launch.model_revision>",
        "runtime_cache_dir": RUNTIME_CACHE,
    }


def wants_runtime_cache(request: PlanRequest, script: str) -> bool:
    """Whether the recipe may use the folder that is kept on the hosts: by its path, in `env`, or in its commands."""
    recipe = request.rendered.recipe
    if not recipe.runtime_cache.enabled:
        return False
    if RUNTIME_CACHE in script or "runtime_cache_dir" in launch_fields(recipe):
        return True
    if any(RUNTIME_CACHE in value for value in request.env.values()):
        return True
    hooks = hooks_of(request.rendered)
    return hooks.any


def plan_digest(ranks: Sequence[RankPlan]) -> str:
    """A short digest of what the ranks will run: equal plans of different launches have equal digests."""
    parts: list[list[object]] = []
    for rank in ranks:
        spec = rank.container
        sources = [mount.source for mount in spec.mounts]
        part: list[object] = [rank.host, str(rank.role), spec.image, spec.script, sorted(spec.env.items()), sources]
        for hook in spec.before:
            part.append(hook.command)
            if hook.timeout is not None:
                part.append(hook.timeout)
        for hook in spec.before:
            if hook.bundle is not None:
                part.append(hook.bundle.digest)
        parts.append(part)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def launch_labels(request: PlanRequest, engine: str, ready: ReadyCheck) -> dict[str, str]:
    """What the labels of any container of a launch say, without the prefix; texts of the recipe are not redacted."""
    recipe = request.rendered.recipe
    labels = {
        "schema": SCHEMA,
        "launch": request.launch_id,
        "recipe": recipe.name,
        "recipe-digest": recipe.digest,
        "engine": engine,
        "nodes": str(len(request.hosts)),
        "hosts": ",".join(host.name for host in request.hosts),
        "port": str(ready.port),
        "model": recipe.model,
        "served": ready.served_name,
    }
    if ready.offers:
        labels["offers"] = ready.offers
    if ready.health_path != HEALTH_PATH:
        labels["health"] = ready.health_path
    return labels


def labelled(plan: ServePlan, request: PlanRequest) -> ServePlan:
    """The plan with labels on all its containers, by which a workload is found and grouped later."""
    redact = Redactor([*request.secret_env.values(), *_hidden(plan)])
    common = launch_labels(request, plan.engine, plan.ready)
    common["plan"] = plan_digest(plan.ranks)
    common["settings"] = settings_label(request.rendered)
    repos = tuple(dict.fromkeys(need.repo for need in plan.models))
    if len(repos) > 1:
        common["models"] = ",".join(repos)
    safe = {f"{LABEL}{key}": redact(value) for key, value in common.items()}
    execs = frozenset(execution.rank for stage in plan.stages for execution in stage.execs)
    return replace(plan, ranks=tuple(_with_labels(rank, safe, rank.rank in execs) for rank in plan.ranks))


def _hidden(plan: ServePlan) -> list[Secret]:
    found: list[Secret] = []
    for rank in plan.ranks:
        found.extend(rank.container.secret_env.values())
    return found


def _with_labels(rank: RankPlan, common: Mapping[str, str], engine_is_exec: bool) -> RankPlan:
    own = {f"{LABEL}rank": str(rank.rank), f"{LABEL}role": str(rank.role)}
    if engine_is_exec:
        own[f"{LABEL}exec"] = "1"
    own[f"{LABEL}image"] = rank.container.image
    labels = {**rank.container.labels, **common, **own}
    return replace(rank, container=replace(rank.container, labels=labels))


def settings_label(rendered: Rendered) -> str:
    """The overrides of a launch as compact JSON without secrets, cut to whole entries within 1 KiB."""
    kept: dict[str, str] = {}
    for key, value in rendered.overrides.items():
        is_secret = looks_secret(key) or private_texts({key: value}) or SECRET_REFERENCE.search(value)
        if is_secret:
            continue
        if len(json.dumps({**kept, key: value}, ensure_ascii=False).encode("utf-8", "surrogatepass")) <= _MAX_SETTINGS:
            kept[key] = value
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
