"""How many hosts a launch takes, with the reason in words, and whether the chosen hosts can hold the ranks."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.plan import HostView
from sparkrun_tui.recipe.format.topology import degrees
from sparkrun_tui.recipe.format.topology import host_count as topology_host_count
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered


def host_count(rendered: Rendered, available: int, gpus_per_host: int) -> tuple[int, str]:
    """How many of `available` hosts to use and why: the parallel sizes by GPUs per host, clipped to what there is.

    Raises `LaunchError` when there are fewer hosts than the recipe's `min_nodes`.
    """
    recipe = rendered.recipe
    if available < max(1, recipe.min_nodes):
        raise _too_few(recipe, available)
    found = topology_host_count(rendered, available, gpus_per_host)
    return found.count, found.reason


def check_hosts(rendered: Rendered, hosts: Sequence[HostView]) -> tuple[Problem, ...]:
    """What is wrong with this choice of hosts. Raises `LaunchError` when there are too few for `min_nodes`."""
    recipe = rendered.recipe
    if len(hosts) < max(1, recipe.min_nodes):
        raise _too_few(recipe, len(hosts))
    problems: list[Problem] = []
    if recipe.max_nodes is not None and len(hosts) > recipe.max_nodes:
        message = f"the recipe is for at most {_hosts(recipe.max_nodes)}, {len(hosts)} were chosen"
        problems.append(Problem(Severity.ERROR, "too-many-hosts", message, recipe.spots.get("max_nodes")))
    needed = 1
    parts = degrees(rendered)
    for degree in parts.values():
        needed *= degree
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
