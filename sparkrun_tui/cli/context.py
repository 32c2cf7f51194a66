"""What most commands start with: settings, the chosen cluster, overrides, and the services that reach hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.settings import Cluster, Settings, load_settings
from sparkrun_tui.cli.completions import cluster_names, overrides
from sparkrun_tui.cli.gate import hide_overrides, hide_recipe

if TYPE_CHECKING:
    from sparkrun_tui.launch.services import Services
    from sparkrun_tui.launch.sizing import evaluation as judging
    from sparkrun_tui.recipe.model import Recipe

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """The hosts that a command is for, as given on the command line."""

    hosts: str = ""
    cluster: str = ""
    demo: bool = False


def target_options(function: F) -> F:
    """The options that choose hosts: `-H`, `--cluster` and `--demo`."""
    function = click.option(
        "--demo",
        is_flag=True,
        callback=_or_before_the_command,
        help="Use the built-in demo cluster, which needs no hardware.",
    )(function)
    function = click.option(
        "--cluster",
        "cluster_name",
        default="",
        callback=_or_before_the_command,
        shell_complete=cluster_names,
        metavar="NAME",
        help="Use this saved cluster.",
    )(function)
    return click.option(
        "-H",
        "--hosts",
        multiple=True,
        callback=_joined,
        metavar="H1,H2",
        help="Hosts as you name them to ssh; the first is the head node.",
    )(function)


def _or_before_the_command(ctx: click.Context, parameter: click.Parameter, value: object) -> object:
    """The value of an option that may also be given before the command; the one after the command wins."""
    return value or ctx.find_root().params.get(parameter.name or "") or value


def _joined(_: click.Context, __: click.Parameter, values: Sequence[str]) -> str:
    """Hosts given in one option or in several, as one list separated by commas."""
    return ",".join(values)


def override_options(function: F) -> F:
    """The options that override a recipe's defaults."""
    function = click.option(
        "-o",
        "--option",
        "options",
        multiple=True,
        metavar="KEY=VALUE",
        shell_complete=overrides,
        help="Override any default of the recipe.",
    )(function)
    function = click.option("--gpu-mem", default=None, metavar="F", help="Same as -o gpu_memory_utilization=F.")(
        function
    )
    function = click.option("--tp", default=None, metavar="N", help="Same as -o tensor_parallel=N.")(function)
    return click.option("--port", default=None, metavar="PORT", help="Same as -o port=PORT.")(function)


def overrides_from(options: Sequence[str], port: str | None, tp: str | None, gpu_mem: str | None) -> dict[str, str]:
    """The overrides by key. Raises `UsageError` when an option has no `=` or a key is given two values."""
    from sparkrun_tui.recipe.values.masking import shown_settings
    from sparkrun_tui.recipe.values.overrides import parse_assignment

    found: dict[str, str] = {}
    pairs = [parse_assignment(text) for text in options]
    short = (("port", port), ("tensor_parallel", tp), ("gpu_memory_utilization", gpu_mem))
    pairs += [(key, value) for key, value in short if value is not None]
    for key, value in pairs:
        hide_overrides({key: value})
        if found.get(key, value) != value:
            shown = shown_settings({key: found[key]}), shown_settings({key: value})
            raise UsageError(f"`{key}` is given twice: {shown[0][key]} and {shown[1][key]}")
        found[key] = value
    return found


def found_recipe(name: str, settings: Settings) -> Recipe:
    """The recipe with this name or path; its secrets are masked from now on. Raises `RecipeError`."""
    from sparkrun_tui.recipe.search.sources import find_recipe

    recipe = find_recipe(name, settings)
    hide_recipe(recipe)
    return recipe


def saved_cluster(settings: Settings, target: Target) -> Cluster | None:
    """The cluster that a command is for; None when none is named and none is saved.

    Raises `UsageError` for an unknown cluster or a wrong list of hosts.
    """
    if target.demo:
        return None
    found = settings.cluster(target.cluster)
    if found is None and target.cluster:
        known = ", ".join(cluster.name for cluster in settings.clusters) or "none"
        raise UsageError(f"there is no cluster `{target.cluster}`; saved clusters: {known}")
    if not target.hosts:
        return found
    names = tuple(part.strip() for part in target.hosts.split(",") if part.strip())
    if not names:
        raise UsageError("-H names no host")
    if len(set(names)) != len(names):
        raise UsageError("-H names a host twice")
    # With --cluster the hosts keep the settings of that cluster; without it they are a cluster of their own.
    if target.cluster and found is not None:
        return replace(found, hosts=names)
    return Cluster(name=",".join(names), hosts=names, source="command line")


def judged_for(settings: Settings, target: Target) -> judging.Target:
    """The hosts to estimate a recipe for, without contacting them: the cluster's, else as many Sparks as it needs."""
    from sparkrun_tui.launch.sizing.evaluation import Target as JudgedFor

    if target.demo:
        from sparkrun_tui.demo.cluster import demo_cluster

        return JudgedFor(demo_cluster())
    return JudgedFor(saved_cluster(settings, target))


def needed_cluster(settings: Settings, target: Target) -> Cluster:
    """The cluster that a command is for. Raises `UsageError` when there is none."""
    cluster = saved_cluster(settings, target)
    if cluster is None:
        raise UsageError(
            "no cluster is configured",
            remedy="Name hosts with -H host1,host2, save them with `sparkrun-tui cluster add`, or try --demo.",
        )
    return cluster


@asynccontextmanager
async def open_services(settings: Settings, target: Target) -> AsyncIterator[tuple[Cluster, Services]]:
    """The cluster and the services to reach it; the demo cluster ends with the context."""
    if target.demo:
        from sparkrun_tui.cli.exits import say
        from sparkrun_tui.demo.cluster import DemoCluster

        say("DEMO: two simulated DGX Sparks inside this process; no real host is contacted")
        async with DemoCluster() as demo:
            yield demo.cluster, demo.services
        return
    cluster = needed_cluster(settings, target)
    from sparkrun_tui.cli.prompts import asker
    from sparkrun_tui.launch.services import real_services

    services = real_services(asker())
    try:
        yield cluster, services
    finally:
        await services.close()


def settings_now() -> Settings:
    """The user's settings; entries that were ignored are named on stderr."""
    from sparkrun_tui.cli.exits import say

    settings = load_settings()
    hide_overrides(settings.defaults)
    notes = [*settings.notes]
    if settings.data_dirs:
        from sparkrun_tui.recipe.format.mounts import agreed_folders

        notes += agreed_folders(settings.data_dirs)[1]
    for note in notes:
        say(note)
    return settings
