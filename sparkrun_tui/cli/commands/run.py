"""`run`: launch a recipe and wait until it serves, or print what a launch would do."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from sparkrun_tui.base.errors import UsageError
from sparkrun_tui.cli import output
from sparkrun_tui.cli.completions import check_names, recipe_names
from sparkrun_tui.cli.context import (
    Target,
    found_recipe,
    saved_cluster,
    settings_now,
    target_options,
)
from sparkrun_tui.cli.exits import Exit
from sparkrun_tui.cli.overriding import OverridingCommand, Typed, override_options, refuse_wrong_parts

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.recipe.values.rendered import Rendered


def _known_checks(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> tuple[str, ...]:
    """The checks to ignore. Raises `BadParameter` for one that does not exist, or that cannot be ignored."""
    # Without any, the modules of a launch are not needed yet.
    if values:
        from sparkrun_tui.launch.plan.preflight import IGNORABLE, STRICT
        from sparkrun_tui.recipe.suggestions import did_you_mean, listed

        for name in values:
            if name in STRICT:
                raise click.BadParameter(f"the check `{name}` cannot be ignored", ctx, parameter)
            if name not in IGNORABLE:
                hint = did_you_mean(name, IGNORABLE) or f"the checks are {listed(IGNORABLE)}"
                raise click.BadParameter(f"there is no check `{name}`: {hint}", ctx, parameter)
    return tuple(values)


@click.command("run", cls=OverridingCommand)
@click.argument("name", shell_complete=recipe_names)
@target_options
@click.option("--solo", is_flag=True, help="Use one host only, the first.")
@override_options
@click.option("--keep", is_flag=True, help="Let it come back after a restart of its host, until it is stopped.")
@click.option("-n", "--dry-run", is_flag=True, help="Print the commands, host by host; no host is contacted.")
@click.option("--follow", is_flag=True, help="Print the logs, also once it serves; ctrl+c then leaves it running.")
@click.option("--json", "as_json", is_flag=True, help="Print events as JSON lines; with --dry-run, one JSON object.")
@click.option("--yes", is_flag=True, help="Agree to what a third-party recipe does beyond serving.")
@click.option(
    "--ignore",
    multiple=True,
    metavar="CHECK",
    callback=_known_checks,
    shell_complete=check_names,
    help="Continue although this check fails: disk, memory, arch, ...",
)
def run_command(
    name: str,
    typed: Typed,
    hosts: str,
    cluster_name: str,
    demo: bool,
    solo: bool,
    keep: bool,
    dry_run: bool,
    follow: bool,
    as_json: bool,
    yes: bool,
    ignore: tuple[str, ...],
) -> int:
    """Launch the recipe NAME on hosts and wait until it serves.

    ctrl+c cancels the launch and cleans up; a second ctrl+c forces it. Once it serves, it keeps running without this
    program.
    """
    from sparkrun_tui.recipe.values.overrides import render

    settings = settings_now()
    recipe = found_recipe(name, settings)
    rendered = render(recipe, replace(typed, keep=keep).of(recipe), settings.defaults)
    refuse_wrong_parts(rendered)
    target = Target(hosts, cluster_name, demo)
    if dry_run:
        return _dry_run(rendered, settings, target, solo, as_json)
    import asyncio

    from sparkrun_tui.cli.launch import RunRequest, carry_out

    _agree(rendered, settings, yes)
    return asyncio.run(carry_out(RunRequest(settings, rendered, target, solo, follow, as_json, frozenset(ignore))))


def _dry_run(rendered: Rendered, settings: Settings, target: Target, solo: bool, as_json: bool) -> int:
    from sparkrun_tui.launch.plan.dry_run import PLACEHOLDERS, as_data, lines, offline_plan
    from sparkrun_tui.launch.plan.launch_id import new_launch_id
    from sparkrun_tui.launch.plan.plan import stopped_by

    cluster = saved_cluster(settings, target)
    plan = offline_plan(rendered, cluster, new_launch_id(), os.environ, solo=solo)
    if as_json:
        output.as_json(as_data(plan))
    elif plan.cluster is PLACEHOLDERS:
        output.line("# no cluster is chosen: the host names are placeholders (give yours with -H host1,host2)")
    if not as_json:
        output.raw("\n".join(lines(plan)))
    if plan.errors:
        raise stopped_by(plan.errors[0])
    return Exit.OK


def _agree(rendered: Rendered, settings: Settings, yes: bool) -> None:
    """Ask for the consent that third-party recipes need before their first launch, and again after a change.

    Raises `UsageError` when the user does not agree.
    """
    from sparkrun_tui.cli.prompts import agreed, how_to_agree
    from sparkrun_tui.launch.plan.consent import consent_needed, give, question
    from sparkrun_tui.recipe.bundled_files.attachments import find_attachments

    attached = find_attachments(rendered)
    wanted = consent_needed(rendered, os.environ, attached, data_dirs=settings.data_dirs)
    if not wanted:
        return
    if not agreed(question(rendered, attached), wanted, "Launch it?", yes):
        raise UsageError("not launched: this recipe needs your consent", remedy=how_to_agree())
    give(rendered, attachments=attached)
