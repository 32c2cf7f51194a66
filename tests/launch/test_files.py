"""Files of this machine that go into containers, images that hosts build, and servers started for one piece of work."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.plan.consent import consent_needed, give
from sparkrun_tui.launch.plan.shapes import WORKSTATION
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from sparkrun_tui.recipe.search.sources import find_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost, rendered
from tests.launch.virtual import virtual_time
from tests.recipe.upstream import Upstream

FIELDS = "pre_exec: [echo hi, {copy: patches, dest: /opt}]\nmods: [mods/fix]\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "recipe"
    (place / "patches" / "sub").mkdir(parents=True)
    (place / "patches" / "sub" / "a").write_text("patched\n")
    (place / "mods" / "fix").mkdir(parents=True)
    (place / "mods" / "fix" / "run.sh").write_text("echo fixed\n")
    return place


def of(folder: Path, text: str) -> Rendered:
    return render(load_text(text, Source(SourceKind.PATH, str(folder / "r.yaml"))), {})


@virtual_time
async def test_every_container_gets_the_files_before_it_is_started(cluster: FakeCluster, folder: Path) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(of(folder, SGLANG_TWO + FIELDS), cluster.cluster)
    launch = launcher.launch(plan)
    shutil.rmtree(folder)  # what was shown is what is sent
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    for host in cluster.hosts.values():
        (container,) = host.containers.values()
        assert container.files["/run/sparkrun/before-2/sub/a"] == "patched\n"
        assert container.files["/run/sparkrun/before-3/run.sh"] == "echo fixed\n"
        assert "cp -R -- /run/sparkrun/before-2/. /opt" in container.files["/run/sparkrun/before-2.sh"]
        name = container.info.name
        assert [action for action in host.actions if name in action] == [
            f"create {name}",
            f"upload {name}",
            f"start {name}",
        ]
    await launch.stop()


@virtual_time
async def test_the_dry_run_shows_files_and_scripts_in_full(cluster: FakeCluster, folder: Path) -> None:
    plan = cluster.launcher().plan(of(folder, SOLO + FIELDS), cluster.cluster)
    shown = "\n".join(dryrun.lines(plan))
    name = plan.serve.ranks[0].container.name
    assert "sub/a (8 B)" in shown and "# run.sh: echo fixed" in shown and "mods first" in shown
    titles = [step.title for step in plan.steps]
    at = titles.index("create")
    assert titles[at : at + 3] == ["create", "files", "start"]
    texts = [[command.text for command in step.commands] for step in plan.steps[at : at + 3]]
    assert texts[0][-1].startswith("docker create --init") and texts[2] == [f"docker start {name}"]
    assert all(command.host == WORKSTATION for command in plan.steps[at + 1].commands)
    assert all(text.endswith(f"| ssh spark-1 'docker cp - {name}:/'") for text in texts[1])
    assert "cp -R -- /run/sparkrun/before-2/. /opt" in texts[0][-1]


@virtual_time
async def test_a_file_that_is_not_as_shown_stops_the_launch_before_it_begins(
    cluster: FakeCluster, folder: Path
) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(of(folder, SOLO + FIELDS), cluster.cluster)
    (folder / "mods" / "fix" / "run.sh").write_text("echo other\n")
    with pytest.raises(LaunchError, match=r"run\.sh has changed since it was shown"):
        launcher.launch(plan)
    missing = launcher.plan(of(folder, SOLO + "mods: ['@none/x']\n"), cluster.cluster)
    with pytest.raises(LaunchError, match="the mod `@none/x`") as refused:
        launcher.launch(missing)
    assert refused.value.spot is not None and refused.value.spot.line == SOLO.count("\n") + 1
    assert cluster[1].actions == [] and launcher.launches == {}
    started = launcher.launch(missing, ignored=frozenset({"mod-missing"}))
    assert (await started.wait_ready()).status is LaunchStatus.READY
    await started.stop()


@virtual_time
async def test_other_files_than_those_agreed_to_are_asked_about(cluster: FakeCluster, tmp_path: Path) -> None:
    upstream = Upstream(tmp_path / "arena").write("recipes/r.yaml", SOLO + "mods: [fix]\n")
    add_registry(str(upstream.write("mods/fix/run.sh", "echo one").commit().folder), "arena")
    launcher = cluster.launcher()
    what = render(find_recipe("@arena/r", Settings()), {})
    assert any("echo one" in demand.detail for demand in consent_needed(what, {}))
    give(what)
    assert consent_needed(what, {}) == ()
    upstream.write("mods/fix/run.sh", "echo two").commit()
    update_registries(["arena"])
    again = render(find_recipe("@arena/r", Settings()), {})
    with pytest.raises(LaunchError, match="has changed since you agreed"):
        launcher.launch(launcher.plan(again, cluster.cluster))
    give(again)
    launch = launcher.launch(launcher.plan(again, cluster.cluster))
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert container.files["/run/sparkrun/before-1/run.sh"] == "echo two"
    await launch.stop()


WORK = SOLO + "post_exec: [measure]\npost_commands: [collect]\nstop_after_post: true\n"


@virtual_time
async def test_a_server_started_for_some_work_is_stopped_after_it(cluster: FakeCluster) -> None:
    async def long(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(3 * 3600)
        return 0

    cluster.after_program = long
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(WORK), cluster.cluster)
    last = plan.steps[-1]
    assert (last.title, last.hosts) == ("stop_after_post", ("spark-1",))
    assert last.commands[0].text.startswith("docker stop") and any(
        "stop_after_post" in note for note in plan.serve.notes
    )
    launch = launcher.launch(plan)
    state = await launch.wait_ready()
    state = await launch.wait_ended()
    assert (state.status, state.detail) == (
        LaunchStatus.STOPPED,
        "all commands have succeeded (stop_after_post)",
    )
    assert cluster.ran == ["spark-1: collect"] and cluster.remaining == []
    assert any(action.startswith(f"stop({plan.serve.stop_grace:.0f})") for action in cluster[1].actions)
    assert state.diagnosis is None


@virtual_time
async def test_a_server_whose_work_failed_is_not_stopped(cluster: FakeCluster) -> None:
    async def fail(host: FakeHost, container: FakeContainer) -> int:
        return 3

    cluster.after_program = fail
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(WORK), cluster.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("the server is not stopped" in notice.text for notice in state.notices if notice.level == "warning")
    await launch.stop()


@virtual_time
async def test_an_image_is_built_on_the_head_before_any_container_is_made(cluster: FakeCluster) -> None:
    text = SOLO.replace("container: registry.test/engine:1", "container: own-image\nbuilder: eugr\nbuild_args: [--x]")
    built: list[list[str]] = []
    cluster.local_models.clear()

    async def scripts() -> None:
        built.append(list(cluster[1].actions))

    cluster.on_script = scripts
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(text), cluster.cluster)
    assert "image" not in [step.title for step in plan.steps]
    launch = launcher.launch(plan)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    (before,) = built
    assert before == ["script"] or not any(action.startswith(("pull", "create", "ship")) for action in before)
    assert any(action.startswith("create") for action in cluster[1].actions)
    await launch.stop()
    assert cluster.remaining == []
