"""What a launch does when something goes wrong on one of several hosts, in an engine or in ourselves."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from sparkrun_tui.base.reading.patterns import LinePattern
from sparkrun_tui.base.units import GIB
from sparkrun_tui.engines.logs.causes import Cause
from sparkrun_tui.engines.logs.rules import FactRule
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.engines.vllm.log import LOG
from sparkrun_tui.launch.record.events import LaunchStatus, StatusChanged, StepState
from tests.launch.fakes import IMAGE, RAY_TWO, SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost, rendered
from tests.launch.virtual import virtual_time


def _fail_pull(host: FakeHost) -> None:
    host.images.clear()
    host.refuse["pull"] = "manifest unknown"


def _fail_ship(host: FakeHost) -> None:
    host.refuse["ship"] = "No space left on device"


def _fail_create(host: FakeHost) -> None:
    host.refuse["create"] = "could not select device driver"


def _fail_start(host: FakeHost) -> None:
    host.refuse["start"] = "OCI runtime create failed"


@pytest.mark.parametrize(
    ("breaks", "phase"),
    [
        (_fail_pull, Phase.IMAGE),
        (_fail_ship, Phase.MODEL),
        (_fail_create, Phase.START),
        (_fail_start, Phase.START),
    ],
)
@pytest.mark.parametrize("number", [1, 2])
@virtual_time
async def test_a_failure_on_one_host_fails_the_launch_and_leaves_nothing(
    cluster: FakeCluster, breaks: Callable[[FakeHost], None], phase: Phase, number: int
) -> None:
    breaks(cluster[number])
    launch = cluster.begin(SGLANG_TWO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.hosts[f"spark-{number}"].cells[phase].state is StepState.FAILED
    assert state.diagnosis is not None and state.diagnosis.host == f"spark-{number}"
    assert cluster.remaining == []
    assert [host.lease for host in cluster.hosts.values()] == ["", ""]


@virtual_time
async def test_what_the_other_host_was_moving_is_finished_first(cluster: FakeCluster) -> None:
    _fail_pull(cluster[1])
    cluster[2].images.clear()
    state = await cluster.begin(SGLANG_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert IMAGE in cluster[2].images
    assert not any(action.startswith("create") for host in cluster.hosts.values() for action in host.actions)


@virtual_time
async def test_no_worker_is_started_before_the_ray_head_answers(cluster: FakeCluster) -> None:
    cluster.rendezvous.clear()
    state = await cluster.begin(RAY_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "46379 did not open" in state.detail
    assert not any(action.startswith("create") for action in cluster[2].actions)
    assert cluster.remaining == []


@virtual_time
async def test_an_engine_that_ends_before_it_serves_is_a_failure_with_its_own_words(cluster: FakeCluster) -> None:
    async def dies(host: FakeHost, container: FakeContainer) -> int:
        host.say(container, "vllm: error: unrecognized arguments: --no-such-flag 5", "stderr")
        return 2

    cluster[1].program = dies
    launch = cluster.begin(SOLO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None
    assert "unrecognized arguments" in state.diagnosis.evidence
    assert cluster.remaining == []
    assert any("unrecognized" in line.text for line in launch.logs["spark-1"].since(0))


@virtual_time
async def test_a_rule_that_stumbles_over_a_log_does_not_cost_the_launch_its_end(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(host: FakeHost, container: FakeContainer) -> int:
        host.say(container, "needs 0.9. of it", "stderr")
        return 1

    def stumbles(*_: object) -> str:
        return str(float("0.9."))

    rule = Cause(LinePattern("needs 0.9. of it"), "never shown", stumbles)
    monkeypatch.setattr("sparkrun_tui.launch.diagnosis.diagnose.causes_of", lambda _: (rule,))
    cluster[1].program = dies
    launch = cluster.begin(SOLO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None
    assert any("ValueError" in line.text for line in launch.logs["spark-1"].since(0))
    assert [notice.level for notice in state.notices if "a defect of sparkrun-tui" in notice.text] == ["warning"]


@virtual_time
async def test_lines_that_no_rule_can_read_do_not_end_the_log(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dies(host: FakeHost, container: FakeContainer) -> int:
        for _ in range(3):
            host.say(container, "Checkpoint size: 1.2.3 GiB")
            host.say(container, "Model loading took 5.0 GiB")
        await asyncio.sleep(3)
        host.say(container, "last words", "stderr")
        return 1

    def stumbles(*_: object) -> None:
        raise KeyError("a defect")

    rules = (FactRule(LinePattern("Model loading took"), stumbles), *LOG.facts)  # type: ignore[arg-type]
    for module in ("launch.run.parts.follow", "launch.diagnosis.diagnose"):
        monkeypatch.setattr(f"sparkrun_tui.{module}.log_of", lambda _: replace(LOG, facts=rules))
    cluster[1].program = dies
    launch = cluster.begin(SOLO)
    state = await launch.wait_ended()
    texts = [line.text for line in launch.logs["spark-1"].since(0) if line.stream != "app"]
    assert texts.count("Checkpoint size: 1.2.3 GiB") == 3 and texts[-1] == "last words"
    notices = [notice.text for notice in state.notices if "a defect of sparkrun-tui" in notice.text]
    assert state.facts["weights_bytes"] == 5 * GIB, "the rules after it had their turn"
    # Once while the log was followed, once when the cause was looked for.
    assert len(notices) == 2 and all("KeyError" in text for text in notices)


@virtual_time
async def test_one_dead_rank_ends_the_start_of_all(cluster: FakeCluster) -> None:
    async def dies(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(3)
        host.say(container, "RuntimeError: CUDA error: no kernel image is available", "stderr")
        return 1

    cluster[2].program = dies
    state = await cluster.begin(SGLANG_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.host == "spark-2"
    assert cluster.remaining == []


@virtual_time
async def test_exit_code_0_of_a_serving_engine_is_not_called_a_clean_end(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    container = next(iter(cluster[1].containers.values()))
    cluster[1].end(container, 0)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "exit code 0" in state.detail


@virtual_time
async def test_a_lost_worker_makes_a_serving_launch_degraded_though_the_head_is_healthy(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await launch.wait_ready()
    cluster[2].end(next(iter(cluster[2].containers.values())), 137)
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.DEGRADED
    assert "rank 1 on spark-2" in launch.state.detail
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_an_engine_that_answers_unhealthy_is_degraded_and_comes_back(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    cluster[1].unhealthy = True
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.DEGRADED
    cluster[1].unhealthy = False
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_two_launches_do_not_prepare_one_host_at_once(cluster: FakeCluster) -> None:
    first, second = cluster.begin(SGLANG_TWO), cluster.begin(SOLO.replace("8000", "8001"))
    states = [await first.wait_ready(), await second.wait_ended() if second.finished else await second.wait_ready()]
    assert sorted(str(state.status) for state in states) == ["failed", "ready"]
    loser = next(state for state in states if state.status is LaunchStatus.FAILED)
    assert "another launch is preparing this host" in loser.detail
    for launch in (first, second):
        await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_a_container_of_the_same_name_that_is_not_ours_is_left_alone(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO), cluster.cluster)
    docker = launcher.services.docker(launcher.services.connector("spark-1"))
    name = f"sparkrun-tui-{plan.launch_id}-0"
    await docker.create(name, {"Image": "other", "Labels": {}})
    state = await launcher.launch(plan).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert cluster.remaining == [name]


@virtual_time
async def test_a_server_of_another_model_on_our_port_is_not_success(cluster: FakeCluster) -> None:
    async def other(host: FakeHost, container: FakeContainer) -> int:
        host.open(8000, "somebody-elses")
        await asyncio.sleep(10_000_000)
        return 0

    cluster[1].program = other
    state = await cluster.begin(SOLO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "serves somebody-elses, not tiny" in state.detail


@virtual_time
async def test_a_slow_first_token_is_waited_for(cluster: FakeCluster) -> None:
    cluster.first_token = 400.0
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    await launch.stop()


@virtual_time
async def test_ranks_that_never_meet_are_given_up_after_a_deadline_of_our_own(cluster: FakeCluster) -> None:
    async def silent(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(10_000_000)
        return 0

    for host in cluster.hosts.values():
        host.program = silent
    state = await cluster.begin(SGLANG_TWO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "did not find each other" in state.detail
    assert cluster.remaining == []


@virtual_time
async def test_an_image_that_only_the_workstation_has_is_sent(cluster: FakeCluster) -> None:
    cluster[1].images.clear()
    cluster[1].refuse["pull"] = "manifest unknown"
    cluster.local_images.add(IMAGE)
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert state.hosts["spark-1"].cells[Phase.IMAGE].detail == "sent from here"
    await launch.stop()


@virtual_time
async def test_a_registry_that_is_busy_is_asked_again(cluster: FakeCluster) -> None:
    host = cluster[1]
    host.images.clear()
    host.refuse["pull"] = "toomanyrequests: slow down"
    launch = cluster.begin(SOLO)
    await asyncio.sleep(10)
    del host.refuse["pull"]
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert "pull registry.test/engine:1" in host.actions
    await launch.stop()


@virtual_time
async def test_a_gated_model_fails_before_anything_is_started(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    cluster.hub_error = "org/tiny is gated"
    state = await cluster.begin(SOLO).wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.repairs[0].title == "Ask for access."
    assert not any(action.startswith("create") for action in cluster[1].actions)


@virtual_time
async def test_a_model_that_every_host_holds_is_not_downloaded_here(cluster: FakeCluster) -> None:
    cluster.local_models.clear()
    for host in cluster.hosts.values():
        host.models.add("org/tiny")
    launch = cluster.begin(SGLANG_TWO)
    state = await launch.wait_ready()
    assert state.hosts["spark-1"].cells[Phase.MODEL].state is StepState.SKIPPED
    assert cluster.tokens == []
    await launch.stop()


@pytest.mark.parametrize("removed", [False, True])
@virtual_time
async def test_a_host_that_was_restarted_is_reported_as_that(cluster: FakeCluster, removed: bool) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    host = cluster[1]
    host.lose()
    asyncio.get_running_loop().call_later(60.0, host.heal)
    host.facts = replace(host.facts, boot_id="another")
    (identity,) = host.containers
    host.end(host.containers[identity], 137)
    if removed:
        del host.containers[identity]
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert state.detail == "the host was restarted, which ended its container"
    assert state.diagnosis is not None and state.diagnosis.title == "The host was restarted"
    statuses = [event.status async for event in launch.events() if isinstance(event, StatusChanged)]
    assert LaunchStatus.READY not in statuses[statuses.index(LaunchStatus.UNKNOWN) :], "not ready for a moment either"


@virtual_time
async def test_a_worker_whose_host_was_restarted_leaves_the_launch_degraded_with_why(cluster: FakeCluster) -> None:
    launch = cluster.begin(SGLANG_TWO)
    await launch.wait_ready()
    cluster[2].facts = replace(cluster[2].facts, boot_id="another")
    cluster[2].end(next(iter(cluster[2].containers.values())), 137)
    await asyncio.sleep(30)
    assert launch.state.status is LaunchStatus.DEGRADED
    assert "rank 1 on spark-2 is lost: the host was restarted" in launch.state.detail
    await launch.stop()


@virtual_time
async def test_what_somebody_else_stops_and_removes_is_stopped_and_not_failed(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    docker = cluster.services.docker(cluster.services.connector("spark-1"))
    identity = next(iter(cluster[1].containers))
    await docker.stop(identity, 20.0)
    await docker.remove(identity, force=True)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.STOPPED
    assert state.detail == "stopped by another program"
    assert state.diagnosis is None


@virtual_time
async def test_a_defect_of_our_own_is_reported_as_one_and_still_leaves_nothing(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> bool:
        raise ZeroDivisionError("one over none")

    launch = cluster.begin(SOLO)
    await asyncio.sleep(6)
    assert len(cluster.running) == 1
    monkeypatch.setattr("sparkrun_tui.launch.run.readiness.model_names", broken)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "a defect of sparkrun-tui ended the launch: ZeroDivisionError" in state.detail
    assert any("one over none" in line.text for line in launch.logs["spark-1"].since(0) if line.stream == "app")
    assert cluster.remaining == []


@virtual_time
@pytest.mark.parametrize("crashed", [False, True])
async def test_the_last_reading_of_memory_is_from_after_the_end(cluster: FakeCluster, crashed: bool) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    cluster[1].facts = replace(cluster[1].facts, memory_available=77 * GIB)
    if crashed:
        cluster[1].end(next(iter(cluster[1].containers.values())), 1)
        await launch.wait_ended()
    else:
        await launch.stop()
    assert launch.state.hosts["spark-1"].memory[-1] == 77 * GIB
