"""Launching an earlier launch again, from its record: with its overrides, after one confirmation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.command.added import with_value
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.launch.record.again import values_again
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.app_port import AppPort
from sparkrun_tui.ui.model.ports import PastLaunch
from sparkrun_tui.ui.paint.launch.change_lines import change_words
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm

if TYPE_CHECKING:
    from sparkrun_tui.launch.sizing.evaluation import Evaluation


async def launch_again(app: AppPort, past: PastLaunch, repair: Repair | None = None) -> None:
    """Launch it again, with a repair where one is given, after a confirmation that says what is other than then.

    Raises `SparkrunError` when its recipe or a secret among its values is not to be had.
    """
    found = await _as_now(app, past, repair)
    cluster = app.state.cluster
    if found is None or cluster is None:
        return
    rendered = found.rendered
    lines = [f"{past.recipe} on {', '.join(found.places)}"]
    words = change_words(rendered.original, rendered.overrides, app.state.settings.defaults)
    lines += [f"  {change}" for change in words]
    changed = _changed(past, found, cluster)
    if repair is not None and repair.key:
        before = (past.settings or {}).get(repair.key, "as in the recipe")
        changed.insert(0, f"{repair.key} {before} → {repair.value}")
    if changed:
        lines += ["", "Other than then:", *(f"  {change}" for change in changed)]
    lines += ["", "It is launched once its hosts were checked."]
    if await app.ask(Confirm("Launch again?", lines, "Launch", "Cancel")):
        app.open_plan(rendered, found.places, go=True)


async def plan_again(app: AppPort, past: PastLaunch) -> None:
    """Show the plan of launching it again. Raises `SparkrunError` as `launch_again` does."""
    found = await _as_now(app, past, None)
    if found is not None:
        app.open_plan(found.rendered, found.places)


async def export_again(app: AppPort, past: PastLaunch) -> Rendered:
    """Its recipe with its overrides, for another tool. Raises `SparkrunError` as `launch_again` does."""
    recipe, values = await _recipe_and_values(app, past)
    return render(recipe, values, app.state.settings.defaults)


async def _recipe_and_values(app: AppPort, past: PastLaunch) -> tuple[Recipe, dict[str, str]]:
    """Its recipe as it is now, and its overrides with the secrets that are typed now."""
    recipe = await app.backend.recipe_of(past)
    typed: dict[str, str] = {}
    if app.state.catalog.entry(recipe.source.path) is not None:
        typed = dict(app.state.edits_of(recipe.source.path).overrides)
    return recipe, values_again(past.settings or {}, typed)


async def _as_now(app: AppPort, past: PastLaunch, repair: Repair | None) -> Evaluation | None:
    """Its recipe with its overrides, on the hosts that would be used now; an error of the recipe is shown."""
    recipe, values = await _recipe_and_values(app, past)
    state = app.state
    if repair is not None and repair.key:
        plain = state.catalog.evaluate(recipe, values, state.view)
        repaired = with_value(plain.rendered, values, repair.key, repair.value)
        values = repaired if repaired is not None else {**values, repair.key: repair.value}
    found = state.catalog.evaluate(recipe, values, state.view)
    if found.errors:
        app.say(f"It cannot be launched: {found.errors[0].message}", "error")
        return None
    cluster = state.cluster
    if cluster is not None and len(past.hosts) == found.hosts and set(past.hosts) <= set(cluster.hosts):
        # The hosts of then, as long as it fits there.
        same = state.catalog.evaluate(recipe, values, state.view_of(past.hosts))
        if same.level != "bad":
            return same
    return found


def _changed(past: PastLaunch, found: Evaluation, cluster: Cluster) -> list[str]:
    """What is other than at an earlier launch, in words."""
    words = []
    if past.cluster and past.cluster != cluster.name:
        words.append(f"cluster {cluster.name}, in place of {past.cluster}")
    if past.hosts != found.places:
        words.append(f"on {', '.join(found.places)}, in place of {', '.join(past.hosts)}")
    return words
