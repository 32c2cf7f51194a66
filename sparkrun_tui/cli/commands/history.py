"""`history`: earlier launches, as the journals on this machine record them: shown, reported, shown once more."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError, UsageError
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import launch_names
from sparkrun_tui.cli.context import found_recipe, settings_now
from sparkrun_tui.cli.exits import Exit
from sparkrun_tui.cli.gate import gate, hide_overrides
from sparkrun_tui.cli.groups import CommandGroup
from sparkrun_tui.cli.overriding import OverridingCommand, Typed, override_options
from sparkrun_tui.cli.writing import FORMS, json_option, output_option, write_launch

if TYPE_CHECKING:
    from sparkrun_tui.cli.shapes.launches import DiagnosisJson, EndpointJson, GuardJson, PastJson
    from sparkrun_tui.launch.record.journal import PastLaunch
    from sparkrun_tui.launch.record.state import LaunchState


@click.group("history", cls=CommandGroup, invoke_without_command=True)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects, newest first.")
@click.pass_context
def history_group(ctx: click.Context, as_json: bool) -> int:
    """List and show earlier launches; without a command, list them."""
    if ctx.invoked_subcommand is None:
        return _list(as_json)
    if as_json:
        raise click.UsageError(f"write --json behind `{ctx.invoked_subcommand}`", ctx)
    return Exit.OK


@history_group.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON array of objects, newest first.")
def list_command(as_json: bool) -> int:
    """List the launches that this machine remembers, newest first."""
    return _list(as_json)


def _list(as_json: bool) -> int:
    from sparkrun_tui.launch.record.journal import past_launches

    found = past_launches()
    if as_json:
        output.as_json([_json(past) for past in found])
        return Exit.OK
    output.table(("ID", "WHEN", "RECIPE", "HOSTS", "STATUS", "READY AFTER", "DETAIL"), map(_row, found))
    return Exit.OK


@history_group.command("show")
@click.argument("name", shell_complete=launch_names)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--report", "as_report", is_flag=True, help="Print a report as Markdown, without secrets and names.")
def show_command(name: str, as_json: bool, as_report: bool) -> int:
    """Show one launch: NAME is the beginning of its id, or a recipe, whose newest launch is meant."""
    from sparkrun_tui.launch.record.narration import diagnosis_lines

    if as_json and as_report:
        raise UsageError("give --json or --report")
    past = chosen(name)
    if as_report:
        output.raw(_report(past))
        return Exit.OK
    if as_json:
        output.as_json(_json(past))
        return Exit.OK
    state = past.state
    output.line(f"{state.launch_id}  {state.recipe} ({state.engine}, {state.model})")
    rows = [
        ("status", f"{state.status.value}: {state.detail}" if state.detail else state.status.value),
        ("cluster", state.cluster),
        ("hosts", ", ".join(state.hosts)),
        ("started", _moment(state.started)),
        ("ready after", _span(state.started, state.ready_at)),
        ("ended", _moment(state.ended)),
        ("endpoint", state.endpoint.url if state.endpoint else "-"),
    ]
    rows += guard_rows(state)
    output.table(("WHAT", "VALUE"), [(key, value or "-") for key, value in rows])
    output.line()
    output.line(f"again: {again(state) or CLAIMED}")
    if state.diagnosis is not None:
        output.line()
        for text in diagnosis_lines(state.diagnosis):
            output.line(text)
    return Exit.OK


def _report(past: PastLaunch) -> str:
    """The report of a launch, from its journal."""
    from sparkrun_tui.launch.record.journal import read_events, read_log
    from sparkrun_tui.launch.record.report import LAST_LINES, report

    logs = {host: read_log(past.folder, host, LAST_LINES) for host in past.state.hosts}
    return report(past.state, read_events(past.folder), logs, gate().redact)


@history_group.command("replay")
@click.argument("name", shell_complete=launch_names)
@click.option(
    "--speed",
    default=20.0,
    show_default=True,
    type=click.FloatRange(0),
    help="How much faster than it happened; 0 prints all at once.",
)
@click.option("--logs", "with_logs", is_flag=True, help="Print the lines of the logs, too.")
@click.option("--json", "as_json", is_flag=True, help="Print each event, and each line with --logs, as a JSON object.")
def replay_command(name: str, speed: float, with_logs: bool, as_json: bool) -> int:
    """Show what happened in an earlier launch, in its order and with its pauses, none of which takes over 2 seconds.

    NAME is the beginning of its id, or a recipe, whose newest launch is meant.
    """
    from sparkrun_tui.cli.following import print_line
    from sparkrun_tui.launch.record.codec import to_json
    from sparkrun_tui.launch.record.narration import Narrator
    from sparkrun_tui.launch.record.replay import moments, timed

    past = chosen(name)
    hosts = tuple(past.state.hosts)
    narrator = Narrator()
    for pause, moment in timed(moments(past.folder, hosts if with_logs else ()), speed):
        time.sleep(pause)
        if moment.line is not None:
            print_line(moment.host, moment.line, prefixed=len(hosts) > 1, as_json=as_json)
        elif moment.event is not None and as_json:
            output.as_json_line(to_json(moment.event))
        elif moment.event is not None:
            for text in narrator.lines(moment.event):
                output.line(text)
    return Exit.OK


@history_group.command("export", cls=OverridingCommand)
@click.argument("name", shell_complete=launch_names)
@override_options
@output_option
@json_option
@click.option(
    "--as",
    "form",
    type=click.Choice(["recipe", *FORMS]),
    default="recipe",
    help="What to write: a recipe, or the launch for another tool.",
)
@click.option("--yes", is_flag=True, help="Agree to what a third-party recipe does.")
def export_command(name: str, typed: Typed, target: Path | None, as_json: bool, form: str, yes: bool) -> int:
    """Write an earlier launch for another tool, or as a recipe: with its overrides, its image and its hosts.

    NAME is the beginning of its id, or a recipe, whose newest launch is meant. Overrides that are given here go before
    those of the launch, of which no secrets were kept. The recipe is read as it is now.
    """
    from sparkrun_tui.cli.commands.recipe_author import write_copy
    from sparkrun_tui.launch.record.again import values_again
    from sparkrun_tui.recipe.values.overrides import render

    settings = settings_now()
    state = chosen(name).state
    if state.claimed:
        raise LaunchError(f"how {state.launch_id} was started is {CLAIMED}", remedy="Export its recipe.")
    recipe = found_recipe(state.reference or state.recipe, settings)
    given = typed.of(recipe)
    remedy = "Give it again: sparkrun-tui history export ... -o KEY=VALUE"
    values = {**values_again(state.settings, given, remedy), **given}
    hide_overrides(values)
    if form == "recipe":
        write_copy(recipe, values, settings, target, yes=yes, as_json=as_json)
        return Exit.OK
    hosts = tuple(state.hosts)
    rendered = render(recipe, values, settings.defaults)
    write_launch(rendered, form, settings, target, hosts=hosts, nodes=len(hosts) or None, yes=yes, as_json=as_json)
    return Exit.OK


_BARS = 30
"""The most bars that show the memory of a launch."""


def guard_rows(state: LaunchState) -> list[tuple[str, str]]:
    """A row for each host with a memory guard: what was left, and the least of it."""
    from sparkrun_tui.launch.record.guard_words import guard_words, picture

    rows = []
    for row in state.hosts.values():
        if row.guard is not None:
            rows.append(("memory guard", f"{row.name}: {picture(row, _BARS)}  {guard_words(row.guard)}"))
    return rows


def chosen(name: str) -> PastLaunch:
    """The launch that a name means. Raises `UsageError` when there is none, or when several ids begin so."""
    from sparkrun_tui.launch.record.journal import past_launches
    from sparkrun_tui.recipe.suggestions import did_you_mean, listed

    found = past_launches()
    by_id = [past for past in found if past.state.launch_id.startswith(name)] if name else []
    if len(by_id) > 1:
        ids = listed(past.state.launch_id for past in by_id)
        raise UsageError(f"`{name}` is the beginning of several ids: {ids}", remedy="Give more of it.")
    if by_id:
        return by_id[0]
    for past in found:
        if past.state.recipe == name:
            return past
    names = {past.state.recipe for past in found} | {past.state.launch_id for past in found}
    hint = did_you_mean(name, names) or "`sparkrun-tui history list` shows what this machine remembers."
    raise UsageError(f"no launch `{name}` is remembered", remedy=hint)


CLAIMED = "not known: it was launched elsewhere, and only labels of its containers say how"


def again(state: LaunchState) -> shell.Text | None:
    """The command line that launches it again; None where only labels of containers say how."""
    from sparkrun_tui.launch.record.again import run_again

    return run_again(state.reference or state.recipe, state.hosts, state.settings, claimed=state.claimed)


def _row(past: PastLaunch) -> tuple[str, ...]:
    state = past.state
    return (
        state.launch_id,
        _moment(state.started),
        state.recipe,
        ", ".join(state.hosts),
        state.status.value,
        _span(state.started, state.ready_at),
        state.detail,
    )


def _moment(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def _span(start: float | None, end: float | None) -> str:
    if start is None or end is None:
        return ""
    return format_duration(end - start)


def _json(past: PastLaunch) -> PastJson:
    state = past.state
    diagnosis: DiagnosisJson | None = None
    if state.diagnosis is not None:
        diagnosis = {"title": state.diagnosis.title, "host": state.diagnosis.host or None}
    guards: list[GuardJson] = []
    for row in state.hosts.values():
        if row.guard is not None:
            guards.append(
                {
                    "host": row.name,
                    "floor": row.guard.floor,
                    "least": row.guard.least,
                    "stopped": row.guard.stopped,
                    "readings": list(row.guard.readings),
                    "minute": list(row.guard.minute),
                }
            )
    endpoint: EndpointJson | None = None
    if state.endpoint is not None:
        endpoint = {"url": state.endpoint.url, "model": state.endpoint.model}
    return {
        "launch_id": state.launch_id,
        "recipe": state.recipe,
        "engine": state.engine,
        "model": state.model,
        "cluster": state.cluster,
        "hosts": list(state.hosts),
        "port": state.port or None,
        "overrides": dict(state.settings),
        "status": state.status,
        "detail": state.detail or None,
        "started": state.started,
        "ready": state.ready_at,
        "ended": state.ended,
        "endpoint": endpoint,
        "diagnosis": diagnosis,
        "again": again(state),
        "memory_guards": guards,
        "folder": str(past.folder),
        "size": past.size,
    }
