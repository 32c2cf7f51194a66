"""Applies a recipe's container options (`executor_config`) to the containers of a plan, and checks them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sparkrun_tui.base.reading.numbers import MOST, whole
from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.base.text import shorten
from sparkrun_tui.engines.layout.caches import HF_HOME
from sparkrun_tui.engines.layout.common import RUN_DIR, model_mounts
from sparkrun_tui.engines.plan import ContainerSpec, HostView, Mount, PlanRequest, RankPlan, ServePlan
from sparkrun_tui.recipe.format.hooks import ContainerOptions, container_options, model_on_hosts, size_bytes
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS, exposes_host
from sparkrun_tui.recipe.names.mounts import (
    Judgement,
    is_below,
    is_risky_mount,
    is_source,
    judge_source,
    normal_path,
    on_host,
    split_volume,
)
from sparkrun_tui.recipe.values.launch_keys import RESTART

OTHER_HF_HOME = CACHE_TARGETS[1]
"""Where the sparkrun CLI mounts the Hugging Face cache in containers; recipes written for it rely on that."""

_SAYS_OTHER = late_regex(rf"(?<![\w.~-]){OTHER_HF_HOME}\b")
_PLAIN = late_regex(r"--?[a-z-]+ [\w./:,=+@~-]+")
_PROPAGATION = ("shared", "slave", "private", "rshared", "rslave", "rprivate")
_MOUNT_WORDS = frozenset({"ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated", *_PROPAGATION})
"""The words that Docker accepts after the second colon of a volume (docs.docker.com, `docker run --volume`)."""
_OUR_NETWORKS = ("", "host")


def with_options(plan: ServePlan, request: PlanRequest) -> ServePlan:
    """The plan with the recipe's container options in its containers, and with the problems of these options."""
    options = container_options(request.rendered.recipe)
    apart = options.network not in _OUR_NETWORKS
    ranks = []
    for rank, host in zip(plan.ranks, request.hosts, strict=True):
        spec = _apply(rank.container, options, host)
        if apart and rank.rank == 0:
            spec = replace(spec, publish=(plan.ready.port,))
        ranks.append(replace(rank, container=_with_other_cache_path(spec)))
    problems = (*plan.problems, *refusals(request), *_network(options, plan.ranks, request), *_user(options, plan))
    plan = replace(plan, ranks=tuple(ranks), problems=problems)
    if not options.restart_policy:
        return plan
    return _with_restarts(plan, options.restart_policy, request)


def _with_restarts(plan: ServePlan, policy: str, request: PlanRequest) -> ServePlan:
    """The plan with Docker restarting its container, where that gives the same server again."""
    recipe = request.rendered.recipe
    reason = ""
    if len(plan.ranks) != 1:
        reason = "a container that is restarted alone does not find the other hosts again"
    elif plan.ranks[0].container.secret_env:
        reason = "secrets are given to a container once, and a restarted one would lack them"
    elif any(stage.execs for stage in plan.stages):
        reason = "the engine is started inside the container, which a restart does not repeat"
    if reason:
        message = f"`executor_config.restart_policy: {policy}` is not set: {reason}"
        severity, remedy = Severity.WARNING, ""
        if RESTART in request.rendered.overrides:
            # Who asks for it for this launch would find it gone after a restart of the host.
            message = f"the launch cannot be kept over a restart of its host: {reason}"
            severity, remedy = Severity.ERROR, "launch it without --keep"
        problem = _problem(recipe, severity, "restart-policy", message, remedy)
        return replace(plan, problems=(*plan.problems, problem))
    rank = plan.ranks[0]
    rank = replace(rank, container=replace(rank.container, restart=policy))
    note = f"Docker restarts the container by itself once it has served ({policy}); `stop` ends that"
    if rank.container.before:
        note += "; what runs before the engine runs again each time"
    return replace(plan, ranks=(rank,), notes=(*plan.notes, note))


