"""Adds the recipe's hooks, mods and copies to a plan, and extends the waits of its stages for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import Spot
from sparkrun_tui.engines.eugr.scripts import mod_path, mods_stage, scripts_folder
from sparkrun_tui.engines.layout.caches import HF_HOME, RUNTIME_CACHE
from sparkrun_tui.engines.layout.common import container_name, hook_folder
from sparkrun_tui.engines.layout.hook_env import hook_env
from sparkrun_tui.engines.plan import Hook, HostView, Mount, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.recipe.bundled_files.attachments import MOD_SCRIPT, Bundle
from sparkrun_tui.recipe.format.hooks import Timed, hooks_of, time_text
from sparkrun_tui.recipe.format.pre_exec import Before
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.registry.checkouts import EUGR

TIME_FOR_HOOKS = 1800.0
"""Seconds added to the wait of a stage whose containers run hooks first: hooks may install packages."""

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
    """The plan with the recipe's hooks, which run before the script of each container and once it serves.

    `container` names the head node's container where other scripts create it.
    """
    recipe = request.rendered.recipe
    name = container or container_name(request.launch_id, 0)

    def on(hook: Hook, rank: int | None, place: str) -> Hook:
        key = hook.title.partition(" ")[0]
        cache = _runtime_cache(plan, rank or 0)
        env = hook_env(request, key, plan.ready, rank=rank, container=place, cache=cache)
        return replace(hook, env=env)

    found = hooks_of(request.rendered, launch_values(request, plan.ready, name))
    before = before_hooks(request, found.before, _in_container)
    after = tuple(on(hook, 0, name) for hook in _titled("post_exec", found.after, recipe))
    host_after = tuple(on(hook, None, "") for hook in _titled("post_commands", found.host_after, recipe))
    ranks = []
    for rank, host in zip(plan.ranks, request.hosts, strict=False):
        own = tuple(on(hook, rank.rank, rank.container.name) for hook in before)
        ranks.append(_with_before(rank, own, host))
    stages = plan.stages
    if before:
        stages = tuple(map(_patient, stages))
    notes = [*plan.notes, *map(_note, (*before, *after, *host_after))]
    if found.stops:
        notes.append("stop_after_post: the workload is stopped once these have succeeded; keep this program running")
    return replace(
        plan,
        ranks=tuple(ranks),
        stages=(*_fetched(before, request, plan), *stages),
        after=after,
        host_after=host_after,
        stop_after=found.stops,
        notes=tuple(notes),
        problems=(*plan.problems, *found.problems),
    )


def _runtime_cache(plan: ServePlan, rank: int) -> str:
    """The folder of a rank's host that is mounted as the runtime cache; empty where none is."""
    for found in plan.ranks:
        if found.rank != rank:
            continue
        for mount in found.container.mounts:
            if mount.target == RUNTIME_CACHE:
                return mount.source
    return ""


def launch_values(request: PlanRequest, ready: ReadyCheck, container: str) -> Mapping[str, str]:
    """The values that only a launch knows, by their placeholder names in `post_exec` and `post_commands`."""
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
    """The hooks that run in every container before the engine; copies that cannot be made are left out.

    `folder` gives the folder of a hook's files in the container, from its number (from 1), as text for a shell.
    """
    hooks: list[Hook] = []
    totals = Counter(entry.key for entry in entries)
    seen: Counter[str] = Counter()
    for entry in entries:
        seen[entry.key] += 1
        bundle = request.attachments.bundles.get(entry)
        title = _title(entry.key, seen[entry.key], totals[entry.key], entry.spot)
        if not entry.source:
            hooks.append(Hook(title, entry.command, timeout=entry.timeout))
            continue
        on_the_host = entry in request.attachments.left
        if bundle is None and not on_the_host:
            continue
        command = _copy_command(entry, bundle, folder(len(hooks) + 1))
        mod = ""
        if bundle is None:
            mod = entry.source
        hooks.append(Hook(title, command, bundle, mod, _about(entry, bundle)))
    return tuple(hooks)


def _in_container(number: int) -> shell.Text:
    return shell.word(hook_folder(number))


def _copy_command(entry: Before, bundle: Bundle | None, folder: shell.Text) -> shell.Text:
    """The command that copies the files to their target, and runs a mod's script there, as eugr's scripts do."""
    target = entry.target
    if bundle is not None and bundle.alone:
        (name,) = bundle.names
        parent = target
        if not target.endswith("/"):
            parent = target.rpartition("/")[0] or "/"
        return shell.script(_COPY_FILE, parent=parent, folder=folder, name=name, target=target)
    if entry.is_mod:
        return shell.script(_COPY_MOD, folder=folder, target=target)
    return shell.script(_COPY_FOLDER, folder=folder, target=target)


def _about(entry: Before, bundle: Bundle | None) -> str:
    if bundle is None:
        return f"the mod {entry.source} of {EUGR}, as it is on the host: copies it to {entry.target}, runs {MOD_SCRIPT}"
    if not entry.is_mod:
        return f"copies {entry.source} to {entry.target}: {bundle}"
    where = ""
    if bundle.registry:
        where = f" of the registry {bundle.registry}"
    return f"the mod {entry.source}{where}: copies {bundle} to {entry.target} and runs {MOD_SCRIPT} there"


def _titled(key: str, commands: Sequence[Timed], recipe: Recipe) -> tuple[Hook, ...]:
    of_all = recipe.place_of(key)
    hooks = []
    for number, timed in enumerate(commands, 1):
        spot = recipe.spots.get(f"{key}[{number}]") or of_all
        hooks.append(Hook(_title(key, number, len(commands), spot), timed.command, timeout=timed.timeout))
    return tuple(hooks)


def _title(key: str, number: int, count: int, spot: Spot | None) -> str:
    title = key
    if count > 1:
        title += f" {number} of {count}"
    if spot is not None:
        title += f" ({spot.path.rpartition('/')[2]}:{spot.line})"
    return title


def _with_before(rank: RankPlan, before: tuple[Hook, ...], host: HostView) -> RankPlan:
    """The rank with its hooks, and with the host's mods mounted in its container."""
    mounts = list(rank.container.mounts)
    for number, hook in enumerate(before, 1):
        if hook.mod:
            source = f"{scripts_folder(host)}/{mod_path(hook.mod)}"
            mounts.append(Mount(source, hook_folder(number), read_only=True, make=False))
    return replace(rank, container=replace(rank.container, before=before, mounts=tuple(mounts)))


def _fetched(before: Sequence[Hook], request: PlanRequest, plan: ServePlan) -> tuple[Stage, ...]:
    """A first stage that fetches eugr's mods to every host, where the plan has ranks and they need them."""
    mods = tuple(hook.mod for hook in before if hook.mod)
    if not mods or not plan.ranks:
        return ()
    return (mods_stage(request, mods),)


def _patient(stage: Stage) -> Stage:
    """The stage with a wait that leaves time for hooks."""
    if stage.wait is None:
        return stage
    return replace(stage, wait=replace(stage.wait, timeout=stage.wait.timeout + TIME_FOR_HOOKS))


def _note(hook: Hook) -> str:
    key = hook.title.partition(" ")[0]
    does = hook.about or hook.command.replace("\n", " ⏎ ")
    limit = time_text(hook.timeout)
    return f"{hook.title}, {_WHERE[key]}{limit}: {does}"
