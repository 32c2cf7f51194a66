"""`status`, `stop` and `ask`: the workloads on the hosts, found by asking the hosts themselves."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import HostError, LaunchError, UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.context import Target, open_services, settings_now, target_options
from sparkrun_tui.cli.exits import Exit, say
from sparkrun_tui.cli.exits import piece as error_piece

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Cluster, Settings
    from sparkrun_tui.cli.shapes.hosts import AnswerJson, StoppedJson
    from sparkrun_tui.fleet.model import FleetView, Workload
    from sparkrun_tui.launch.chat.pieces import Asked, Figures, Piece
    from sparkrun_tui.launch.services import Services


@asynccontextmanager
async def surveyed(settings: Settings, target: Target) -> AsyncIterator[tuple[Cluster, Services, FleetView]]:
    """The cluster, the services, and what is running there now."""
    from sparkrun_tui.fleet.survey import survey

    async with open_services(settings, target) as (cluster, services):
        yield cluster, services, await survey(cluster, services)


_PATIENCE = 1.0
"""Seconds after which a person is shown the hosts that have answered, while others have not."""


async def _watched(cluster: Cluster, services: Services) -> tuple[FleetView, frozenset[str]]:
    """What is running there now, and the hosts that a person was shown before, because others kept it waiting."""
    from sparkrun_tui.cli.text.workloads import HOST_HEAD, host_row
    from sparkrun_tui.fleet.model import HostStatus
    from sparkrun_tui.fleet.survey import survey

    known: dict[str, HostStatus] = {}

    def seen(status: HostStatus) -> None:
        known[status.name] = status

    asking = asyncio.ensure_future(survey(cluster, services, seen))
    try:
        await asyncio.wait([asking], timeout=_PATIENCE)
        shown = frozenset(known)
        if asking.done() or not sys.stdout.isatty():
            return await asking, frozenset()
        if shown:
            output.table(HOST_HEAD, [host_row(known[name]) for name in cluster.hosts if name in shown])
        say(f"waiting for {', '.join(name for name in cluster.hosts if name not in shown)}")
        return await asking, shown
    finally:
        asking.cancel()


async def chosen_workload(view: FleetView, name: str) -> Workload:
    """The workload that a name means; where the hosts have none, the error says which other hosts have it.

    Raises as `fleet.choose.choose` does.
    """
    from sparkrun_tui.fleet.choose import choose

    try:
        return choose(view, name)
    except (HostError, LaunchError) as error:
        elsewhere = await asyncio.to_thread(_launched_elsewhere, view, name)
        if elsewhere:
            raise LaunchError(error.what, remedy=elsewhere) from error
        raise


def _launched_elsewhere(view: FleetView, name: str) -> str:
    """Where this machine launched what a name means, if it was on hosts that were not asked; else an empty text."""
    from sparkrun_tui.launch.record.journal import past_launches

    asked = {host.name for host in view.hosts}
    for past in past_launches():
        state = past.state
        if state.ended is not None or asked >= set(state.hosts):
            continue
        if state.recipe == name or (name and state.launch_id.startswith(name)):
            hosts = ",".join(state.hosts)
            return f"{state.launch_id} ({state.recipe}) was launched on other hosts: give -H {hosts}"
    return ""


@click.command("status")
@target_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def status_command(hosts: str, cluster_name: str, demo: bool, as_json: bool) -> int:
    """Show the hosts and what is running on them; exit code 3 when a host cannot be reached."""
    return asyncio.run(_status(Target(hosts, cluster_name, demo), as_json))


async def _status(target: Target, as_json: bool) -> Exit:
    from sparkrun_tui.cli.text import workloads as text
    from sparkrun_tui.fleet.choose import silent_hosts
    from sparkrun_tui.fleet.survey import survey

    async with open_services(settings_now(), target) as (cluster, services):
        if as_json:
            view = await survey(cluster, services)
            output.as_json(text.fleet_json(view))
        else:
            view, shown = await _watched(cluster, services)
            output.table(text.HOST_HEAD, [text.host_row(host) for host in view.hosts if host.name not in shown])
            output.line()
            if view.workloads:
                output.table(text.WORKLOAD_HEAD, map(text.workload_row, view.workloads))
            else:
                where = " on the hosts that answered" if silent_hosts(view) else ""
                output.line(f"no workload is running{where}")
            for line in text.details(view):
                output.line(line)
        return Exit.HOST if silent_hosts(view) else Exit.OK


@click.command("stop")
@click.argument("name", default="")
@target_options
@click.option("--all", "everything", is_flag=True, help="Stop every workload launched with sparkrun-tui.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array with one object per workload.")
def stop_command(
    name: str, hosts: str, cluster_name: str, demo: bool, everything: bool, yes: bool, as_json: bool
) -> int:
    """Stop the workload NAME (a launch id or a recipe) on all its hosts and remove its containers.

    Exit code 3 when a host could not be reached: its part may still be running.
    """
    if bool(name) == everything:
        raise UsageError("name a workload, or give --all", remedy="`sparkrun-tui status` lists them.")
    return asyncio.run(_stop(Target(hosts, cluster_name, demo), name, yes, as_json))


async def _stop(target: Target, name: str, yes: bool, as_json: bool) -> Exit:
    from sparkrun_tui.fleet.choose import matching, prepared_by, silent_hosts

    async with surveyed(settings_now(), target) as (_, services, view):
        if name:
            if not matching(view, name) and prepared_by(view, name):
                stopped, code = await _end_leases(services, view, name, as_json)
                if as_json:
                    output.as_json([stopped])
                return code
            item = await chosen_workload(view, name)
            if not item.ours and not yes:
                _confirm([item])
            stopped, code = await _stop_one(item, services, view, as_json)
            if as_json:
                output.as_json([stopped])
            return code
        silent = silent_hosts(view)
        for host in silent:
            say(f"{host} cannot be reached: what runs there may keep running")
        ours = [item for item in view.workloads if item.ours]
        if not ours and not as_json:
            output.line("nothing to stop")
        elif ours and not yes:
            _confirm(ours)
        done = await asyncio.gather(*(_stop_one(item, services, view, as_json) for item in ours))
        if as_json:
            output.as_json([stopped for stopped, _ in done])
        codes = [Exit.HOST if silent else Exit.OK]
        codes += [code for _, code in done]
        return max(codes)


async def _end_leases(services: Services, view: FleetView, launch_id: str, as_json: bool) -> tuple[StoppedJson, Exit]:
    """End a launch that has no container yet, and may never have one: the hosts that it prepares are free again."""
    from sparkrun_tui.fleet.choose import prepared_by, silent_hosts
    from sparkrun_tui.fleet.stop import STOP_AGAIN, end_lease

    hosts = prepared_by(view, launch_id)
    ended = await asyncio.gather(*(end_lease(host, services, launch_id) for host in hosts))
    if not as_json:
        output.line(f"{launch_id}: no container yet; no longer prepares {', '.join(hosts)}")
    unseen = [host for host, is_ended in zip(hosts, ended, strict=True) if not is_ended]
    unseen += silent_hosts(view)
    stopped: StoppedJson = {
        "launch_id": launch_id,
        "recipe": None,
        "complete": not unseen,
        "ranks": [],
        "unseen": unseen,
    }
    if unseen:
        say(STOP_AGAIN)
        return stopped, Exit.HOST
    return stopped, Exit.OK


def _confirm(chosen: Sequence[Workload]) -> None:
    """Ask whether to stop these workloads. Raises `UsageError` when the answer is no."""
    from sparkrun_tui.cli.prompts import confirm, on_terminal

    for item in chosen:
        hosts = ", ".join(rank.host for rank in item.ranks)
        other = "" if item.ours else ", launched by another tool"
        say(f"{item.launch_id or item.recipe}  {item.recipe} on {hosts}{other}")
    question = "Stop it?" if len(chosen) == 1 else f"Stop these {len(chosen)} workloads?"
    if not confirm(question):
        raise UsageError("not stopped", remedy="" if on_terminal() else "Run the command again with --yes.")


async def _stop_one(item: Workload, services: Services, view: FleetView, as_json: bool) -> tuple[StoppedJson, Exit]:
    from sparkrun_tui.cli.text.workloads import stopped_json
    from sparkrun_tui.fleet.stop import STOP_AGAIN, stop
    from sparkrun_tui.launch.record.late import LateRecord

    found = await stop(item, services, view, record=LateRecord(item.launch_id))
    stopped = stopped_json(item, found)
    if not as_json:
        output.line(f"{item.launch_id or item.recipe}: {found.text}")
    if found.unclear:
        say(STOP_AGAIN)
        return stopped, Exit.HOST
    return stopped, Exit.OK if found.complete else Exit.FAILED


@click.command("ask")
@click.argument("name")
@click.argument("prompt", nargs=-1)
@target_options
@click.option(
    "--max-tokens", default=512, show_default=True, type=click.IntRange(1), help="The most tokens in the answer."
)
@click.option("--system", default="", metavar="TEXT", help="A system prompt, sent before PROMPT.")
@click.option("--temperature", default="", metavar="NUMBER", help="The temperature; the server's own without it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object once the answer is complete.")
def ask_command(
    name: str,
    prompt: tuple[str, ...],
    hosts: str,
    cluster_name: str,
    demo: bool,
    max_tokens: int,
    system: str,
    temperature: str,
    as_json: bool,
) -> int:
    """Send PROMPT to the workload NAME (a launch id or a recipe) and print the answer as it arrives.

    What the model thinks before it answers, and its figures, go to stderr. A server of embeddings, scores or speech is
    asked for one of these. Scores are of a query and texts, with | between them. An API key that the server wants is
    read from its container, and never shown.
    """
    from sparkrun_tui.launch.chat.conversation import settings_of
    from sparkrun_tui.launch.chat.pieces import Asked

    text = " ".join(prompt) or "Say hello in one sentence."
    settings = settings_of(system, temperature, str(max_tokens))
    asked = Asked.once(text, system=settings.system, max_tokens=settings.max_tokens, temperature=settings.temperature)
    return asyncio.run(_ask(Target(hosts, cluster_name, demo), name, asked, as_json))


async def _ask(target: Target, name: str, asked: Asked, as_json: bool) -> Exit:
    from sparkrun_tui.fleet.server_keys import key_of
    from sparkrun_tui.launch.chat.pieces import CUT_OFF, LENGTH, Figures
    from sparkrun_tui.launch.question import Question
    from sparkrun_tui.launch.record.events import EndpointUp

    async with surveyed(settings_now(), target) as (_, services, view):
        item = await chosen_workload(view, name)
        if item.port is None or not _head_runs(item):
            raise LaunchError(f"{item.recipe} is not serving: {item.detail or item.health}")
        question = Question(
            services,
            item.head_host,
            EndpointUp(
                url=f"http://{item.address}:{item.port}", model=item.served_name or item.model, offers=item.offers
            ),
            asked,
            address=item.address,
            find_key=lambda: key_of(item, services),
        )
        printed = _Answer(as_json)
        async for piece in question.pieces():
            printed.add(piece)
        figures = question.prompt.figures if question.prompt is not None else Figures()
        if as_json:
            output.as_json(printed.json(item, figures))
        else:
            output.line()
            if printed.end == LENGTH:
                say(CUT_OFF)
            if figures.final_words and sys.stderr.isatty():
                say(figures.final_words)
        return Exit.OK if printed.answered else Exit.FAILED


class _Answer:
    """Prints an answer as it arrives, or keeps it to print it as JSON."""

    def __init__(self, quiet: bool) -> None:
        self._quiet = quiet
        self._text = ""
        self._reasoning = ""
        self._thinking = False
        self.answered = False
        self.end = ""

    def add(self, piece: Piece) -> None:
        """Take up the next piece."""
        if piece.end:
            self.end = piece.end
            return
        self.answered = True
        if self._quiet and piece.is_reasoning:
            self._reasoning += piece.text
        elif self._quiet:
            self._text += piece.text
        else:
            self._print(piece)

    def _print(self, piece: Piece) -> None:
        if self._thinking and not piece.is_reasoning:
            say("")
        self._thinking = piece.is_reasoning
        if self._thinking:
            error_piece(piece.text)
        else:
            output.piece(piece.text)

    def json(self, item: Workload, figures: Figures) -> AnswerJson:
        """The whole answer of a workload."""
        return {
            "launch_id": item.launch_id or None,
            "recipe": item.recipe,
            "model": item.served_name or item.model,
            "text": self._text,
            "reasoning": self._reasoning,
            "end": self.end,
            "tokens": figures.tokens,
            "exact": figures.exact,
            "prompt_tokens": figures.prompt_tokens,
            "first_after": figures.first_after,
            "seconds": figures.seconds,
            "tokens_per_second": figures.rate,
        }


def _head_runs(item: Workload) -> bool:
    return any(rank.rank == 0 and rank.state == "running" for rank in item.ranks)
