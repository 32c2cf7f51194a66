"""`snippet`: code that calls a running workload."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import LaunchError, UsageError
from sparkrun_tui.base.text import visible_line
from sparkrun_tui.cli import output
from sparkrun_tui.cli.commands.workloads import chosen_workload, surveyed
from sparkrun_tui.cli.context import Target, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.hosts import SnippetJson
    from sparkrun_tui.fleet.model import FleetView, Workload

KINDS = ("curl", "python", "js", "open-webui", "litellm")
"""The names of `launch.chat.snippets`, which are not imported for `--help`."""


@click.command("snippet")
@click.argument("name")
@target_options
@click.option("--as", "kind", type=click.Choice(KINDS), default="curl", show_default=True, help="What to print.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def snippet_command(name: str, hosts: str, cluster_name: str, demo: bool, kind: str, as_json: bool) -> int:
    """Print code that calls the workload NAME (a launch id or a recipe): with its address and the name of its model.

    An API key that the server wants is not printed: the code takes it from the variable API_KEY.
    """
    return asyncio.run(_snippet(Target(hosts, cluster_name, demo), name, kind, as_json))


async def _snippet(target: Target, name: str, kind: str, as_json: bool) -> Exit:
    from sparkrun_tui.engines.plan import KEY_VARIABLE
    from sparkrun_tui.fleet.server_keys import key_of
    from sparkrun_tui.launch.chat.snippets import endpoint_at, kinds

    async with surveyed(settings_now(), target) as (_, services, view):
        item = await chosen_workload(view, name)
        if item.port is None:
            raise LaunchError(f"{item.recipe} is not serving: {item.detail or item.health}")
        wants_key = await key_of(item, services) is not None
        url = f"http://{_address(view, item)}:{item.port}"
        model = item.served_name or item.model
        endpoint = endpoint_at(url, model, wants_key=wants_key, offers=item.offers)
        known = kinds(endpoint)
        if kind not in known:
            remedy = f"Take --as {' or '.join(known)}."
            raise UsageError(f"{item.recipe} writes no text: there is no {kind} for it", remedy=remedy)
        # What cannot be seen becomes a sign, line by line, so that a shell does not act on it when it is pasted.
        lines = known[kind].make(endpoint).split("\n")
        if as_json:
            key = KEY_VARIABLE if wants_key else None
            body: SnippetJson = {
                "kind": kind,
                "text": "\n".join(map(visible_line, lines)),
                "url": url,
                "model": model,
                "key_variable": key,
            }
            output.as_json(body)
            return Exit.OK
        for line in lines:
            output.line(line)
        if wants_key:
            say(f"set {KEY_VARIABLE} to the API key of the server before you run it")
        return Exit.OK


def _address(view: FleetView, item: Workload) -> str:
    """Where other machines reach the server: the address that its host has, else the name by which it is called."""
    for status in view.hosts:
        if status.name == item.head_host and status.facts is not None and status.facts.default_address:
            return status.facts.default_address
    return item.head_host.rpartition("@")[2]
