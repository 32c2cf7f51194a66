"""The number of hosts of a launch, with the reason in words, and the check that the chosen hosts can hold the ranks."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.reading.numbers import whole_of
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.dumps import load_flags
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.image_version import version_in_tag
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.engines.settings import DEGREES
from sparkrun_tui.engines.settings import degrees as given_degrees
from sparkrun_tui.memory.settings import MAX_DEGREE
from sparkrun_tui.recipe.model import Mode, Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered


@dataclass(frozen=True, slots=True)
class HostCount:
    """The number of hosts of a launch, the reason, and `short`: how many hosts the recipe lacks."""

    count: int
    reason: str
    short: int = 0


def degrees(rendered: Rendered, family: Family | None) -> dict[str, int]:
    """Effective tensor, pipeline and data parallel degrees: those in the command that will run, else 1.

    Where the author's command lacks one, the recipe's value is used, since it still decides about hosts.
    """
    found = dict.fromkeys(DEGREES, 1)
    if family is None or rendered.command is not None:
        for name in DEGREES:
            number = whole_of(rendered.get(name), least=1, most=MAX_DEGREE)
            if number is not None:
                found[name] = number
    if family is not None:
        found |= given_degrees(read_arguments(serve_words(rendered, family), family), family)
    return found


def hosts_wanted(rendered: Rendered, family: Family | None, available: int, gpus_per_host: int = 1) -> HostCount:
    """The number of hosts for a launch on a cluster of `available` hosts, and the reason in words."""
    recipe = rendered.recipe
    if recipe.mode is Mode.SOLO:
        return HostCount(1, "the recipe is for one host")
    parts = degrees(rendered, family)
    hosts = math.ceil(math.prod(parts.values()) / max(1, gpus_per_host))
    named = _named(parts) or "tensor_parallel 1"
    reason = f"{named} on {gpus_per_host} GPU{'s' * (gpus_per_host != 1)} a host"
    if hosts < recipe.min_nodes:
        hosts, reason = recipe.min_nodes, f"the recipe needs at least {recipe.min_nodes} hosts"
    if recipe.max_nodes is not None and hosts > recipe.max_nodes:
        hosts, reason = recipe.max_nodes, f"{reason}, limited to the recipe's max_nodes {recipe.max_nodes}"
    if hosts > available:
        short = hosts - available
        return HostCount(max(1, available), f"{reason}, but the cluster has {available}", short)
    return HostCount(hosts, reason)


def host_count(rendered: Rendered, family: Family, available: int, gpus_per_host: int) -> tuple[int, str]:
    """How many of `available` hosts to use, and why: the parallel degrees by GPUs per host, limited to `available`.

    Raises `LaunchError` when there are fewer hosts than the recipe's `min_nodes`.
    """
    recipe = rendered.recipe
    if available < max(1, recipe.min_nodes):
        raise _too_few(recipe, available)
    found = hosts_wanted(rendered, family, available, gpus_per_host)
    return found.count, found.reason


def check_hosts(rendered: Rendered, family: Family, hosts: Sequence[HostView]) -> tuple[Problem, ...]:
    """The problems of this choice of hosts. Raises `LaunchError` when there are too few for `min_nodes`."""
    recipe = rendered.recipe
    if len(hosts) < max(1, recipe.min_nodes):
        raise _too_few(recipe, len(hosts))
    problems: list[Problem] = []
    if recipe.max_nodes is not None and len(hosts) > recipe.max_nodes:
        message = f"the recipe is for at most {_hosts(recipe.max_nodes)}, {len(hosts)} were chosen"
        problems.append(Problem(Severity.ERROR, "too-many-hosts", message, recipe.spots.get("max_nodes")))
    parts = degrees(rendered, family)
    needed = math.prod(parts.values())
    gpus = sum(host.gpus for host in hosts)
    if needed > gpus:
        have = f"{_hosts(len(hosts))} with {gpus} GPU{'s' * (gpus != 1)} in all"
        message = f"{_named(parts)} needs {needed} GPUs; chosen: {have}"
        spot = recipe.spots.get("defaults.tensor_parallel")
        remedy = f"choose more hosts, or lower tensor_parallel to {gpus}"
        problems.append(Problem(Severity.ERROR, "too-few-gpus", message, spot, remedy))
    return tuple(problems)


def joining_problems(rendered: Rendered, family: Family, image: str, flag: str) -> tuple[Problem, ...]:
    """A warning where the image is older than the flag by which the ranks on several hosts find each other."""
    recipe = rendered.recipe
    if not flag or recipe.min_nodes < 2:
        return ()
    version = version_in_tag(family, image)
    came = load_flags(family).history.came(flag)
    if came is None or not came.not_yet(version):
        return ()
    message = f"several hosts are joined by `{flag}`, which {family.title} {version} does not know yet"
    spot = recipe.spots.get("container") or recipe.spots.get("min_nodes")
    remedy = f"use an image with {family.title} {came.after} or newer, or connect the hosts by Ray: `runtime: vllm-ray`"
    return (Problem(Severity.WARNING, "joining-flag", message, spot, remedy),)


def _named(parts: Mapping[str, int]) -> str:
    """The degrees above 1 in words, such as `tensor_parallel 2 x data_parallel 2`; empty where there is none."""
    return " x ".join(f"{key} {value}" for key, value in parts.items() if value > 1)


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


def _too_few(recipe: Recipe, available: int) -> LaunchError:
    are = "are"
    if available == 1:
        are = "is"
    return LaunchError(
        f"{recipe.name} needs at least {_hosts(recipe.min_nodes)}, and there {are} {available}",
        spot=recipe.spots.get("min_nodes") or recipe.spots.get("mode"),
        remedy="choose a cluster with more hosts, or a recipe for fewer",
    )
