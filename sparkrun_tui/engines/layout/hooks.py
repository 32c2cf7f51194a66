"""What a recipe runs besides its engine, mods and copies too, put into a plan, with waits that leave it time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import Spot
from sparkrun_tui.engines.eugr.scripts import mod_path, mods_stage, scripts_folder
from sparkrun_tui.engines.layout.common import HF_HOME, container_name, hook_folder
from sparkrun_tui.engines.plan import Hook, HostView, Mount, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.recipe.bundled_files.attachments import MOD_SCRIPT, Bundle
from sparkrun_tui.recipe.format.hooks import Hooks, hooks_of
from sparkrun_tui.recipe.format.pre_exec import Before
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.registry.checkouts import EUGR

TIME_FOR_HOOKS = 1800.0
"""Seconds that a stage waits longer for containers that run hooks first: they install packages."""

_COPY_FILE = "mkdir -p -- {parent} && cp -- {folder}/{name} {target}"
_COPY_FOLDER = "mkdir -p -- {target} && cp -R -- {folder}/. {target}"
_COPY_MOD = (
    f'{_COPY_FOLDER} && export WORKSPACE_DIR="$PWD" && cd -- {{target}} && chmod +x {MOD_SCRIPT} && ./{MOD_SCRIPT}'
)

_WHERE = {
    "pre_exec": "in every container before the engine",
    "mods": "in every container before the engine",
    "post_exec": "in the head's container once it serves",
    "post_commands": "on the head host once it serves",
}


def with_hooks(plan: ServePlan, request: PlanRequest, container: str = "") -> ServePlan:
    """The plan with the recipe's hooks: before the script of each container, and once it serves.

    `container` names the head's container where it is not ours.
    """
    recipe = request.rendered.recipe
    name = container or container_name(request.launch_id, 0)
    found = hooks_of(request.rendered, launch_values(request, plan.ready, name))
    before = before_hooks(request, found.before, _in_container)
    after = _titled("post_exec", found.after, recipe)
    host_after = _titled("post_commands", found.host_after, recipe)
    return replace(
        plan,
        ranks=tuple(_with_before(rank, before, host) for rank, host in zip(plan.ranks, request.hosts, strict=False)),
        stages=(*_fetched(before, request, plan), *(map(_patient, plan.stages) if before else plan.stages)),
        after=after,
        host_after=host_after,
        stop_after=found.stops,
        notes=(*plan.notes, *map(_note, (*before, *after, *host_after)), *_stop_notes(found)),
        problems=(*plan.problems, *found.problems),
    )


def _stop_notes(found: Hooks) -> tuple[str, ...]:
    if not found.stops:
        return ()
    return ("stop_after_post: once these have run and ended well it is stopped; this program must stay until then",)


def launch_values(request: PlanRequest, ready: ReadyCheck, container: str) -> Mapping[str, str]:
    """The values that only a launch has, by the names under which commands for its end ask for them."""
    head = request.hosts[0]
    return {
        "head_host": head.name,
        "head_ip": head.address,
        "port": str(ready.port),
        "cluster_id": request.launch_id,
        "container_name": container,
        "cache_dir": HF_HOME,
        "base_url": f"http://{head.address}:{ready.port}/v1",
    }


def before_hooks(
    request: PlanRequest, entries: Sequence[Before], folder: Callable[[int], shell.Text]
) -> tuple[Hook, ...]:
    """What runs in every container before the engine; copies that cannot be made are left out, as problems.

    `folder` is where the files of the hook of that number (from 1) lie in the container, as text for a shell.
    """
    hooks: list[Hook] = []
    totals = Counter(entry.key for entry in entries)
    seen: Counter[str] = Counter()
    for entry in entries:
        seen[entry.key] += 1
        bundle = request.brought.bundles.get(entry)
        title = _title(entry.key, seen[entry.key], totals[entry.key], entry.spot)
        if not entry.source:
            hooks.append(Hook(title, entry.command))
        elif bundle is not None or entry in request.brought.left:
            command = _copy_command(entry, bundle, folder(len(hooks) + 1))
            mod = entry.source if bundle is None else ""
            hooks.append(Hook(title, command, bundle, mod, _about(entry, bundle)))
    return tuple(hooks)


def _in_container(number: int) -> shell.Text:
    return shell.word(hook_folder(number))


def _copy_command(entry: Before, bundle: Bundle | None, folder: shell.Text) -> shell.Text:
    """Puts the files where they are wanted, and runs a mod's script there, as eugr's scripts do with a mod."""
    target = entry.target
    if bundle is not None and bundle.alone:
        (name,) = bundle.names
        parent = target if target.endswith("/") else target.rpartition("/")[0] or "/"
        return shell.script(_COPY_FILE, parent=parent, folder=folder, name=name, target=target)
    template = _COPY_MOD if entry.is_mod else _COPY_FOLDER
    return shell.script(template, folder=folder, target=target)


def _about(entry: Before, bundle: Bundle | None) -> str:
    if bundle is None:
        return f"the mod {entry.source} of {EUGR}, as it is on the host: copies it to {entry.target}, runs {MOD_SCRIPT}"
    if entry.is_mod:
        where = f" of the registry {bundle.registry}" if bundle.registry else ""
        return f"the mod {entry.source}{where}: copies {bundle} to {entry.target} and runs {MOD_SCRIPT} there"
    return f"copies {entry.source} to {entry.target}: {bundle}"


def _titled(key: str, commands: Sequence[str], recipe: Recipe) -> tuple[Hook, ...]:
    spot = recipe.spots.get(key) or recipe.spots.get(f"runtime_config.{key}")
    count = len(commands)
    return tuple(
        Hook(_title(key, number, count, recipe.spots.get(f"{key}[{number}]") or spot), command)
        for number, command in enumerate(commands, 1)
    )


def _title(key: str, number: int, count: int, spot: Spot | None) -> str:
    place = f" ({spot.path.rpartition('/')[2]}:{spot.line})" if spot is not None else ""
    return f"{key} {number} of {count}{place}" if count > 1 else f"{key}{place}"


def _with_before(rank: RankPlan, before: tuple[Hook, ...], host: HostView) -> RankPlan:
    """The rank with its hooks; mods that lie on the host are seen in its container."""
    seen = tuple(
        Mount(f"{scripts_folder(host)}/{mod_path(hook.mod)}", hook_folder(number), read_only=True, make=False)
        for number, hook in enumerate(before, 1)
        if hook.mod
    )
    spec = rank.container
    return replace(rank, container=replace(spec, before=before, mounts=(*spec.mounts, *seen)))


def _fetched(before: Sequence[Hook], request: PlanRequest, plan: ServePlan) -> tuple[Stage, ...]:
    """A first stage that has eugr's mods on every host, where the containers are ours and need them."""
    mods = tuple(hook.mod for hook in before if hook.mod)
    return (mods_stage(request, mods),) if mods and plan.ranks else ()


def _patient(stage: Stage) -> Stage:
    return (
        stage
        if stage.wait is None
        else replace(stage, wait=replace(stage.wait, timeout=stage.wait.timeout + TIME_FOR_HOOKS))
    )


def _note(hook: Hook) -> str:
    key = hook.title.partition(" ")[0]
    does = hook.about or hook.command.replace("\n", " ⏎ ")
    return f"{hook.title}, {_WHERE[key]}: {does}"
