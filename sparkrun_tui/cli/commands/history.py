"""`history`: earlier launches, as the journals on this machine record them."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.base.units import format_duration
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import launch_names
from sparkrun_tui.cli.exits import Exit
from sparkrun_tui.cli.groups import CommandGroup

if TYPE_CHECKING:
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
def show_command(name: str, as_json: bool) -> int:
    """Show one launch: NAME is the beginning of its id, or a recipe, whose newest launch is meant."""
    from sparkrun_tui.launch.record.narration import diagnosis_lines

    past = chosen(name)
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


def _json(past: PastLaunch) -> dict[str, Any]:
    state = past.state
    diagnosis = None
    if state.diagnosis is not None:
        diagnosis = {"title": state.diagnosis.title, "host": state.diagnosis.host or None}
    guards = []
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
    endpoint = None
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
        "status": state.status.value,
        "detail": state.detail or None,
        "started": state.started,
        "ready": state.ready_at,
        "ended": state.ended,
        "endpoint": endpoint,
        "diagnosis": diagnosis,
        "again": again(state),
        "memory_guards": guards,
        "folder": str(past.folder),
        "bytes": past.size,
    }