def mount_of(volume: str, host: HostView) -> Mount:
    """A volume of a recipe as a mount; a leading `~` is the home on that host. Docker creates a missing folder."""
    source, target, words = split_volume(volume)
    read_only = False
    options = []
    for word in words.split(","):
        if word == "ro":
            read_only = True
        elif word in _MOUNT_WORDS and word != "rw":
            options.append(word)
    return Mount(on_host(source, host.home), target, read_only, make=False, options=",".join(options))


def docker_arguments(request: PlanRequest) -> tuple[list[str], tuple[Problem, ...]]:
    """The options as words for another project's `docker run`, which splits them at blanks and removes no quotes.

    What cannot be passed that way, or is decided by those scripts, is a problem.
    """
    recipe, home = request.rendered.recipe, request.hosts[0].home
    options = container_options(recipe)
    wanted = []
    if options.shm_size:
        wanted.append(f"--shm-size {size_bytes(options.shm_size)}")
    wanted += [f"--ulimit {limit}" for limit in options.ulimits]
    wanted += [f"-v {_volume_on(volume, home)}" for volume in options.volumes]
    wanted += [f"-v {m.source}:{m.target}{m.suffix}" for m in model_mounts(request, request.hosts[0])]
    wanted += [f"--device {device}" for device in options.devices]
    wanted += [f"--cap-add {name}" for name in options.cap_add]
    if options.user:
        wanted.append(f"--user {options.user}")
    if options.memory_limit:
        wanted.append(f"--memory {size_bytes(options.memory_limit)}")
    wanted += [f"--security-opt {option}" for option in options.security_opt]
    wanted += [f"--label {label}" for label in options.labels]
    words = []
    problems = []
    for word in wanted:
        if _PLAIN.fullmatch(word):
            words.append(word)
            continue
        message = f"`{word}` cannot be passed to the scripts that launch this recipe, and is left out"
        problems.append(_problem(recipe, Severity.WARNING, "executor-config", message))
    decided_by_scripts = {
        "network": options.network,
        "ipc": options.ipc,
        "restart_policy": options.restart_policy,
        "entrypoint": " ".join(options.entrypoint or ()),
    }
    for key, value in decided_by_scripts.items():
        if value in ("", "host"):
            continue
        message = f"`executor_config.{key}` is ignored: the scripts that launch this recipe decide it"
        severity = Severity.WARNING
        if key == RESTART and RESTART in request.rendered.overrides:
            message = "the launch cannot be kept over a restart of its host: eugr's scripts decide about its container"
            severity = Severity.ERROR
        problems.append(_problem(recipe, severity, "executor-config", message))
    return words, tuple(problems)


def _volume_on(volume: str, home: str) -> str:
    source, colon, rest = volume.partition(":")
    return f"{on_host(source, home)}{colon}{rest}"


def refusals(request: PlanRequest) -> Iterator[Problem]:
    """Problems with the options: values, volumes, privileges, and mounts that registry recipes may not have."""
    recipe = request.rendered.recipe
    options = container_options(recipe)
    yield from options.problems
    yield from mount_problems(recipe, [host.home for host in request.hosts], privileged=request.privileged)
    if options.privileged and not request.privileged:
        message = "the recipe asks to run privileged, which only the cluster's settings can allow: it runs without"
        yield _problem(recipe, Severity.WARNING, "privileged", message, "set `privileged: true` for the cluster")


