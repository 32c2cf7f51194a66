"""What most commands start with: settings, the chosen cluster, and the services that reach hosts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

import click

from sparkrun_tui.base.disk.files import read_text
from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster, Settings, check_hosts, load_settings
from sparkrun_tui.cli.completions import cluster_names
from sparkrun_tui.cli.gate import hide_overrides, hide_recipe

if TYPE_CHECKING:
    from sparkrun_tui.launch.services import Services
    from sparkrun_tui.launch.sizing import evaluation as judging
    from sparkrun_tui.recipe.model import Recipe

F = TypeVar("F", bound=Callable[..., Any])
_LISTED = "sparkrun_tui.hosts"
"""The key of `ctx.meta` that holds the hosts of `--hosts-file`."""


@dataclass(frozen=True, slots=True)
class Target:
    """The hosts that a command is for, as given on the command line."""

    hosts: str = ""
    cluster: str = ""
    demo: bool = False


def target_options(function: F) -> F:
    """The options that choose hosts: `-H`, `--hosts-file`, `--cluster` and `--demo`."""
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
    function = click.option(
        "--hosts-file",
        # The callback of --hosts takes its value.
        expose_value=False,
        is_eager=True,
        callback=_read_hosts,
        metavar="FILE",
        help="Hosts from a file, one a line; # begins a comment.",
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


def _read_hosts(ctx: click.Context, parameter: click.Parameter, path: str | None) -> None:
    """Keep the hosts that a file lists. Raises `BadParameter` for a file that cannot be read, or lists none."""
    if path is None:
        return
    try:
        lines = read_text(path).splitlines()
    except (OSError, ValueError) as error:
        raise click.BadParameter(f"cannot read {path}: {error}", ctx, parameter) from None
    hosts = [line.partition("#")[0].strip() for line in lines]
    ctx.meta[_LISTED] = [host for host in hosts if host]
    if not ctx.meta[_LISTED]:
        raise click.BadParameter(f"{path} lists no hosts", ctx, parameter)


def _joined(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> str:
    """Hosts given in one option or in several, or listed in a file, as one list separated by commas."""
    listed = ctx.meta.get(_LISTED, ())
    if values and listed:
        raise click.BadParameter("give the hosts by -H or by --hosts-file", ctx, parameter)
    return ",".join(values or listed)


def found_recipe(name: str, settings: Settings) -> Recipe:
    """The recipe with this name, path or address; its secrets are masked from now on.

    Raises `RecipeError`, and `UsageError` for an address that is not https.
    """
    recipe = _found(name, settings)
    hide_recipe(recipe)
    return recipe


def _found(name: str, settings: Settings) -> Recipe:
    if "://" in name or name.startswith("@"):
        from sparkrun_tui.launch.plan.web_recipes import any_recipe

        return any_recipe(name, settings)
    from sparkrun_tui.recipe.search.sources import find_recipe

    return find_recipe(name, settings)


def saved_cluster(settings: Settings, target: Target) -> Cluster | None:
    """The cluster that a command is for; None when none is named and none is saved.

    Raises `UsageError` for an unknown cluster, a wrong list of hosts, and several clusters without a default.
    """
    if target.demo:
        return None
    if not target.hosts:
        return settings.named_cluster(target.cluster)
    names = tuple(part.strip() for part in target.hosts.split(",") if part.strip())
    if not names:
        raise UsageError("-H names no host")
    check_hosts(names)
    # With --cluster the hosts keep the settings of that cluster; without it they are a cluster of their own.
    if target.cluster:
        found = settings.named_cluster(target.cluster)
        if found is not None:
            return replace(found, hosts=names)
    return Cluster(name=",".join(names), hosts=names, source="command line")


def judged_for(settings: Settings, target: Target) -> judging.Target:
    """The hosts to estimate a recipe for, without contacting them: the cluster's, else as many Sparks as it needs."""
    from sparkrun_tui.launch.sizing.evaluation import Target as JudgedFor

    if target.demo:
        from sparkrun_tui.demo.cluster import demo_cluster

        return JudgedFor(demo_cluster())
    nothing_chosen = not target.hosts and not target.cluster and not settings.default_cluster
    if nothing_chosen and len(settings.clusters) > 1:
        from sparkrun_tui.cli.exits import say

        say("no cluster is chosen, so DGX Sparks are assumed; --cluster NAME takes one of yours")
        return JudgedFor(None)
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
        from sparkrun_tui.recipe.names.mounts import agreed_folders

        notes += agreed_folders(settings.data_dirs)[1]
    for note in notes:
        say(note)
    return settings
