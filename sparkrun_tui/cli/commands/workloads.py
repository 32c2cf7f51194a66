"""`status`, `stop` and `ask`: what runs on the hosts, found on the hosts themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import LaunchError, UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import Target, open_services, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say

if TYPE_CHECKING:
    from sparkrun_tui.base.settings import Cluster
    from sparkrun_tui.fleet.model import FleetView, Workload
    from sparkrun_tui.launch.services import Services


@asynccontextmanager
async def surveyed(target: Target) -> AsyncIterator[tuple[Cluster, Services, FleetView]]:
    """The cluster, the services, and a look at what runs there."""
    from sparkrun_tui.fleet.survey import survey

    async with open_services(settings_now(), target) as (cluster, services):
        yield cluster, services, await survey(cluster, services)


@click.command("status")
@target_options
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def status_command(hosts: str, cluster_name: str, demo: bool, as_json: bool) -> int:
    """Show the hosts and what runs on them; exit code 3 when a host cannot be asked."""
    return asyncio.run(_status(Target(hosts, cluster_name, demo), as_json))


async def _status(target: Target, as_json: bool) -> Exit:
    from sparkrun_tui.cli.text import workloads as text
    from sparkrun_tui.fleet.choose import silent_hosts

    async with surveyed(target) as (_, _, view):
        if as_json:
            output.as_json(text.fleet_json(view))
        else:
            output.table(text.HOST_HEAD, map(text.host_row, view.hosts))
            output.line()
            if view.workloads:
                output.table(text.WORKLOAD_HEAD, map(text.workload_row, view.workloads))
            else:
                output.line("no workload runs on the hosts that answer" if silent_hosts(view) else "no workload runs")
            for line in text.details(view):
                output.line(line)
        return Exit.HOST if silent_hosts(view) else Exit.OK


@click.command("stop")
@click.argument("name", default="")
@target_options
@click.option("--all", "everything", is_flag=True, help="Stop every workload that was launched with sparkrun-tui.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def stop_command(name: str, hosts: str, cluster_name: str, demo: bool, everything: bool, yes: bool) -> int:
    """Stop a workload, by launch id or recipe NAME, on all its hosts; its containers are removed.

    Exit code 3 when a host could not be asked: what ran there may still run.
    """
    if bool(name) == everything:
        raise UsageError("name a workload, or give --all", remedy="`sparkrun-tui status` lists them.")
    return asyncio.run(_stop(Target(hosts, cluster_name, demo), name, yes))


async def _stop(target: Target, name: str, yes: bool) -> Exit:
    from sparkrun_tui.fleet.choose import choose, silent_hosts

    async with surveyed(target) as (_, services, view):
        chosen = (choose(view, name),) if name else tuple(item for item in view.workloads if item.ours)
        for host in silent_hosts(view) if not name else ():
            say(f"{host} cannot be asked: what runs there may go on running")
        _confirm(chosen, asked=not yes and (not name or not chosen[0].ours))
        if not chosen:
            output.line("nothing to stop")
        codes = [Exit.HOST if not name and silent_hosts(view) else Exit.OK]
        codes += await asyncio.gather(*(_stop_one(item, services, view) for item in chosen))
        return max(codes)


def _confirm(chosen: Sequence[Workload], *, asked: bool) -> None:
    from sparkrun_tui.cli.prompts import confirm, on_terminal

    if not asked or not chosen:
        return
    for item in chosen:
        whose = "" if item.ours else ", launched by another tool"
        say(f"{item.launch_id or item.recipe}  {item.recipe} on {', '.join(rank.host for rank in item.ranks)}{whose}")
    if not confirm("Stop it?" if len(chosen) == 1 else f"Stop these {len(chosen)}?"):
        raise UsageError("not stopped", remedy="" if on_terminal() else "Call it again with --yes.")


async def _stop_one(item: Workload, services: Services, view: FleetView) -> Exit:
    from sparkrun_tui.fleet.stop import STOP_AGAIN, stop

    found = await stop(item, services, view)
    output.line(f"{item.launch_id or item.recipe}: {found.text}")
    if found.unclear:
        say(STOP_AGAIN)
        return Exit.HOST
    return Exit.OK if found.complete else Exit.FAILED


@click.command("ask")
@click.argument("name")
@click.argument("prompt", nargs=-1)
@target_options
@click.option("--max-tokens", default=512, show_default=True, type=click.IntRange(1), help="Tokens of the answer.")
def ask_command(name: str, prompt: tuple[str, ...], hosts: str, cluster_name: str, demo: bool, max_tokens: int) -> int:
    """Send PROMPT to the workload NAME (launch id or recipe) and print its answer as it comes."""
    text = " ".join(prompt) or "Say hello in one sentence."
    return asyncio.run(_ask(Target(hosts, cluster_name, demo), name, text, max_tokens))


async def _ask(target: Target, name: str, text: str, max_tokens: int) -> Exit:
    from sparkrun_tui.fleet.choose import choose
    from sparkrun_tui.launch.prompting import Prompt

    async with surveyed(target) as (_, services, view):
        item = choose(view, name)
        if item.port is None or not any(rank.rank == 0 and rank.state == "running" for rank in item.ranks):
            raise LaunchError(f"{item.recipe} does not serve: {item.detail or item.health}")
        model = item.served_name or item.model
        prompt = Prompt(services, item.head_host, item.port, model, text, max_tokens=max_tokens, address=item.address)
        async for piece in prompt:
            output.piece(piece)
        output.line()
        if prompt.first_after is not None and sys.stderr.isatty():
            rate = f", {prompt.rate:.1f} tokens/s" if prompt.rate else ""
            say(f"{prompt.tokens} tokens, first after {prompt.first_after:.2f} s{rate}")
        return Exit.OK if prompt.tokens else Exit.FAILED
