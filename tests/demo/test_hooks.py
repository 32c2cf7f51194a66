"""A recipe with hooks on the demo cluster: it serves, and nothing is run anywhere."""

from __future__ import annotations

from pathlib import Path

from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.launch.desk import Desk
from sparkrun_tui.launch.events import LaunchStatus
from tests.demo import samples


async def test_hooks_are_shown_and_not_run(demo: DemoCluster, desk: Desk, tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    hooks = f"pre_exec: [touch {touched}]\npost_exec: [touch {touched}]\npost_commands: [touch {touched}]\n"
    launch = desk.launch(desk.plan(samples.rendered(samples.LLAMA + hooks), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert [notice.text for notice in state.notices if notice.level == "warning"] == []
    texts = [line.text for line in launch.logs["spark-1"].since(0)]
    assert any("run nowhere" in text for text in texts)
    await launch.stop()
    assert not touched.exists()
