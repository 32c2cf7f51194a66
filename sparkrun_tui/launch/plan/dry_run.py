"""A plan as plain lines: for each host, in order, the commands to paste. No host is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sparkrun_tui.base.text import first_hidden, visible
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.launch.plan.host_views import views_of
from sparkrun_tui.launch.plan.making import make_plan
from sparkrun_tui.launch.plan.plan import LaunchPlan, planning
from sparkrun_tui.launch.plan.redaction import redactor_for
from sparkrun_tui.launch.plan.shapes import WORKSTATION, Command
from sparkrun_tui.recipe.trust import consented_variables
from sparkrun_tui.recipe.values.masking import is_variable, shown_settings
from sparkrun_tui.recipe.values.rendered import Rendered

PLACEHOLDERS = Cluster("placeholders", tuple(f"spark-{number}" for number in range(1, 65)), source="placeholder")
"""Hosts for a plan without a cluster."""

_SIGNS = "# invisible characters are shown as signs (␛, ␍, \\x9d, \\u202e); commands that contain any are comments here"


def offline_plan(
    rendered: Rendered, cluster: Cluster | None, launch_id: str, environ: Mapping[str, str], *, solo: bool = False
) -> LaunchPlan:
    """The plan of a launch without asking any host; without a cluster, on placeholders.

    Raises `LaunchError` when the recipe cannot run on these hosts.
    """
    chosen = cluster or PLACEHOLDERS
    with planning(rendered):
        return make_plan(
            rendered,
            chosen,
            views_of(chosen.hosts, chosen, {}),
            environ,
            launch_id=launch_id,
            solo=solo,
            consented=consented_variables(rendered.recipe),
        )


def lines(plan: LaunchPlan) -> list[str]:
    """The dry run of `plan` as lines of shell: commands, and comments for everything else. Secrets are not in it.

    Where a command needs a secret value, it has a variable, which a comment names. The commands of a recipe with
    errors are comments, too. Raises `LaunchError` for a defect of this program.
    """
    with planning(plan.rendered):
        redact = redactor_for(plan)
        found = [redact(line) for line in _lines(plan)]
        shown = [_safe(line) for line in found]
        if any(first_hidden(line) is not None for line in found):
            shown.insert(1, _SIGNS)
        return shown


def as_data(plan: LaunchPlan) -> dict[str, Any]:
    """The dry run of `plan` as plain data for scripts, in the order of the steps; secrets are not in it.

    `runnable` is false when the recipe itself has errors. Raises `LaunchError` for a defect of this program.
    """
    with planning(plan.rendered):
        return _as_data(plan)


def _as_data(plan: LaunchPlan) -> dict[str, Any]:
    redact = redactor_for(plan)
    commands: list[dict[str, Any]] = []
    for number, step in enumerate(plan.steps, 1):
        for command in step.commands:
            entry = {
                "step": number,
                "phase": step.phase.value,
                "title": step.title,
                "host": command.host,
                "text": redact(command.text),
                "changes": command.changes,
            }
            commands.append(entry)
    problems = []
    for item in plan.problems:
        entry = {"severity": item.severity.value, "code": item.code, "message": redact(item.message)}
        problems.append({**entry, "remedy": redact(item.remedy) or None})
    return {
        "launch_id": plan.launch_id,
        "recipe": plan.rendered.recipe.name,
        "engine": plan.serve.engine,
        "image": plan.serve.image,
        "hosts": list(plan.host_names),
        "overrides": redact.data(shown_settings(plan.rendered.overrides)),
        "notes": redact.data([*plan.serve.notes, *_variables(plan)]),
        "problems": problems,
        "runnable": not plan.broken,
        "commands": commands,
    }


def _safe(line: str) -> str:
    """One line that shows every character; an invisible one is shown as a sign, which no shell acts on."""
    return visible(line).replace("\n", "⏎")


def _lines(plan: LaunchPlan) -> Iterator[str]:
    recipe = plan.rendered.recipe
    yield f"# {recipe.name} on {plan.cluster.name or 'the given hosts'}: {_hosts(plan)}"
    yield f"# launch {plan.launch_id}, engine {plan.serve.engine}, image {plan.serve.image}"
    for problem in plan.problems:
        yield f"# {problem.severity}: {problem.message}"
        for line in problem.remedy.splitlines():
            yield f"#   {line}"
    if plan.broken:
        yield "# the recipe has errors and cannot be launched: its commands are comments here"
    for note in plan.serve.notes:
        yield f"# note: {note}"
    for text in _variables(plan):
        yield f"# note: {text}"
    for number, step in enumerate(plan.steps, 1):
        yield f"# step {number} {step.title}: {step.detail} ({', '.join(step.hosts)})"
    # The workstation comes first, then the hosts in the order of the steps.
    hosts = {WORKSTATION: None}
    for step in plan.steps:
        for command in step.commands:
            hosts[command.host] = None
    for host in hosts:
        yield from _host_lines(plan, host)


def _variables(plan: LaunchPlan) -> list[str]:
    """One note for each variable that the commands take a secret from and that the recipe's own `env` does not name."""
    serve = plan.serve
    names: list[str] = []
    for rank in serve.ranks:
        names += rank.container.secret_env
    for stage in serve.stages:
        for script in stage.scripts:
            for values in script.secret_files.values():
                names += values
    if serve.ready.key.wanted:
        names.append(serve.ready.key.variable)
    if serve.host_after:
        # Commands on the head host get their secrets from the plan's environment.
        names += filter(is_variable, plan.env.secret)
    notes = []
    for name in dict.fromkeys(names):
        if name not in plan.rendered.recipe.env:
            notes.append(f"set {name} before you paste a command: it holds a secret value")
    return notes


def _hosts(plan: LaunchPlan) -> str:
    names = ", ".join(plan.host_names)
    return f"{names} ({plan.host_reason})" if plan.host_reason else names


def _host_lines(plan: LaunchPlan, host: str) -> Iterator[str]:
    headed = False
    for number, step in enumerate(plan.steps, 1):
        commands = [command for command in step.commands if command.host == host]
        if not commands:
            continue
        if not headed:
            headed = True
            yield ""
            place = f"this machine ({WORKSTATION})" if host == WORKSTATION else host
            yield f"# ---- on {place}"
        yield f"# step {number} {step.title}"
        for command in commands:
            yield from _command_lines(command, plan.broken)


def _command_lines(command: Command, broken: bool) -> Iterator[str]:
    """The lines of a command to paste; comments when it must not be pasted.

    A sign in place of an invisible character would make it another command. So may an error of the recipe, such as an
    image's name that Docker reads as an option.
    """
    comment = "# " if broken or first_hidden(command.text) is not None else ""
    yield from (f"{comment}{line}" for line in command.text.split("\n"))
