"""A recipe with hooks on the demo cluster: it serves, and nothing is run anywhere."""

from __future__ import annotations

from pathlib import Path

from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.overrides import render
from tests.demo import samples


async def test_hooks_are_shown_and_not_run(demo: DemoCluster, launcher: Launcher, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    hooks = f"pre_exec: [touch {touched}]\npost_exec: [touch {touched}]\npost_commands: [touch {touched}]\n"
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA + hooks), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert [notice.text for notice in state.notices if notice.level == "warning"] == []
    texts = [line.text for line in launch.logs["spark-1"].since(0)]
    assert any("run nowhere" in text for text in texts)
    await launch.stop()
    assert not touched.exists()


async def test_mods_copies_and_a_build_are_reported_and_nothing_is_done(
    demo: DemoCluster, launcher: Launcher, tmp_path: Path
) -> None:
    (tmp_path / "patches").mkdir()
    (tmp_path / "patches" / "data.bin").write_bytes(bytes(range(256)))
    fields = "pre_exec: [{copy: patches, dest: /opt}]\nmods: [mods/theirs]\nbuilder: eugr\n"
    text = samples.VLLM.replace("acme/vllm:v0.31.0", "local-image").replace("Falcon-40B", "Falcon-4B") + fields
    recipe = load_text(text, Source(SourceKind.PATH, str(tmp_path / "r.yaml")))
    launch = launcher.launch(launcher.plan(render(recipe, {}), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    texts = [line.text for line in launch.logs["spark-1"].since(0)]
    assert texts.index("spark-vllm-docker at 4f1c2ab of 2026-10-30") < texts.index("naming to local-image done")
    await launch.stop()


async def test_a_server_for_one_piece_of_work_ends_after_it(demo: DemoCluster, launcher: Launcher) -> None:
    work = "post_exec: [measure]\nstop_after_post: true\n"
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA + work), demo.cluster))
    await launch.wait_ready()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.STOPPED and "stop_after_post" in state.detail
