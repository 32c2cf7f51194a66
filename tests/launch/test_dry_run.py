"""A launch changes exactly what its dry run shows: for small recipes of each kind, and for all that are bundled."""

from __future__ import annotations

import asyncio
import re

import pytest

from sparkrun_tui.base.disk.paths import bundled_recipes
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.plan.shapes import WORKSTATION, Command
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from tests.launch.fakes import LLAMA, RAY_TWO, SGLANG_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time

BUNDLED = sorted(bundled_recipes().glob("*.yaml"))


async def _idle(host: object, container: object) -> int:
    await asyncio.sleep(10_000_000)
    return 0


async def changes_what_it_says(cluster: FakeCluster, what: Rendered) -> None:
    """Launch on hosts that hold nothing, and compare what each daemon was asked for with the plan."""
    cluster.local_models.clear()
    launcher = cluster.launcher()
    await launcher.probe(cluster.cluster)
    plan = launcher.plan(what, cluster.cluster)
    for host in cluster.hosts.values():
        host.images.clear()
        if any(stage.execs for stage in plan.serve.stages):
            host.program = _idle
    cluster.rendezvous |= set(range(20_000, 60_000))
    launch = launcher.launch(plan)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    for name, host in cluster.hosts.items():
        described = [change for command in _changes(plan, name) for change in _as_actions(command)]
        done = [action for action in host.actions if not action.startswith("ship")]
        # The pull and the transfer of the model run side by side, and an exec brings its own files.
        assert [action for action in done if action.split()[0] != "upload"] == described
        assert (host.guard is not None) == any(_is_guard(command) for command in _changes(plan, name))
        assert any(action.startswith("ship") for action in host.actions) == _ships_to(plan, name)
    await launch.stop()


@pytest.mark.parametrize("text", [SOLO, SGLANG_TWO, RAY_TWO, LLAMA])
@virtual_time
async def test_a_launch_makes_exactly_the_changes_that_the_dry_run_shows(cluster: FakeCluster, text: str) -> None:
    await changes_what_it_says(cluster, rendered(text))


@pytest.mark.parametrize("hosts", [1, 2, 4])
@virtual_time
async def test_so_does_every_bundled_recipe(hosts: int) -> None:
    launched = 0
    for path in BUNDLED:
        recipe = load_recipe(path)
        cluster = FakeCluster(*(f"spark-{number}" for number in range(1, hosts + 1)))
        try:
            plan = cluster.launcher().plan(render(recipe, {}), cluster.cluster)
        except LaunchError:
            continue  # it wants more hosts
        if not plan.serve.delegated:  # by eugr's scripts: what they do is not in our plan
            await changes_what_it_says(cluster, render(recipe, {}))
            launched += 1
    assert launched > len(BUNDLED) // 2


def _changes(plan: LaunchPlan, host: str) -> list[Command]:
    return [command for step in plan.steps for command in step.commands if command.host == host and command.changes]


def _ships_to(plan: LaunchPlan, host: str) -> bool:
    here = [command.text for command in _changes(plan, WORKSTATION)]
    return any(text.startswith("rsync") and f" {host}:" in text for text in here)


def _is_guard(command: Command) -> bool:
    return "# sparkrun-tui: guard\n" in command.text


def _as_actions(command: Command) -> list[str]:
    text = command.text
    if _is_guard(command):
        # It begins beside its container, before an exec of that.
        return []
    if text.startswith("docker run"):
        found = re.search(r"--name (\S+)", text)
        assert found is not None
        return [f"create {found[1]}", f"start {found[1]}"]
    if text.startswith("docker exec"):
        return ["exec bash /run/sparkrun/exec-0.sh"]
    return [text.removeprefix("docker ")]
