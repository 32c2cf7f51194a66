"""A model that one real host holds and another lacks, sent between them by the first one's own ssh."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from cluster import Host
from cluster.generations import Generation, on
from cluster.models import CHECKPOINT
from test_launch_faults import begin, lab, launcher, pair, ready, remaining

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.remote.ports.models import ModelRequest, StoredModel

HUB = "/root/.cache/huggingface/hub"


def relaying(hosts: list[Host]) -> Cluster:
    """The cluster, its hosts allowed to send to each other."""
    return replace(lab(hosts), host_to_host=True)


async def on_the_head_alone(at: Launcher, head: Host) -> None:
    """Bring the model to the head, and forget it here."""
    async for item in at.services.models.fetch(ModelRequest(CHECKPOINT)):
        if isinstance(item, StoredModel):
            async for _ in at.services.shipper.ship(item, at.services.connector(head.name), "/root/.cache/huggingface"):
                pass
    shutil.rmtree(Path.home() / ".cache/huggingface")


def files(host: Host) -> str:
    """Every file and link of the cache, with sizes and targets."""
    return host.run(f"cd {HUB} && find . \\( -type f -o -type l \\) -printf '%p %s %l\\n' | sort")


@on(*Generation)
async def test_a_host_sends_what_it_has_to_another_and_nothing_passes_through_here(hosts: list[Host]) -> None:
    hosts[0].may_log_in_to_others()
    async with launcher() as at:
        await on_the_head_alone(at, hosts[0])
        plan = await at.inspect(at.plan(pair(), relaying(hosts)))
        step = next(step for step in plan.steps if step.phase is Phase.MODEL)
        assert f"from {hosts[0].name}" in step.detail and [one.host for one in step.commands] == [hosts[0].name]
        launch = at.launch(plan)
        await ready(launch)
        assert launch.state.hosts[hosts[1].name].cells[Phase.MODEL].detail == "sent"
        assert not (Path.home() / ".cache/huggingface").exists()
        assert files(hosts[0]) == files(hosts[1])
        await launch.stop()
    assert remaining(hosts) == []
    assert hosts[0].run("find ~/.cache/sparkrun-tui/jobs -mindepth 1 2>/dev/null", check=False) == ""


async def test_a_host_that_is_let_in_nowhere_leaves_it_to_this_machine(hosts: list[Host]) -> None:
    async with launcher() as at:
        await on_the_head_alone(at, hosts[0])
        launch = begin(at, hosts, pair())
        await ready(launch)
        assert files(hosts[0]) == files(hosts[1])
        assert (Path.home() / ".cache/huggingface/hub").exists()
        await launch.stop()
    assert remaining(hosts) == []
