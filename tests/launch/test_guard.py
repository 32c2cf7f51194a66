"""The memory guard in the life of a launch: who gets one, what is reported of it, why it stopped, what is left."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.stop import stop
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.plan import dry_run
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.launch.record.events import GuardSeen, GuardState, LaunchStatus
from sparkrun_tui.launch.record.fold import GUARD_READINGS, fold_all
from sparkrun_tui.launch.record.journal import launches_dir, read_state
from sparkrun_tui.launch.record.late import LateRecord
from sparkrun_tui.launch.record.state import GuardRow, LaunchState
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.probe.facts import Gpu
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, FakeHost, rendered
from tests.launch.fakes.guard import FakeGuard
from tests.launch.virtual import virtual_time

FRACTION = SOLO.replace("defaults: {", "defaults: {gpu_memory_utilization: 0.8, ").replace(
    "--port {port}", "--gpu-memory-utilization {gpu_memory_utilization} --port {port}"
)
DISCRETE = (Gpu("NVIDIA H200", "580.95", memory_total=141 * GIB),)


def plan_of(cluster: FakeCluster, text: str = SOLO) -> LaunchPlan:
    return cluster.launcher().plan(rendered(text), cluster.cluster)


def guard_step(plan: LaunchPlan) -> str:
    """The line of the plan about the guard; empty without one."""
    return "".join(f"{step.title}: {step.detail}" for step in plan.steps if step.title == "memory guard")


def row(state: LaunchState, host: str = "spark-1") -> GuardRow:
    guard = state.hosts[host].guard
    assert guard is not None
    return guard


def notices(launch: Launch, level: str) -> list[str]:
    return [notice.text for notice in launch.state.notices if notice.level == level]


def only(host: FakeHost) -> str:
    (container,) = host.containers
    return container


async def begun(host: FakeHost) -> FakeGuard:
    """The guard of a host, once it has one."""
    for _ in range(500):
        if host.guard is not None:
            return host.guard
        await asyncio.sleep(0.1)
    raise AssertionError("there is no guard")


# Who gets one.


async def _probed(cluster: FakeCluster) -> LaunchPlan:
    launcher = cluster.launcher()
    await launcher.probe(cluster.cluster)
    return launcher.plan(rendered(SOLO), cluster.cluster)


@virtual_time
async def test_the_plan_says_so(cluster: FakeCluster) -> None:
    assert guard_step(await _probed(cluster)) == "memory guard: stops the container when less than 4.0 GiB are left"
    unasked = guard_step(plan_of(cluster))
    assert unasked.endswith("4.0 GiB are left, where the GPU shares the host's memory")


@virtual_time
async def test_the_dry_run_shows_the_command(cluster: FakeCluster) -> None:
    plan = await _probed(cluster)
    text = "\n".join(dry_run.lines(plan))
    assert "memory guard: stops the container when less than 4.0 GiB are left (spark-1)" in text
    name = plan.serve.ranks[0].container.name
    assert f"container={name} floor={4 << 20} " in text and "MemAvailable:) free=$value" in text


@pytest.mark.parametrize(
    ("setting", "gpus", "total", "floor"),
    [
        (None, None, 120, 4.0),
        (None, None, 16, 1.0),
        (None, DISCRETE, 1000, 0.0),
        (None, (), 64, 0.0),
        (0.0, None, 120, 0.0),
        (2.5, None, 120, 2.5),
        (2.5, DISCRETE, 1000, 2.5),
    ],
)
@virtual_time
async def test_it_is_for_hosts_whose_gpu_shares_their_memory_unless_the_cluster_says_otherwise(
    cluster: FakeCluster, setting: float | None, gpus: tuple[Gpu, ...] | None, total: int, floor: float
) -> None:
    cluster.cluster = replace(cluster.cluster, guard_floor_gib=setting)
    host = cluster[1]
    host.facts = replace(host.facts, memory_total=total * GIB, memory_available=total * GIB)
    if gpus is not None:
        host.facts = replace(host.facts, gpus=gpus)
    plan = await _probed(cluster)
    launcher = cluster.launcher()
    launch = launcher.launch(plan, ignored=frozenset({"gpu", "memory"}))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.detail
    assert bool(guard_step(launch.plan)) == bool(floor)
    if not floor:
        assert host.guard is None
    else:
        assert host.guard is not None and host.guard.floor == int(floor * (1 << 20))
        assert host.guard.container == only(host)
    await launch.stop()


# What is reported of it.


@virtual_time
async def test_its_samples_are_part_of_the_state_and_of_the_journal(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    guard = cluster[1].guard
    assert guard is not None
    guard.past = [(5, 80), (10, 40), (15, 12.5), (20, 30)]
    guard.recent = [(19.5, 31), (20.5, 33)]
    await asyncio.sleep(25)
    seen = row(launch.state)
    assert seen.readings == tuple(int(gib * GIB) for gib in (80, 40, 12.5, 30))
    assert (seen.least, seen.now, seen.state) == (int(12.5 * GIB), 33 * GIB, GuardState.WATCHING)
    await launch.stop()
    kept = row(read_state(launches_dir() / launch.launch_id))
    assert kept.least == int(12.5 * GIB)
    assert kept.readings[:4] == seen.readings


@virtual_time
async def test_it_goes_with_its_launch(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await launch.wait_ready()
    assert all(host.guard is not None for host in cluster.hosts.values())
    await launch.stop()
    assert all(host.guard is None for host in cluster.hosts.values())
    assert launch.state.status is LaunchStatus.STOPPED


@virtual_time
async def test_a_stop_from_elsewhere_keeps_its_record_and_removes_it(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    await launcher.close()
    guard = cluster[1].guard
    assert guard is not None
    guard.past = [(50, 9.0), (55, 30.0)]
    view = await survey(cluster.cluster, cluster.services)
    report = await stop(view.workloads[0], cluster.services, view, record=LateRecord(launch.launch_id))
    assert report.text == "stopped"
    assert cluster[1].guard is None
    assert row(read_state(launches_dir() / launch.launch_id)).least == 9 * GIB


@virtual_time
async def test_a_guard_that_cannot_start_is_said_and_the_launch_goes_on(cluster: FakeCluster) -> None:
    cluster[1].guard_refused = "mkdir: cannot create directory: Read-only file system"
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    (text,) = notices(launch, "warning")
    assert text.startswith("no memory guard on this host") and "Read-only file system" in text
    await launch.stop()


@virtual_time
async def test_a_guard_that_was_killed_is_said_once(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    guard = cluster[1].guard
    assert guard is not None
    guard.recent = [(1, 50)]
    await asyncio.sleep(100)
    assert [text for text in notices(launch, "warning") if "not guarded" in text] == [
        "the memory guard takes no samples any more: this host is not guarded"
    ]
    assert row(launch.state).state is GuardState.SILENT
    await launch.stop()


@virtual_time
async def test_a_guard_that_ended_before_its_container_is_said_once(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    guard = cluster[1].guard
    assert guard is not None
    # It finds no Docker.
    guard.verdict = ["end 12.00 gone"]
    await asyncio.sleep(100)
    assert len([text for text in notices(launch, "warning") if "not guarded" in text]) == 1
    await launch.stop()


# What is said when it stopped a container.


@virtual_time
async def test_a_start_that_it_stopped_is_explained_with_what_lowers_memory(cluster: FakeCluster) -> None:
    launch = cluster.begin(FRACTION)
    guard = await begun(cluster[1])
    await asyncio.sleep(3)
    guard.fire(cluster[1], 3.25)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.detail == "the memory guard stopped the container: memory fell to 3.2 GiB"
    assert state.diagnosis is not None
    assert state.diagnosis.title == "The guard stopped the container: memory fell to 3.2 GiB"
    assert "3.2 GiB available at" in state.diagnosis.evidence
    keys = {repair.key: repair.value for repair in state.diagnosis.repairs}
    assert keys["gpu_memory_utilization"] == "0.75"
    assert any("memory fell to 3.2 GiB (its floor is 4.0 GiB)" in text for text in notices(launch, "error"))
    seen = row(state)
    assert (seen.stopped, seen.state) == (int(3.25 * GIB), GuardState.STOPPED)
    assert seen.minute == tuple(int(gib * GIB) for gib in (5.25, 4.25, 3.25))
    assert cluster[1].guard is None and cluster.remaining == []
    assert read_state(launches_dir() / launch.launch_id) == state


@virtual_time
async def test_it_explains_the_end_of_the_other_ranks_too(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    guard = await begun(cluster[2])
    await asyncio.sleep(2)
    head = cluster[1].containers[only(cluster[1])]
    cluster[1].say(head, "RuntimeError: NCCL error: remote process exited or there was a network error")
    guard.fire(cluster[2], 1.5)
    cluster[1].end(head, 1)
    state = await launch.wait_ended()
    assert state.diagnosis is not None
    assert state.diagnosis.host == "spark-2"
    assert state.diagnosis.title == "The guard stopped the container: memory fell to 1.5 GiB"


@virtual_time
async def test_a_worker_that_it_stops_in_service_is_named(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await launch.wait_ready()
    assert cluster[2].guard is not None
    cluster[2].guard.fire(cluster[2], 2.0)
    await asyncio.sleep(20)
    assert launch.state.status is LaunchStatus.DEGRADED
    assert "rank 1 on spark-2 is lost: the memory guard stopped the container" in launch.state.detail
    assert len([text for text in notices(launch, "error") if "memory guard" in text]) == 1
    await launch.stop()


@virtual_time
async def test_it_is_found_after_a_freeze_and_a_restart(cluster: FakeCluster) -> None:
    launch = cluster.begin(FRACTION)
    guard = await begun(cluster[1])
    await asyncio.sleep(3)
    host = cluster[1]
    guard.recent = [(1.0, 20), (1.5, 9), (2.0, 2.0)]
    host.lose()
    await asyncio.sleep(60)
    # Somebody switched it off and on.
    host.end(host.containers[only(host)], 137)
    host.facts = replace(host.facts, boot_id="another")
    host.heal_after = 5
    host.heal()
    state = await launch.wait_ended()
    assert state.diagnosis is not None
    assert state.diagnosis.title == "The host ran out of memory and was restarted: 2.0 GiB were left"
    assert any(repair.key == "gpu_memory_utilization" for repair in state.diagnosis.repairs)
    assert row(state).minute == (20 * GIB, 9 * GIB, 2 * GIB)


@virtual_time
async def test_it_is_found_when_a_lost_link_comes_back(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    host = cluster[1]
    guard = await begun(host)
    guard.past = [(5, 60), (10, 50)]
    await asyncio.sleep(15)
    host.lose()
    await asyncio.sleep(120)
    assert launch.state.status is LaunchStatus.UNKNOWN
    guard.past += [(40, 30), (60, 5)]
    guard.fire(host, 3.5)
    host.heal()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.title.endswith("memory fell to 3.5 GiB")
    assert row(state).readings == tuple(int(gib * GIB) for gib in (60, 50, 30, 5, 3.5))


@virtual_time
async def test_a_restart_with_enough_memory_is_no_matter_of_memory(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    guard = await begun(cluster[1])
    await asyncio.sleep(3)
    host = cluster[1]
    guard.recent = [(1.0, 60), (1.5, 61)]
    host.end(host.containers[only(host)], 137)
    host.facts = replace(host.facts, boot_id="another")
    state = await launch.wait_ended()
    assert state.diagnosis is not None and state.diagnosis.title == "The host was restarted"
    assert "60.0 GiB available" in state.diagnosis.evidence


@virtual_time
async def test_it_is_found_by_an_app_that_comes_later(cluster: FakeCluster) -> None:
    first = cluster.launcher()
    launch = first.launch(first.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    assert cluster[1].guard is not None
    cluster[1].guard.past = [(5, 30), (10, 20)]
    await asyncio.sleep(12)
    await first.close()
    cluster[1].guard.past += [(15, 8)]
    cluster[1].guard.fire(cluster[1], 3.0)
    view = await survey(cluster.cluster, cluster.services)
    again = await cluster.launcher().attach(view.workloads[0], cluster.cluster)
    state = await again.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and "memory fell to 3.0 GiB" in state.diagnosis.title
    # Nothing of what the journal had is counted twice.
    assert row(state).readings == (30 * GIB, 20 * GIB, 8 * GIB, 3 * GIB)


@virtual_time
async def test_an_attached_launch_without_a_guard_is_not_asked_again(cluster: FakeCluster) -> None:
    cluster.cluster = replace(cluster.cluster, guard_floor_gib=0.0)
    first = cluster.launcher()
    launch = first.launch(first.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    await first.close()
    view = await survey(cluster.cluster, cluster.services)
    again = await cluster.launcher().attach(view.workloads[0], cluster.cluster)
    await again.wait_ready()
    await asyncio.sleep(30)
    assert again.state.hosts["spark-1"].guard is None
    assert notices(again, "warning") == []
    await again.stop()


EUGR = """\
name: delegated
model: org/tiny
runtime: eugr-vllm
container: registry.test/engine:1
min_nodes: 2
defaults: {port: 8000, tensor_parallel: 2, served_model_name: tiny}
command: vllm serve {model} --port {port} -tp {tensor_parallel} --served-model-name {served_model_name}
"""


@virtual_time
async def test_containers_of_other_scripts_are_guarded_and_one_that_is_gone_is_explained(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(EUGR), cluster.cluster)

    async def scripts() -> None:
        for host in cluster.hosts.values():
            docker = cluster.services.docker(cluster.services.connector(host.name))
            labels = {f"{LABEL}port": "8000", f"{LABEL}rank": host.name[-1], f"{LABEL}served": "x"}
            await docker.start(await docker.create(plan.serve.delegated, {"Image": "i", "Labels": labels}))

    cluster.on_script = scripts
    launch = launcher.launch(plan)
    await asyncio.sleep(8)
    cluster[1].open(8000, "tiny")
    await launch.wait_ready()
    head = cluster[1]
    assert head.guard is not None and head.guard.container == only(head)
    head.guard.fire(head, 2.5)
    # Docker removes such a container once it has ended.
    head.containers.clear()
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and "memory fell to 2.5 GiB" in state.diagnosis.title


# The state.


def test_a_long_launch_keeps_few_readings_and_the_least_of_all() -> None:
    events = [
        GuardSeen(host="a", floor=4 * GIB, state=GuardState.WATCHING, samples=(number * GIB, (number + 1) * GIB))
        for number in range(3000, 0, -1)
    ]
    guard = row(fold_all(events), "a")
    assert GUARD_READINGS <= len(guard.readings) < 2 * GUARD_READINGS
    assert len(guard.readings) * guard.width + len(guard.waiting) == 6000
    assert guard.least == GIB
    assert list(guard.readings) == sorted(guard.readings, reverse=True)
