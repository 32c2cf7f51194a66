"""What the containers of all engines share: names, labels, mounts, environment, and the start of their script."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import identifiers, shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.secrets import LONG, Redactor, Secret, looks_secret
from sparkrun_tui.engines.layout.nccl import nccl_env
from sparkrun_tui.engines.plan import (
    LABEL,
    ContainerSpec,
    Hook,
    HostView,
    Mount,
    PlanRequest,
    RankPlan,
    Role,
    ServePlan,
)
from sparkrun_tui.recipe.values.launch_keys import SECRET_REFERENCE
from sparkrun_tui.recipe.values.masking import private_texts
from sparkrun_tui.recipe.values.rendered import Rendered

SCHEMA = "1"
"""Version of the labels' meaning."""

HF_HOME = "/root/.cache/huggingface"
"""The mount point of the host's Hugging Face cache in every container."""

RUN_DIR = "/run/sparkrun"
START_FILE = f"{RUN_DIR}/start.sh"
"""The container's command is `bash START_FILE`; its text is `start_script()`."""
SERVE_FILE = f"{RUN_DIR}/serve.sh"
"""The bytes of `ContainerSpec.script`."""
SECRET_FILE = f"{RUN_DIR}/env"
"""Mode 0600, the text of `secret_file()`; the start script reads it once and removes it."""

BASE_ENV: Mapping[str, str] = {
    "HF_HOME": HF_HOME,
    # docker-init passes SIGTERM to the whole process group, so the engine under the start script can end cleanly.
    "TINI_KILL_PROCESS_GROUP": "1",
}
_MAX_SETTINGS = 1024
_START = """\
# The engine gets SIGTERM too and ends in its own time; this shell waits for it and keeps its exit code.
trap : TERM
if [ -f {secrets} ]; then
    set -a
    . {secrets}
    set +a
    rm -f {secrets}
fi
{before}. {serve}
"""
_BEFORE = """\
echo {began}
bash {what} || {{
    code=$?
    echo {failed}"$code" >&2
    exit "$code"
}}
"""


def start_script(serve: str = SERVE_FILE, secrets: str = SECRET_FILE, before: Sequence[Hook] = ()) -> shell.Text:
    """The bash script that reads the secrets, runs the hooks, and runs the script at `serve` in the same shell.

    Each of `before` is in a file of its own, see `hook_file`; the first that fails ends the script with its exit code.
    """
    hooks = shell.joined(_before(hook, shell.word(hook_file(number))) for number, hook in enumerate(before, 1))
    return shell.script(_START, serve=serve, secrets=secrets, before=hooks)


def hook_script(hooks: Sequence[Hook]) -> shell.Text:
    """The hooks as one bash script, each in a shell of its own; the first that fails ends it with its exit code."""
    return shell.joined(_before(hook, shell.words(["-c", hook.command])) for hook in hooks)


def _before(hook: Hook, what: shell.Text) -> shell.Text:
    began = f"sparkrun-tui: {hook.title}: {hook.about or _first_line(hook.command)}"
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


def cache_mounts(host: HostView, engine: str, targets: Mapping[str, str]) -> tuple[Mount, ...]:
    """The Hugging Face cache, and the engine's own caches (name to folder in the container), which save compiling."""
    own = (Mount(f"{host.app_cache}/engine/{engine}/{name}", target) for name, target in targets.items())
    return (Mount(host.hf_cache, HF_HOME), *own)


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

    `env` holds the engine's own variables; the recipe's variables override them, and secrets are kept out of what
    Docker shows. With `collective` the ranks use NCCL, whose variables override the engine's. `caches` are the
    engine's caches, name to folder in the container.
    """
    host = request.hosts[rank]
    plain, secret = split_env(request.env, request.secret_env)
    merged = {**BASE_ENV, **env}
    if collective:
        merged.update(nccl_env(host, len(request.hosts)))
    merged.update(plain)
    visible = {name: value for name, value in merged.items() if name not in secret}
    if not script.endswith("\n"):
        script += "\n"
    return ContainerSpec(
        name=container_name(request.launch_id, rank),
        image=image,
        script=script,
        env=visible,
        secret_env=secret,
        mounts=cache_mounts(host, engine, caches),
        devices=devices(host),
        privileged=request.privileged,
    )


def plan_digest(ranks: Sequence[RankPlan]) -> str:
    """A short digest of what the ranks will run: equal plans of different launches have equal digests."""
    parts: list[list[object]] = []
    for rank in ranks:
        spec = rank.container
        sources = [mount.source for mount in spec.mounts]
        part: list[object] = [rank.host, str(rank.role), spec.image, spec.script, sorted(spec.env.items()), sources]
        for hook in spec.before:
            part.append(hook.command)
        for hook in spec.before:
            if hook.bundle is not None:
                part.append(hook.bundle.digest)
        parts.append(part)
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:16]


def labelled(plan: ServePlan, request: PlanRequest) -> ServePlan:
    """The plan with labels on all its containers, by which a workload is found and grouped later."""
    redact = Redactor([*request.secret_env.values(), *_hidden(plan)])
    recipe = plan.recipe
    common = {
        "schema": SCHEMA,
        "launch": plan.launch_id,
        "plan": plan_digest(plan.ranks),
        "recipe": recipe.name,
        "recipe-digest": recipe.digest,
        "engine": plan.engine,
        "nodes": str(len(plan.ranks)),
        "hosts": ",".join(rank.host for rank in plan.ranks),
        "port": str(plan.ready.port),
        "model": recipe.model,
        "served": plan.ready.served_name,
        "image": plan.image,
        "settings": settings_label(request.rendered),
    }
    safe = {f"{LABEL}{key}": redact(value) for key, value in common.items()}
    return replace(plan, ranks=tuple(_with_labels(rank, safe) for rank in plan.ranks))


def _hidden(plan: ServePlan) -> list[Secret]:
    found: list[Secret] = []
    for rank in plan.ranks:
        found.extend(rank.container.secret_env.values())
    return found


def _with_labels(rank: RankPlan, common: Mapping[str, str]) -> RankPlan:
    own = {f"{LABEL}rank": str(rank.rank), f"{LABEL}role": str(rank.role)}
    return replace(rank, container=replace(rank.container, labels={**common, **own}))


def settings_label(rendered: Rendered) -> str:
    """The overrides of a launch as compact JSON without secrets, cut to whole entries within 1 KiB."""
    kept: dict[str, str] = {}
    for key, value in rendered.overrides.items():
        is_secret = looks_secret(key) or private_texts({key: value}) or SECRET_REFERENCE.search(value)
        if is_secret:
            continue
        if len(json.dumps({**kept, key: value}, ensure_ascii=False).encode()) <= _MAX_SETTINGS:
            kept[key] = value
    return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
