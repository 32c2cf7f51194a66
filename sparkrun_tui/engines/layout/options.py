"""The container options of a recipe (`executor_config`) put into the containers of a plan, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sparkrun_tui.base.numbers import MOST, decimal, whole
from sparkrun_tui.engines.layout.common import HF_HOME
from sparkrun_tui.engines.plan import ContainerSpec, HostView, Mount, PlanRequest, RankPlan, ServePlan
from sparkrun_tui.recipe.format.hooks import ContainerOptions, container_options
from sparkrun_tui.recipe.format.mounts import (
    Judgement,
    grave_mount,
    is_source,
    judge_source,
    on_host,
    split_volume,
)
from sparkrun_tui.recipe.model import Problem, Recipe, Severity, SourceKind

OTHER_HF_HOME = "/cache/huggingface"
"""Where the sparkrun CLI shows the Hugging Face cache inside containers; recipes written for it count on that."""

_SAYS_OTHER = re.compile(rf"(?<![\w.~-]){OTHER_HF_HOME}\b")
_PLAIN = re.compile(r"--?[a-z-]+ [\w./:,=+@~-]+")
_UNITS = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30}
_PROPAGATION = ("shared", "slave", "private", "rshared", "rslave", "rprivate")
_MOUNT_WORDS = frozenset({"ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated", *_PROPAGATION})
"""What Docker takes behind the second colon of a volume (docs.docker.com, `docker run --volume`)."""
_OUR_NETWORKS = ("", "host")


def with_options(plan: ServePlan, request: PlanRequest) -> ServePlan:
    """The plan with the recipe's container options in its containers, and the problems they make."""
    options = container_options(request.rendered.recipe)
    apart = options.network not in _OUR_NETWORKS
    ranks = []
    for rank, host in zip(plan.ranks, request.hosts, strict=True):
        spec = _apply(rank.container, options, host)
        if apart and rank.rank == 0:
            spec = replace(spec, publish=(plan.ready.port,))
        ranks.append(replace(rank, container=_seen_there_too(spec)))
    problems = (*plan.problems, *refusals(request), *_network(options, plan.ranks, request), *_user(options, plan))
    return replace(plan, ranks=tuple(ranks), problems=problems)