def mount_problems(recipe: Recipe, homes: Sequence[str] = ("",), *, privileged: bool = False) -> Iterator[Problem]:
    """Problems with the volumes of a recipe: their form, and mounts that recipes by others get only with consent.

    `homes` are the homes on the hosts, empty where they are not known. Containers that are `privileged` have full
    access to the hosts anyway, so no mount is refused to them.
    """
    yield from _model_problems(recipe, homes)
    refused = recipe.source.from_elsewhere and not privileged
    for volume in container_options(recipe).volumes:
        source, target, words = split_volume(volume)
        place = normal_path(target)
        if is_below(place, [RUN_DIR]) or RUN_DIR.startswith(f"{place.rstrip('/')}/"):
            message = f"the volume `{volume}` covers {RUN_DIR}, where a container finds its script and its secrets"
            yield _problem(recipe, Severity.ERROR, "volume-target", message, "mount it at another path")
        unknown = [word for word in words.split(",") if word and word not in _MOUNT_WORDS]
        if unknown:
            message = f"the volume `{volume}` ends in `{unknown[0]}`, which is not an option of a volume"
            yield _problem(recipe, Severity.ERROR, "volume-option", message, "use ro, rw, z, Z, nocopy or rshared")
        if not is_source(source):
            message = f"the volume `{volume}` must begin with an absolute path, with `~/`, or with a volume's name"
            yield _problem(recipe, Severity.ERROR, "volume-path", message)
            continue
        if not recipe.source.foreign:
            continue
        if refused and max(judge_source(source, home) for home in homes) is Judgement.REFUSED:
            message = f"a recipe from elsewhere may not mount {source} of the hosts: that gives control over them"
            remedy = (
                "copy the recipe and remove the volume, or, if you trust its author, launch it anyway"
                " (L in the plan, --ignore host-mount)"
            )
            yield _problem(recipe, Severity.ERROR, "host-mount", message, remedy)
        elif is_risky_mount(volume):
            message = f"the recipe mounts {source} of the hosts; you are asked for consent before its first launch"
            yield _problem(recipe, Severity.WARNING, "host-mount", message)


def _model_problems(recipe: Recipe, homes: Sequence[str]) -> Iterator[Problem]:
    """Problems with the mount of a model that lies on a path of the hosts."""
    model = model_on_hosts(recipe)
    if model is None:
        return
    spot = recipe.spots.get("model")
    for home in homes:
        place = exposes_host(model, recipe.source.foreign, home)
        if place:
            message = f"{place} of the hosts is never mounted as a model: it would expose the host, or its users' files"
            remedy = "keep models in a folder of their own, such as /srv/models/NAME or ~/models/NAME"
            yield Problem(Severity.ERROR, "model-path", message, spot, remedy)
            return
    if recipe.source.foreign and any(is_risky_mount(volume) for volume in model.volumes):
        message = f"the recipe mounts {model.path} of the hosts; you are asked for consent before its first launch"
        yield Problem(Severity.WARNING, "host-mount", message, spot)


def _user(options: ContainerOptions, plan: ServePlan) -> Iterator[Problem]:
    if is_root(options.user) or not plan.ranks:
        return
    for hook in plan.ranks[0].container.before:
        if hook.bundle is None and not hook.mod:
            continue
        message = f"copies and mods run as the container's user {options.user}, who cannot change root's files"
        remedy = "leave `executor_config.user` out, or copy to a folder that this user can write to"
        yield _problem(plan.recipe, Severity.WARNING, "hook-user", message, remedy)
        return


def _network(options: ContainerOptions, ranks: Sequence[RankPlan], request: PlanRequest) -> Iterator[Problem]:
    recipe = request.rendered.recipe
    if options.network in _OUR_NETWORKS:
        return
    if options.network == "none" or options.network.startswith("container:"):
        message = f"on the network `{options.network}` the server cannot be reached from its host"
        yield _problem(recipe, Severity.ERROR, "container-network", message, "use `host` or `bridge`")
    elif len(ranks) > 1:
        message = f"over several hosts the ranks need the hosts' own network, not `{options.network}`"
        yield _problem(recipe, Severity.ERROR, "container-network", message, "use `network: host`")


def _problem(recipe: Recipe, severity: Severity, code: str, message: str, remedy: str = "") -> Problem:
    return Problem(severity, code, message, recipe.place_of("executor_config"), remedy)


