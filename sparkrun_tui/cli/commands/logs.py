"""`logs`: the logs of a workload from its hosts, or from the journal when its containers are gone."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import HostError, UsageError
from sparkrun_tui.cli.context import Target, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, report, say
from sparkrun_tui.cli.gate import gate

if TYPE_CHECKING:
    from sparkrun_tui.base.settings import Cluster
    from sparkrun_tui.fleet.model import FleetView, Workload, WorkloadRank
    from sparkrun_tui.launch.record.journal import PastLaunch
    from sparkrun_tui.launch.services import Services


@click.command("logs")
@click.argument("name")
@target_options
@click.option("-f", "--follow", is_flag=True, help="Go on printing until it ends; ctrl+c leaves it running.")
@click.option("--host", "only", default="", metavar="HOST", help="Only the log of this host.")
@click.option("--tail", default=None, metavar="N", type=click.IntRange(0), help="Only the last N lines of each host.")
@click.option("--json", "as_json", is_flag=True, help="Lines as JSON objects.")
def logs_command(
    name: str, hosts: str, cluster_name: str, demo: bool, follow: bool, only: str, tail: int | None, as_json: bool
) -> int:
    """Print the logs of a workload, by launch id or recipe NAME.

    When its containers are gone, what was kept of them here is printed.
    """
    from sparkrun_tui.cli.commands.workloads import surveyed

    past = None if follow else _past(name)
    target = Target(hosts, cluster_name, demo)
    if past is not None and not (hosts or cluster_name or demo) and settings_now().cluster() is None:
        return _print_past(past, only, tail, as_json)

    async def work() -> Exit:
        from sparkrun_tui.fleet.choose import matching

        async with surveyed(target) as (cluster, services, view):
            if past is not None and not matching(view, name):
                return _print_past(past, only, tail, as_json)
            return await _live(cluster, services, view, name, follow, only, tail, as_json)

    return asyncio.run(work())


def _past(name: str) -> PastLaunch | None:
    """The newest launch of that id or recipe that was kept here."""
    from sparkrun_tui.launch.record.journal import past_launches

    found = [past for past in past_launches() if past.state.launch_id.startswith(name) or past.state.recipe == name]
    return found[0] if found else None


def _print_past(past: PastLaunch, only: str, tail: int | None, as_json: bool) -> Exit:
    from sparkrun_tui.cli.following import print_line
    from sparkrun_tui.cli.text.launch import diagnosis_lines
    from sparkrun_tui.launch.record.journal import log_lines, read_log

    state = past.state
    _check_host(only, tuple(state.hosts))
    say(f"launch {state.launch_id} of {state.recipe} is over ({state.status}); this is what was kept of it here")
    chosen = [only] if only else list(state.hosts)
    for host in chosen:
        for line in log_lines(past.folder, host) if tail is None else read_log(past.folder, host, tail):
            print_line(host, line, prefixed=len(chosen) > 1, as_json=as_json)
    if state.diagnosis is not None:
        for text in diagnosis_lines(state.diagnosis):
            say(text)
    return Exit.OK


def _check_host(only: str, hosts: tuple[str, ...]) -> None:
    if only and only not in hosts:
        raise UsageError(f"it does not run on `{only}`", remedy=f"Its hosts: {', '.join(hosts)}")


async def _live(
    cluster: Cluster,
    services: Services,
    view: FleetView,
    name: str,
    follow: bool,
    only: str,
    tail: int | None,
    as_json: bool,
) -> Exit:
    from sparkrun_tui.fleet.choose import choose, unseen_ranks
    from sparkrun_tui.fleet.model import Health
    from sparkrun_tui.launch.run.given_secrets import secrets_of_recipe_called

    item = choose(view, name)
    _check_host(only, tuple(rank.host for rank in item.ranks))
    if follow and item.ours and item.health is not Health.EXITED:
        return await _follow(cluster, services, item, only, tail, as_json)
    gate().hide(await asyncio.to_thread(secrets_of_recipe_called, item.recipe, settings_now()))
    ranks = [rank for rank in item.ranks if only in ("", rank.host)]
    codes = [await _print_rank(services, rank, tail, len(ranks) > 1, as_json) for rank in ranks]
    unseen = unseen_ranks(view, item)
    if unseen and not only:
        say(f"{', '.join(unseen)} cannot be asked for its log")
        codes.append(Exit.HOST)
    return max(codes, default=Exit.OK)


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
    cluster: Cluster, services: Services, item: Workload, only: str, tail: int | None, as_json: bool
) -> Exit:
    from sparkrun_tui.cli.following import LogPrinter
    from sparkrun_tui.cli.launch import Signals, ending
    from sparkrun_tui.launch.launcher import Launcher
    from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged

    launcher = Launcher(settings_now(), services)
    launch = await launcher.attach(item, cluster)
    hearing = Signals(launch, watching=True)
    printer = LogPrinter(launch, as_json=as_json, only=only, tail=tail)
    try:
        async for event in launch.events(after=launch.revision):
            if isinstance(event, StatusChanged):
                say(f"{launch.launch_id}: {event.status}{f': {event.detail}' if event.detail else ''}")
        await printer.finish()
    finally:
        hearing.close()
        printer.close()
        await launch.detach()
    if hearing.detached:
        return Exit.HOST if launch.state.status is LaunchStatus.UNKNOWN else Exit.OK
    return ending(launch, hearing.detached, as_json=True)
