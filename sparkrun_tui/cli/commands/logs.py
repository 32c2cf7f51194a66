"""`logs`: the logs of a workload, from its hosts or, once its containers are gone, from the journal."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import HostError, UsageError
from sparkrun_tui.cli.context import Target, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, report, say
from sparkrun_tui.cli.gate import gate

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Cluster, Settings
    from sparkrun_tui.fleet.model import FleetView, Workload, WorkloadRank
    from sparkrun_tui.launch.record.journal import PastLaunch
    from sparkrun_tui.launch.services import Services


@click.command("logs")
@click.argument("name")
@target_options
@click.option("-f", "--follow", is_flag=True, help="Keep printing until it ends; ctrl+c leaves it running.")
@click.option("--host", "only", default="", metavar="HOST", help="Print the log of this host only.")
@click.option(
    "--tail", default=None, metavar="N", type=click.IntRange(0), help="Print only the last N lines of each host."
)
@click.option("--json", "as_json", is_flag=True, help="Print each line as a JSON object.")
def logs_command(
    name: str, hosts: str, cluster_name: str, demo: bool, follow: bool, only: str, tail: int | None, as_json: bool
) -> int:
    """Print the logs of the workload NAME (a launch id or a recipe).

    Once its containers are gone, the logs kept on this machine are printed.
    """
    from sparkrun_tui.cli.commands.workloads import surveyed

    settings = settings_now()
    past = None if follow else _past(name)
    target = Target(hosts, cluster_name, demo)
    names_hosts = bool(hosts or cluster_name or demo)
    if past is not None and not names_hosts and settings.cluster() is None:
        return _print_past(past, only, tail, as_json)

    async def work() -> Exit:
        from sparkrun_tui.fleet.choose import matching

        async with surveyed(settings, target) as (cluster, services, view):
            if past is not None and not matching(view, name):
                return _print_past(past, only, tail, as_json)
            return await _live(settings, cluster, services, view, name, follow, only, tail, as_json)

    return asyncio.run(work())


def _past(name: str) -> PastLaunch | None:
    """The newest launch with that id or recipe whose journal is on this machine."""
    from sparkrun_tui.launch.record.journal import past_launches

    for past in past_launches():
        if past.state.launch_id.startswith(name) or past.state.recipe == name:
            return past
    return None


def _print_past(past: PastLaunch, only: str, tail: int | None, as_json: bool) -> Exit:
    from sparkrun_tui.cli.following import print_line
    from sparkrun_tui.launch.record.journal import log_lines, read_log
    from sparkrun_tui.launch.record.narration import diagnosis_lines

    state = past.state
    _check_host(only, tuple(state.hosts))
    say(f"logs of launch {state.launch_id} of {state.recipe} kept on this machine (last known state: {state.status})")
    chosen = [only] if only else list(state.hosts)
    for host in chosen:
        kept = log_lines(past.folder, host) if tail is None else read_log(past.folder, host, tail)
        for line in kept:
            print_line(host, line, prefixed=len(chosen) > 1, as_json=as_json)
    if state.diagnosis is not None:
        for text in diagnosis_lines(state.diagnosis):
            say(text)
    return Exit.OK


def _check_host(only: str, hosts: tuple[str, ...]) -> None:
    if only and only not in hosts:
        raise UsageError(f"the workload has no rank on `{only}`", remedy=f"Its hosts: {', '.join(hosts)}")


async def _live(
    settings: Settings,
    cluster: Cluster,
    services: Services,
    view: FleetView,
    name: str,
    follow: bool,
    only: str,
    tail: int | None,
    as_json: bool,
) -> Exit:
    from sparkrun_tui.cli.commands.workloads import chosen_workload
    from sparkrun_tui.fleet.choose import unseen_ranks
    from sparkrun_tui.fleet.model import Health
    from sparkrun_tui.launch.run.given_secrets import secrets_of_recipe_called

    item = await chosen_workload(view, name)
    _check_host(only, tuple(rank.host for rank in item.ranks))
    if follow and item.ours and item.health is not Health.EXITED:
        return await _follow(settings, cluster, services, item, only, tail, as_json)
    gate().hide(await asyncio.to_thread(secrets_of_recipe_called, item.recipe, settings))
    ranks = [rank for rank in item.ranks if only in ("", rank.host)]
    worst = Exit.OK
    for rank in ranks:
        code = await _print_rank(services, rank, tail, len(ranks) > 1, as_json)
        worst = max(worst, code)
    unseen = unseen_ranks(view, item)
    if unseen and not only:
        say(f"the log of {', '.join(unseen)} could not be read")
        worst = max(worst, Exit.HOST)
    return worst


async def _print_rank(services: Services, rank: WorkloadRank, tail: int | None, prefixed: bool, as_json: bool) -> Exit:
    from sparkrun_tui.cli.following import print_line
    from sparkrun_tui.launch.record.logs import LogLine, safe_line
    from sparkrun_tui.launch.run.given_secrets import secrets_of_container
    from sparkrun_tui.remote.aio import closing

    transport = services.connector(rank.host)
    source = services.logs.follow(transport, rank.container_id, tail=tail, keep=False)
    try:
        await transport.connect()
        docker = services.docker(transport)
        info = await docker.inspect(rank.container_id)
        if info is not None:
            gate().hide(await secrets_of_container(docker, info))
        async with closing(source) as batches:
            async for batch in batches:
                for record in batch:
                    line = safe_line(LogLine(record.time, record.stream, record.text), gate().redact)
                    print_line(rank.host, line, prefixed=prefixed, as_json=as_json)
    except HostError as error:
        return report(error)
    return Exit.OK


async def _follow(
    settings: Settings,
    cluster: Cluster,
    services: Services,
    item: Workload,
    only: str,
    tail: int | None,
    as_json: bool,
) -> Exit:
    from sparkrun_tui.cli.following import LogPrinter
    from sparkrun_tui.cli.launch import Signals, ending
    from sparkrun_tui.launch.launcher import Launcher
    from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged

    launcher = Launcher(settings, services)
    launch = await launcher.attach(item, cluster)
    signals = Signals(launch, watching=True)
    printer = LogPrinter(launch, as_json=as_json, only=only, tail=tail)
    try:
        async for event in launch.events(after=launch.revision):
            if isinstance(event, StatusChanged):
                detail = f": {event.detail}" if event.detail else ""
                say(f"{launch.launch_id}: {event.status}{detail}")
        await printer.finish()
    finally:
        signals.close()
        printer.close()
        await launch.detach()
    if signals.detached:
        return Exit.HOST if launch.state.status is LaunchStatus.UNKNOWN else Exit.OK
    return ending(launch, signals.detached, as_json=True)