def size_bytes(text: str) -> int:
    """A size as Docker writes it (`64gb`, `512m`, `10.24gb`, a bare number of bytes) in bytes."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([kmg]?)i?b?", text.strip().lower())
    number = None if match is None else decimal(match[1])
    if match is None or number is None:
        raise ValueError(f"`{text[:60]}` is not a size")
    return int(number * _UNITS[match[2]])


def mount_of(volume: str, host: HostView) -> Mount:
    """A volume of a recipe as a mount; a leading `~` is the home on that host. Docker makes what is missing."""
    source, target, words = split_volume(volume)
    options = [word for word in words.split(",") if word in _MOUNT_WORDS and word != "rw"]
    read_only = "ro" in options
    others = ",".join(word for word in options if word != "ro")
    return Mount(on_host(source, host.home), target, read_only, make=False, options=others)


def docker_arguments(request: PlanRequest) -> tuple[list[str], tuple[Problem, ...]]:
    """The options as words for `docker run` of foreign scripts, which split them at blanks and quote nothing.

    What cannot go that way, or is the scripts' own choice, is a problem.
    """
    recipe, home = request.rendered.recipe, request.hosts[0].home
    options = container_options(recipe)
    words = [f"--shm-size {size_bytes(options.shm_size)}"] if options.shm_size else []
    words += [f"--ulimit {limit}" for limit in options.ulimits]
    words += [f"-v {_volume_on(volume, home)}" for volume in options.volumes]
    words += [f"--device {device}" for device in options.devices]
    words += [f"--cap-add {name}" for name in options.cap_add]
    words += [f"--user {options.user}"] if options.user else []
    problems = []
    for word in words:
        if _PLAIN.fullmatch(word) is None:
            message = f"`{word}` cannot be handed to the scripts that launch this recipe, and is left out"
            problems.append(_problem(recipe, Severity.WARNING, "executor-config", message))
    kept = {"network": options.network, "ipc": options.ipc, "entrypoint": " ".join(options.entrypoint or ())}
    for key, value in kept.items():
        if value not in ("", "host"):
            message = f"`executor_config.{key}` is the choice of the scripts that launch this recipe"
            problems.append(_problem(recipe, Severity.WARNING, "executor-config", message))
    return [word for word in words if _PLAIN.fullmatch(word)], tuple(problems)


def _volume_on(volume: str, home: str) -> str:
    source, colon, rest = volume.partition(":")
    return f"{on_host(source, home)}{colon}{rest}"


def refusals(request: PlanRequest) -> Iterator[Problem]:
    """What is wrong with the options: values, volumes, privileges, mounts that recipes from registries do not get."""
    recipe = request.rendered.recipe
    options = container_options(recipe)
    yield from options.problems
    yield from mount_problems(recipe, [host.home for host in request.hosts], privileged=request.privileged)
    if options.privileged and not request.privileged:
        message = "the recipe asks to run privileged, which is a setting of the cluster; it runs without"
        yield _problem(recipe, Severity.WARNING, "privileged", message, "set `privileged: true` for the cluster")


def mount_problems(recipe: Recipe, homes: Sequence[str] = ("",), *, privileged: bool = False) -> Iterator[Problem]:
    """What is wrong with the volumes of a recipe: their form, and what a stranger's recipe does not get unasked.

    `homes` are the homes on the hosts, empty where they are not known; `privileged` containers have the hosts anyway.
    """
    refused = recipe.source.kind is SourceKind.REGISTRY and not privileged
    for volume in container_options(recipe).volumes:
        source, _, words = split_volume(volume)
        unknown = [word for word in words.split(",") if word and word not in _MOUNT_WORDS]
        if unknown:
            message = f"the volume `{volume}` ends in `{unknown[0]}`, which is no option of a volume"
            yield _problem(recipe, Severity.ERROR, "volume-option", message, "one of ro, rw, z, Z, nocopy, rshared")
        if not is_source(source):
            message = f"the volume `{volume}` must begin with a whole path, with `~/`, or with a volume's name"
            yield _problem(recipe, Severity.ERROR, "volume-path", message)
        elif not recipe.source.foreign:
            continue
        elif refused and max(judge_source(source, home) for home in homes) is Judgement.REFUSED:
            message = f"a recipe from a registry may not mount {source} of the hosts, which gives them away"
            remedy = (
                "copy the recipe and remove the volume, or, if you trust its author, launch it anyway"
                " (L in the plan, --ignore host-mount)"
            )
            yield _problem(recipe, Severity.ERROR, "host-mount", message, remedy)
        elif grave_mount(volume):
            message = f"the recipe mounts {source} of the hosts, which is asked about before its first launch"
            yield _problem(recipe, Severity.WARNING, "host-mount", message)


def _user(options: ContainerOptions, plan: ServePlan) -> Iterator[Problem]:
    mods = any(hook.bundle or hook.mod for rank in plan.ranks[:1] for hook in rank.container.before)
    if mods and not is_root(options.user):
        message = f"copies and mods are made by the container's user {options.user}, who may not change what is root's"
        remedy = "leave `executor_config.user` out, or copy to where that user may write"
        yield _problem(plan.recipe, Severity.WARNING, "hook-user", message, remedy)


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
    spots = recipe.spots
    spot = spots.get("executor_config") or spots.get("runtime_config.executor_config")
    return Problem(severity, code, message, spot, remedy)


def _apply(spec: ContainerSpec, options: ContainerOptions, host: HostView) -> ContainerSpec:
    volumes = tuple(mount_of(volume, host) for volume in options.volumes)
    taken = {mount.target.rstrip("/") for mount in volumes}
    return replace(
        spec,
        shm_size=size_bytes(options.shm_size) if options.shm_size else spec.shm_size,
        ulimits={**spec.ulimits, **dict(map(_limit, options.ulimits))},
        user=options.user or spec.user,
        # Two mounts on one target are refused by Docker; the recipe's is the one its author wants.
        mounts=(*(m for m in spec.mounts if m.target not in taken and not _seen_to(m, spec)), *volumes),
        devices=tuple(dict.fromkeys((*spec.devices, *options.devices))),
        cap_add=tuple(dict.fromkeys((*spec.cap_add, *options.cap_add))),
        entrypoint=options.entrypoint or (),
        network=options.network or spec.network,
        ipc=options.ipc or spec.ipc,
    )


def _seen_to(mount: Mount, spec: ContainerSpec) -> bool:
    """Whether a hook sees to a cache of the engine itself: what is mounted could not be removed or linked elsewhere."""
    place = re.compile(rf"{re.escape(mount.target)}(?![\w.-])")
    return mount.make and mount.target != HF_HOME and any(place.search(hook.command) for hook in spec.before)


def _limit(text: str) -> tuple[str, int | tuple[int, int]]:
    name, _, values = text.partition("=")
    soft, _, hard = values.partition(":")
    limits = _one_limit(soft), _one_limit(hard or soft)
    return name, limits if limits[0] != limits[1] else limits[0]


def _one_limit(text: str) -> int:
    """One limit; -1 is none. Raises `ValueError`, which `recipe.hooks` has made sure of."""
    number = whole(text, least=-MOST)
    if number is None:
        raise ValueError(f"`{text[:60]}` is not a limit")
    return number


def _seen_there_too(spec: ContainerSpec) -> ContainerSpec:
    """The Hugging Face cache where the sparkrun CLI has it, for recipes that name that place.

    Users other than root cannot enter root's home in most images: for them it is the only place.
    """
    cache = next((mount for mount in spec.mounts if mount.target == HF_HOME), None)
    if cache is None or any(mount.target == OTHER_HF_HOME for mount in spec.mounts):
        return spec
    texts = (spec.script, *spec.env.values(), *(hook.command for hook in spec.before))
    if is_root(spec.user):
        if not any(_SAYS_OTHER.search(text) for text in texts):
            return spec
        return replace(spec, mounts=(*spec.mounts, replace(cache, target=OTHER_HF_HOME)))
    return replace(
        spec,
        mounts=tuple(replace(mount, target=OTHER_HF_HOME) if mount is cache else mount for mount in spec.mounts),
        script=spec.script.replace(HF_HOME, OTHER_HF_HOME),
        env={name: value.replace(HF_HOME, OTHER_HF_HOME) for name, value in spec.env.items()},
    )


def is_root(user: str) -> bool:
    """Whether a container's user is root, which it is when none is named."""
    return user.partition(":")[0] in ("", "root", "0")
