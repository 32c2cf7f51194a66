"""How many hosts a launch takes, with the reason in words, and whether the chosen hosts can hold the ranks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.numbers import whole_of
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.engines.settings import DEGREES
from sparkrun_tui.engines.settings import degrees as given_degrees
from sparkrun_tui.memory.settings import MAX_DEGREE
from sparkrun_tui.recipe.model import Mode, Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered


@dataclass(frozen=True, slots=True)
class HostCount:
    """How many hosts a launch takes, why, and `short`: how many more the recipe would want than there are."""

    count: int
    reason: str
    short: int = 0


def degrees(rendered: Rendered, family: Family | None) -> dict[str, int]:
    """Tensor, pipeline and data parallel degrees in force: what the command that will run says, else 1.

    Where the author's command does not say one, the recipe's value holds: it decides about hosts all the same.
    """
    found = dict.fromkeys(DEGREES, 1)
    if family is None or rendered.command is not None:
        for name in DEGREES:
            number = whole_of(rendered.get(name), least=1, most=MAX_DEGREE)
            found[name] = number if number is not None else 1
    if family is not None:
        found |= given_degrees(read_arguments(serve_words(rendered, family), family))
    return found


def hosts_wanted(rendered: Rendered, family: Family | None, available: int, gpus_per_host: int = 1) -> HostCount:
    """The number of hosts for a launch on a cluster of `available` hosts, and the reason in words."""
    recipe = rendered.recipe
    if recipe.mode is Mode.SOLO:
        return HostCount(1, "the recipe is for one host")
    parts = degrees(rendered, family)
    hosts = -(-math.prod(parts.values()) // max(1, gpus_per_host))
    named = " x ".join(f"{key} {value}" for key, value in parts.items() if value > 1) or "tensor_parallel 1"
    reason = f"{named} on {gpus_per_host} GPU{'s' * (gpus_per_host != 1)} a host"
    if hosts < recipe.min_nodes:
        hosts, reason = recipe.min_nodes, f"the recipe needs at least {recipe.min_nodes} hosts"
    if recipe.max_nodes is not None and hosts > recipe.max_nodes:
        hosts, reason = recipe.max_nodes, f"{reason}, clipped to the recipe's max_nodes {recipe.max_nodes}"
    if hosts > available:
        short = hosts - available
        return HostCount(max(1, available), f"{reason}, but the cluster has {available}", short)
    return HostCount(hosts, reason)


def host_count(rendered: Rendered, family: Family, available: int, gpus_per_host: int) -> tuple[int, str]:
    """How many of `available` hosts to use and why: the parallel sizes by GPUs per host, clipped to what there is.

    Raises `LaunchError` when there are fewer hosts than the recipe's `min_nodes`.
    """
    recipe = rendered.recipe
    if available < max(1, recipe.min_nodes):
        raise _too_few(recipe, available)
    found = hosts_wanted(rendered, family, available, gpus_per_host)
    return found.count, found.reason


def check_hosts(rendered: Rendered, family: Family, hosts: Sequence[HostView]) -> tuple[Problem, ...]:
    """What is wrong with this choice of hosts. Raises `LaunchError` when there are too few for `min_nodes`."""
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
        named = " x ".join(f"{key} {value}" for key, value in parts.items() if value > 1)
        have = f"{_hosts(len(hosts))} with {gpus} GPU{'s' * (gpus != 1)} in all"
        problems.append(
            Problem(
                Severity.ERROR,
                "too-few-gpus",
                f"{named} needs {needed} GPUs; chosen: {have}",
                recipe.spots.get("defaults.tensor_parallel"),
                remedy=f"choose more hosts, or lower tensor_parallel to {gpus}",
            )
        )
    return tuple(problems)


def _hosts(count: int) -> str:
    return f"{count} host{'s' * (count != 1)}"


def _too_few(recipe: Recipe, available: int) -> LaunchError:
    return LaunchError(
        f"{recipe.name} needs at least {_hosts(recipe.min_nodes)}, and there {'is' if available == 1 else 'are'} "
        f"{available}",
        spot=recipe.spots.get("min_nodes") or recipe.spots.get("mode"),
        remedy="choose a cluster with more hosts, or a recipe for fewer",
    )