def _apply(spec: ContainerSpec, options: ContainerOptions, host: HostView) -> ContainerSpec:
    """The container with the recipe's options, which override or extend its own."""
    volumes = [mount_of(volume, host) for volume in options.volumes]
    taken = {mount.target.rstrip("/") for mount in volumes}
    # Docker refuses two mounts on one target, so the recipe's mount replaces the container's own.
    mounts = []
    for mount in spec.mounts:
        if mount.target not in taken and not _used_by_hook(mount, spec):
            mounts.append(mount)
    shm_size = spec.shm_size
    if options.shm_size:
        shm_size = size_bytes(options.shm_size)
    ulimits = dict(spec.ulimits)
    for text in options.ulimits:
        name, limit = _limit(text)
        ulimits[name] = limit
    return replace(
        spec,
        shm_size=shm_size,
        ulimits=ulimits,
        user=options.user or spec.user,
        mounts=(*mounts, *volumes),
        devices=tuple(dict.fromkeys((*spec.devices, *options.devices))),
        cap_add=tuple(dict.fromkeys((*spec.cap_add, *options.cap_add))),
        entrypoint=options.entrypoint or (),
        network=options.network or spec.network,
        ipc=_ipc(options, spec),
        memory=size_bytes(options.memory_limit) if options.memory_limit else 0,
        security_opt=options.security_opt,
        labels={**spec.labels, **_labels(options)},
    )


def _ipc(options: ContainerOptions, spec: ContainerSpec) -> str:
    """The shared memory that a container sees: its own where it does not run as root and the recipe does not say.

    systemd-logind removes what a user other than root has in the host's /dev/shm once the user's last SSH session ends
    (RemoveIPC in logind.conf), also under a server that runs. `--ipc host` would put the engine's semaphores there.
    """
    if options.ipc:
        return options.ipc
    if is_root(options.user):
        return spec.ipc
    return "private"


def _labels(options: ContainerOptions) -> dict[str, str]:
    found = {}
    for label in options.labels:
        name, _, value = label.partition("=")
        found[name] = value
    return found


def _used_by_hook(mount: Mount, spec: ContainerSpec) -> bool:
    """Whether a hook names the folder of an engine's cache.

    Such a hook may remove the folder or link it elsewhere, which fails on a mount.
    """
    if not mount.make or mount.target == HF_HOME:
        return False
    place = re.compile(rf"{re.escape(mount.target)}(?![\w.-])")
    return any(place.search(hook.command) for hook in spec.before)


def _limit(text: str) -> tuple[str, int | tuple[int, int]]:
    """The name and the value of a limit such as `nofile=1024` or `nofile=1024:4096` (soft and hard)."""
    name, _, values = text.partition("=")
    soft_text, _, hard_text = values.partition(":")
    soft = _one_limit(soft_text)
    if not hard_text:
        return name, soft
    hard = _one_limit(hard_text)
    if hard == soft:
        return name, soft
    return name, (soft, hard)


def _one_limit(text: str) -> int:
    """One limit; -1 is none. Raises `ValueError` for another text, which the reading of recipes has excluded."""
    number = whole(text, least=-MOST)
    if number is None:
        raise ValueError(f"`{shorten(text, 60)}` is not a limit")
    return number


def _with_other_cache_path(spec: ContainerSpec) -> ContainerSpec:
    """The container with the Hugging Face cache where the sparkrun CLI mounts it, for recipes that name that path.

    Users other than root cannot enter root's home in most images, so for them it is mounted only there.
    """
    cache = None
    for mount in spec.mounts:
        if mount.target == OTHER_HF_HOME:
            return spec
        if cache is None and mount.target == HF_HOME:
            cache = mount
    if cache is None:
        return spec
    moved = replace(cache, target=OTHER_HF_HOME)
    if is_root(spec.user):
        if not _names_other_path(spec):
            return spec
        return replace(spec, mounts=(*spec.mounts, moved))
    mounts = list(spec.mounts)
    mounts[mounts.index(cache)] = moved
    env = {name: value.replace(HF_HOME, OTHER_HF_HOME) for name, value in spec.env.items()}
    script = spec.script.replace(HF_HOME, OTHER_HF_HOME)
    return replace(spec, mounts=tuple(mounts), script=script, env=env)


def _names_other_path(spec: ContainerSpec) -> bool:
    """Whether the script, a variable or a hook of the container names `OTHER_HF_HOME`."""
    texts = [spec.script, *spec.env.values()]
    for hook in spec.before:
        texts.append(hook.command)
    return any(_SAYS_OTHER.search(text) for text in texts)


def is_root(user: str) -> bool:
    """Whether a container's user is root, which is the default where none is named."""
    return user.partition(":")[0] in ("", "root", "0")
