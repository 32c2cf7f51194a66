"""Taking up what was launched before: whole, half made, ended meanwhile, or not ours."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace

import pytest

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.engines.layout.labels import health_path_of
from sparkrun_tui.engines.plan import LABEL, Phase
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.record.journal import launches_dir, read_log
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.http.client import HttpReply
from sparkrun_tui.remote.lease import lease_of
from tests.launch.fakes import RAY_TWO, SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost, rendered
from tests.launch.virtual import virtual_time


@dataclass(frozen=True, slots=True)
class Rank:
    host: str
    container_id: str


@dataclass(frozen=True, slots=True)
class Found:
    launch_id: str
    ranks: tuple[Rank, ...]


def found(cluster: FakeCluster, launch_id: str) -> Found:
    """What a survey would hand over."""
    ranks = [
        Rank(host.name, item.info.id)
        for host in cluster.hosts.values()
        for item in host.containers.values()
        if item.info.labels.get("io.sparkrun-tui.launch") == launch_id
    ]
    return Found(launch_id, tuple(ranks))


async def _let_go(cluster: FakeCluster, text: str, after: float | None = None) -> Launch:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(text), cluster.cluster))
    if after is None:
        await launch.wait_ready()
    else:
        await asyncio.sleep(after)
    await launcher.close()
    return launch


async def _idle(host: FakeHost, container: FakeContainer) -> int:
    await asyncio.sleep(10_000_000)
    return 0


@virtual_time
async def test_the_recipes_health_page_is_asked_after_attaching_too(cluster: FakeCluster) -> None:
    cluster.http.answers = {"/live": HttpReply(200, b""), "/health": HttpReply(404, b"")}
    launch = await _let_go(cluster, SOLO + "readiness: {path: /live}\n")
    cluster.http.calls.clear()
    attached = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    assert (await attached.wait_ready()).status is LaunchStatus.READY
    assert "/live" in {call.path for call in cluster.http.calls}
    assert "/health" not in {call.path for call in cluster.http.calls}
    await attached.stop()


@pytest.mark.parametrize("label", ["live", "/a b", "/x\r\nHost: y", "http://other/x", "/" + "a" * 300, "/\u00e4", ""])
def test_a_label_that_is_no_path_of_a_page_means_the_usual_one(label: str) -> None:
    assert health_path_of({f"{LABEL}health": label}) == "/health"


@virtual_time
async def test_a_pair_is_attached_with_its_hosts_in_rank_order(cluster: FakeCluster) -> None:
    launch = await _let_go(cluster, SGLANG_TWO)
    launcher = cluster.launcher()
    again = await launcher.attach(found(cluster, launch.launch_id), cluster.cluster)
    state = await again.wait_ready()
    assert [(row.name, row.rank) for row in state.hosts.values()] == [("spark-1", 0), ("spark-2", 1)]
    assert state.hosts["spark-2"].cells[Phase.START].state is StepState.OK
    assert again.rendered is None, "hosts keep no recipe"
    assert again.plan.serve.ready.served_name == "tiny"
    await again.stop()
    assert cluster.remaining == []


@virtual_time
async def test_one_that_was_let_go_while_it_started_goes_on_to_ready(cluster: FakeCluster) -> None:
    launch = await _let_go(cluster, SGLANG_TWO, after=6.0)
    assert launch.state.status is LaunchStatus.STARTING
    assert len(cluster.running) == 2
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    assert (await again.wait_ready()).status is LaunchStatus.READY
    await again.stop()


@virtual_time
async def test_a_launch_that_never_made_all_its_ranks_is_degraded_and_can_be_stopped(cluster: FakeCluster) -> None:
    launch = await _let_go(cluster, SGLANG_TWO)
    worker = next(iter(cluster[2].containers))
    await cluster.services.docker(cluster.services.connector("spark-2")).remove(worker, force=True)
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    state = await again.wait_ready()
    assert state.status is LaunchStatus.DEGRADED
    assert "rank 1 on spark-2 was never started" in state.detail
    await again.stop()
    assert cluster.remaining == []


@virtual_time
async def test_a_container_that_was_made_and_never_started_counts_as_missing(cluster: FakeCluster) -> None:
    launch = await _let_go(cluster, SGLANG_TWO)
    item = next(iter(cluster[1].containers.values()))
    cluster[1].end(item, 0)
    item.info = replace(item.info, state="created", exit_code=None)
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    state = await again.wait_ready()
    assert state.status is LaunchStatus.DEGRADED and "was never started" in state.detail
    await again.stop()
    assert cluster.remaining == []


@virtual_time
async def test_one_that_ended_meanwhile_is_reported_with_its_last_words(cluster: FakeCluster) -> None:
    launch = await _let_go(cluster, SOLO)
    container = next(iter(cluster[1].containers.values()))
    cluster[1].say(container, "EngineDeadError: EngineCore encountered an issue.", "stderr")
    cluster[1].end(container, 0)
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    state = await again.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None
    assert any("EngineDeadError" in line.text for line in read_log(launches_dir() / launch.launch_id, "spark-1"))
    assert cluster.remaining == []


@virtual_time
async def test_an_engine_that_runs_as_an_exec_is_watched_again(cluster: FakeCluster) -> None:
    for host in cluster.hosts.values():
        host.program = _idle
    launch = await _let_go(cluster, RAY_TWO)
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    await again.wait_ready()
    head = next(iter(cluster[1].containers.values()))
    head.files["/run/sparkrun/exec-0/code"] = "1"
    state = await again.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "the engine ended with exit code 1" in state.detail
    assert cluster.remaining == []


@virtual_time
async def test_one_that_was_let_go_before_its_engine_began_is_never_called_starting(cluster: FakeCluster) -> None:
    for host in cluster.hosts.values():
        host.program = _idle
    launch = await _let_go(cluster, RAY_TWO)
    head = next(iter(cluster[1].containers.values()))
    for path in [path for path in head.files if path.startswith("/run/sparkrun/exec-0")]:
        del head.files[path]
    cluster[1].servers.clear()
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.DEGRADED
    assert "its engine was not started" in view.workloads[0].detail
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    state = await again.wait_ready()
    assert state.status is LaunchStatus.DEGRADED and "its engine was not started" in state.detail
    await again.stop()
    assert cluster.remaining == []


@virtual_time
async def test_one_that_another_program_prepares_is_starting(cluster: FakeCluster) -> None:
    for host in cluster.hosts.values():
        host.program = _idle
    launch = await _let_go(cluster, RAY_TWO)
    head = next(iter(cluster[1].containers.values()))
    files = {path: head.files.pop(path) for path in list(head.files) if path.startswith("/run/sparkrun/exec-0")}
    servers = dict(cluster[1].servers)
    cluster[1].servers.clear()
    cluster[1].facts = replace(
        cluster[1].facts, lease=lease_of(json.dumps({"launch": launch.launch_id, "user": "ann@desk"}), 20.0)
    )
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.STARTING
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    await asyncio.sleep(30)
    assert again.state.status is LaunchStatus.STARTING
    head.files.update(files)
    cluster[1].servers.update(servers)
    assert (await again.wait_ready()).status is LaunchStatus.READY
    await again.stop()


@virtual_time
async def test_the_same_launch_of_this_run_is_not_watched_twice(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    assert await launcher.attach(found(cluster, launch.launch_id), cluster.cluster) is launch
    await launch.stop()


@virtual_time
async def test_without_a_journal_the_last_lines_are_read(cluster: FakeCluster) -> None:
    import shutil

    launch = await _let_go(cluster, SOLO)
    container = next(iter(cluster[1].containers.values()))
    for number in range(5000):
        cluster[1].say(container, f"line {number}")
    shutil.rmtree(launches_dir())
    again = await cluster.launcher().attach(found(cluster, launch.launch_id), cluster.cluster)
    await again.wait_ready()
    texts = [line.text for line in again.logs["spark-1"].since(0)]
    assert texts == [f"line {number}" for number in range(3000, 5000)]
    await again.stop()
    whole = [line.text for line in read_log(launches_dir() / launch.launch_id, "spark-1")]
    assert [text for text in whole if text.startswith("line")] == [f"line {number}" for number in range(5000)]


@virtual_time
async def test_what_is_not_ours_or_gone_cannot_be_attached(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    with pytest.raises(LaunchError, match="not launched by sparkrun-tui"):
        await launcher.attach(Found("", (Rank("spark-1", "x"),)), cluster.cluster)
    with pytest.raises(LaunchError, match="no containers any more"):
        await launcher.attach(Found("gone2345", (Rank("spark-1", "x"),)), cluster.cluster)
    cluster[1].unreachable = True
    with pytest.raises(HostError):
        await launcher.attach(Found("gone2345", (Rank("spark-1", "x"),)), cluster.cluster)
