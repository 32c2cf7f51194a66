"""Surveying what runs on a cluster, and stopping it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.grouping import FoundContainer, group
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.stop import Outcome, stop
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.docker.types import ContainerInfo
from sparkrun_tui.remote.http.client import HttpReply
from sparkrun_tui.remote.transport import LinkState
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time


async def _serve(cluster: FakeCluster, text: str) -> Launch:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(text), cluster.cluster))
    await launch.wait_ready()
    await launch.detach()
    return launch


@virtual_time
async def test_a_survey_groups_ranks_to_a_workload_that_serves(cluster: FakeCluster) -> None:
    launch = await _serve(cluster, SGLANG_TWO)
    view = await survey(cluster.cluster, cluster.services)
    assert [(host.name, host.link.state, host.facts is not None) for host in view.hosts] == [
        ("spark-1", LinkState.UP, True),
        ("spark-2", LinkState.UP, True),
    ]
    (workload,) = view.workloads
    assert (workload.launch_id, workload.recipe, workload.health) == (launch.launch_id, "pair", Health.SERVING)
    assert (workload.port, workload.model, workload.served_name, workload.head_host) == (
        30000,
        "org/tiny",
        "tiny",
        "spark-1",
    )
    assert [(rank.rank, rank.host, rank.role, rank.state) for rank in workload.ranks] == [
        (0, "spark-1", "head", "running"),
        (1, "spark-2", "worker", "running"),
    ]


@virtual_time
async def test_a_server_with_a_health_page_of_its_own_is_asked_for_that_page(cluster: FakeCluster) -> None:
    cluster.http.answers = {"/live": HttpReply(200, b""), "/health": HttpReply(404, b"")}
    await _serve(cluster, SOLO + "readiness: {path: /live}\n")
    (workload,) = (await survey(cluster.cluster, cluster.services)).workloads
    assert (workload.health, workload.health_path) == (Health.SERVING, "/live")
    cluster.http.answers["/live"] = HttpReply(503, b"")
    (workload,) = (await survey(cluster.cluster, cluster.services)).workloads
    assert "/live answers 503" in workload.detail


@virtual_time
async def test_a_host_that_does_not_answer_makes_its_workloads_unknown_and_not_gone(cluster: FakeCluster) -> None:
    await _serve(cluster, SGLANG_TWO)
    cluster[2].unreachable = True
    view = await survey(cluster.cluster, cluster.services)
    assert view.hosts[1].link.state is LinkState.UNREACHABLE
    assert view.hosts[1].facts is None
    assert view.workloads[0].health is Health.UNKNOWN
    assert "spark-2" in view.workloads[0].detail


@virtual_time
async def test_a_host_without_docker_is_still_shown_with_its_load(cluster: FakeCluster) -> None:
    cluster[1].facts = replace(cluster[1].facts, docker_access="denied")
    view = await survey(cluster.cluster, cluster.services)
    assert view.hosts[0].facts is not None
    assert view.workloads == ()


@virtual_time
async def test_a_dead_rank_is_degraded_a_dead_head_is_exited(cluster: FakeCluster) -> None:
    await _serve(cluster, SGLANG_TWO)
    worker = next(iter(cluster[2].containers.values()))
    cluster[2].end(worker, 137)
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.DEGRADED
    assert "rank 1 on spark-2" in view.workloads[0].detail
    cluster[1].end(next(iter(cluster[1].containers.values())), 0)
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.EXITED
    assert view.workloads[0].ranks[0].exit_code == 0


@virtual_time
async def test_a_container_that_docker_starts_again_and_again_is_degraded(cluster: FakeCluster) -> None:
    await _serve(cluster, SOLO + "executor_config: {restart_policy: unless-stopped}\n")
    (container,) = cluster[1].containers.values()
    container.info = replace(container.info, state="restarting", restarts=7)
    cluster[1].servers.clear()
    view = await survey(cluster.cluster, cluster.services)
    (workload,) = view.workloads
    assert workload.health is Health.DEGRADED
    assert "rank 0 on spark-1 ends again and again" in workload.detail
    await stop(workload, cluster.services, view)
    assert cluster.remaining == []


@virtual_time
@pytest.mark.parametrize(("state", "said"), [("created", "was never started"), ("paused", "is paused")])
async def test_a_container_without_an_engine_is_never_serving(cluster: FakeCluster, state: str, said: str) -> None:
    await _serve(cluster, SGLANG_TWO)
    for number in (1, 2):
        (container,) = cluster[number].containers.values()
        container.info = replace(container.info, state=state)
    (workload,) = (await survey(cluster.cluster, cluster.services)).workloads
    assert workload.health is Health.DEGRADED
    assert f"rank 0 on spark-1 {said}" in workload.detail


@virtual_time
async def test_an_answer_on_a_port_of_two_workloads_makes_neither_serving(cluster: FakeCluster) -> None:
    first = await _serve(cluster, SOLO)
    (container,) = cluster[1].containers.values()
    other = replace(
        container.info,
        id="other",
        name="sparkrun-tui-wxyz6789-0",
        labels={**container.info.labels, f"{LABEL}launch": "wxyz6789"},
    )
    cluster[1].containers["other"] = replace(container, info=other)
    view = await survey(cluster.cluster, cluster.services)
    assert {item.launch_id: item.health for item in view.workloads} == {
        first.launch_id: Health.UNKNOWN,
        "wxyz6789": Health.UNKNOWN,
    }
    assert "which of them answers there is not known" in view.workloads[0].detail


@virtual_time
async def test_one_that_does_not_answer_yet_is_starting(cluster: FakeCluster) -> None:
    await _serve(cluster, SOLO)
    cluster[1].servers.clear()
    view = await survey(cluster.cluster, cluster.services)
    assert view.workloads[0].health is Health.STARTING


@virtual_time
async def test_stopping_ends_all_ranks_at_once_with_grace_and_removes_them(cluster: FakeCluster) -> None:
    await _serve(cluster, SGLANG_TWO)
    view = await survey(cluster.cluster, cluster.services)
    began = asyncio.get_running_loop().time()
    report = await stop(view.workloads[0], cluster.services, view)
    assert report.complete and report.text == "stopped"
    assert asyncio.get_running_loop().time() - began < 2, "both in parallel"
    assert cluster.remaining == []
    assert [action.split()[0] for action in cluster[2].actions[-2:]] == ["stop(20)", "remove"]
    again = await stop(view.workloads[0], cluster.services, view)
    assert again.complete


@virtual_time
async def test_what_does_not_serve_yet_is_killed_without_grace(cluster: FakeCluster) -> None:
    await _serve(cluster, SOLO)
    cluster[1].servers.clear()
    view = await survey(cluster.cluster, cluster.services)
    await stop(view.workloads[0], cluster.services, view)
    assert [action.split()[0] for action in cluster[1].actions[-2:]] == ["kill", "remove"]


@virtual_time
async def test_a_lost_host_is_never_called_stopped(cluster: FakeCluster) -> None:
    await _serve(cluster, SGLANG_TWO)
    view = await survey(cluster.cluster, cluster.services)
    cluster[2].unreachable = True
    report = await stop(view.workloads[0], cluster.services, view)
    assert not report.complete
    assert [(rank.host, rank.outcome) for rank in report.ranks] == [
        ("spark-1", Outcome.STOPPED),
        ("spark-2", Outcome.UNKNOWN),
    ]
    assert "spark-2: unknown" in report.text


@virtual_time
async def test_containers_of_the_other_tool_are_shown_and_only_stopped_never_removed(cluster: FakeCluster) -> None:
    docker = cluster.services.docker(cluster.services.connector("spark-1"))
    identity = await docker.create("sparkrun_0a1b2c_solo", {"Image": "x", "Labels": {f"{LABEL}port": "1"}})
    cluster[1].containers[identity].info = replace(cluster[1].containers[identity].info, state="running", labels={})
    await docker.create("database", {"Image": "postgres", "Labels": {}})
    view = await survey(cluster.cluster, cluster.services)
    (foreign,) = view.workloads
    assert (foreign.ours, foreign.launch_id, foreign.recipe, foreign.health) == (
        False,
        "",
        "sparkrun_0a1b2c",
        Health.UNKNOWN,
    )
    report = await stop(foreign, cluster.services, view)
    assert report.complete
    assert sorted(cluster.remaining) == ["database", "sparkrun_0a1b2c_solo"]


def test_workloads_come_newest_first_and_the_head_leads() -> None:
    def seen(launch: str, rank: int, started: float) -> FoundContainer:
        labels = {f"{LABEL}launch": launch, f"{LABEL}rank": str(rank), f"{LABEL}nodes": "2", f"{LABEL}hosts": "a,b"}
        return FoundContainer(
            "ab"[rank], ContainerInfo(f"{launch}{rank}", f"{launch}-{rank}", "i", "running", labels, started=started)
        )

    workloads = group(
        [seen("eeeeeeee", 1, 10.0), seen("nnnnnnnn", 1, 99.0), seen("eeeeeeee", 0, 11.0), seen("nnnnnnnn", 0, 98.0)]
    )
    assert [item.launch_id for item in workloads] == ["nnnnnnnn", "eeeeeeee"]
    assert [rank.host for rank in workloads[1].ranks] == ["a", "b"]


def test_a_rank_that_is_missing_on_a_host_that_answers_is_reported() -> None:
    labels = {f"{LABEL}launch": "xxxxxxxx", f"{LABEL}rank": "0", f"{LABEL}nodes": "2", f"{LABEL}hosts": "a,b"}
    item = FoundContainer("a", ContainerInfo("1", "x-0", "i", "running", labels))
    (workload,) = group([item])
    assert (workload.health, workload.detail) == (Health.DEGRADED, "rank 1 has no container")
    (unsure,) = group([item], silent=frozenset({"b"}))
    assert unsure.health is Health.UNKNOWN
