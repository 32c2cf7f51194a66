"""What labels of containers claim of a launch makes no command line, and replaces nothing that this machine knows."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from inspect import Parameter, signature
from pathlib import Path

import pytest

from sparkrun_tui.cli.commands.history import again
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.record.again import run_again
from sparkrun_tui.launch.record.journal import launch_folder, past_launches, read_state
from tests.launch.fakes import SOLO, FakeCluster, journal_text, rendered
from tests.launch.virtual import virtual_time

EVIL = "registry.test/evil:1"
SETTINGS = {"container": EVIL, "command": "touch canary", "extra_flags": "--canary"}


def claim(cluster: FakeCluster, recipe: str) -> None:
    """The host says something else of its container than what was launched."""
    for item in cluster[1].containers.values():
        labels = {
            **item.info.labels,
            f"{LABEL}recipe": recipe,
            f"{LABEL}settings": json.dumps(SETTINGS),
            f"{LABEL}model": "evil/model",
        }
        item.info = replace(item.info, labels=labels)


async def attached(cluster: FakeCluster, recipe: str) -> str:
    """Launch, let the host change the labels, and attach; the launch's id."""
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    await launcher.close()
    claim(cluster, recipe)
    return launch.launch_id


async def attach(cluster: FakeCluster) -> None:
    view = await survey(cluster.cluster, cluster.services)
    launcher = cluster.launcher()
    launch = await launcher.attach(view.workloads[0], cluster.cluster)
    await launch.wait_ready()
    await launcher.close()


@pytest.mark.parametrize("recipe", ["--demo", "https://evil.test/x.yaml", "/tmp/evil.yaml", "solo"])
@virtual_time
async def test_what_was_launched_here_is_not_replaced_by_labels(cluster: FakeCluster, recipe: str) -> None:
    launch_id = await attached(cluster, recipe)
    before = read_state(launch_folder(launch_id))
    await attach(cluster)
    after = read_state(launch_folder(launch_id))
    assert (after.recipe, after.model, after.reference) == (before.recipe, before.model, before.reference)
    assert dict(after.settings) == dict(before.settings)
    assert again(after) == again(before) is not None
    assert "canary" not in str(again(after))


@pytest.mark.parametrize("recipe", ["--demo", "https://evil.test/x.yaml", "/tmp/evil.yaml", "solo"])
@virtual_time
async def test_a_launch_that_only_labels_describe_has_no_command_line(cluster: FakeCluster, recipe: str) -> None:
    launch_id = await attached(cluster, recipe)
    folder = launch_folder(launch_id)
    for file in sorted(folder.rglob("*"), reverse=True):
        if file.is_file():
            file.unlink()
    for _ in range(2):
        # The second time, the journal of the first one is there.
        await attach(cluster)
        state = read_state(folder)
        assert state.claimed and EVIL in journal_text(folder)
        assert again(state) is None
        assert [past.state.claimed for past in past_launches()] == [True]


def test_every_command_line_from_a_journal_asks_who_says_so() -> None:
    """Two modules make command lines: one of recipes on this machine, and one of journals, which needs `claimed`."""
    import sparkrun_tui

    root = Path(sparkrun_tui.__file__).parent
    makers = []
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if re.search(r"(?<!def )override_words\(", text):
            makers.append(str(path.relative_to(root)))
    assert sorted(makers) == ["launch/record/again.py", "recipe/format/export.py"]
    assert signature(run_again).parameters["claimed"].default is Parameter.empty
    assert run_again("solo", ["spark-1"], {}, claimed=True) is None
