"""The story on the demo cluster through the engine's own front door: launch, ask, come back, stop; and what fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.fleet import load, metrics
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.chat.conversation import Conversation, settings_of
from sparkrun_tui.launch.chat.pieces import Asked, Piece
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.prompting import Prompt
from sparkrun_tui.launch.question import ask_served
from sparkrun_tui.launch.record.events import LaunchStatus, Progressed, StepState
from sparkrun_tui.remote.http.client import HttpCall
from tests.demo import samples
from tests.demo.conftest import SPEED

DONE = (StepState.OK, StepState.SKIPPED)


async def test_a_model_is_launched_asked_found_again_and_stopped(demo: DemoCluster, launcher: Launcher) -> None:
    free = demo.site.hosts[0].memory_available
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert list(state.hosts) == ["spark-1"]
    assert {phase: cell.state for phase, cell in state.hosts["spark-1"].cells.items() if cell.state not in DONE} == {}
    assert demo.site.hosts[0].memory_available < free - 4 * GIB
    assert state.facts["weights_bytes"] > 3 * GIB

    prompt = Prompt(demo.services, "spark-1", 8081, "falcon", Asked.once("How are you?"))
    answer = "".join([piece async for piece in prompt])
    assert "demo" in answer and '"How are you?"' in answer and prompt.figures.tokens > 30
    first = [line.text for line in launch.logs["spark-1"].since(0)]
    await launcher.close()

    again = Launcher(Settings(), demo.services, {})
    view = await survey(demo.cluster, demo.services)
    assert [(item.launch_id, item.health) for item in view.workloads] == [(launch.launch_id, Health.SERVING)]
    attached = await again.attach(view.workloads[0], demo.cluster)
    assert (await attached.wait_ready()).status is LaunchStatus.READY
    seen = [line.text for line in attached.logs["spark-1"].since(0) if line.stream != "app"]
    assert seen[: len(first)] == [text for text in first if text in seen]
    assert (await attached.stop()).status is LaunchStatus.STOPPED
    assert (await survey(demo.cluster, demo.services)).workloads == ()
    assert demo.site.hosts[0].memory_available == free
    await again.close()


async def test_over_ray_both_hosts_carry_the_model(demo: DemoCluster, launcher: Launcher) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.VLLM_RAY), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert all(host.memory_available < 60 * GIB for host in demo.site.hosts)
    head, worker = (list(launch.logs[name].since(0)) for name in ("spark-1", "spark-2"))
    assert any("Connecting to existing Ray cluster" in line.text for line in head)
    assert any("Ray runtime started" in line.text for line in worker)
    assert state.hosts["spark-1"].cells[Phase.GRAPHS].state is StepState.OK
    assert state.facts["kv_tokens"] > 32768
    assert (await launch.stop()).status is LaunchStatus.STOPPED
    assert [host.containers for host in demo.site.hosts] == [{}, {}]


@pytest.mark.parametrize(
    "text", [samples.VLLM_RANKS, samples.SGLANG, samples.EUGR], ids=["vllm without ray", "sglang", "eugr"]
)
async def test_every_other_way_to_start_comes_up_too(demo: DemoCluster, launcher: Launcher, text: str) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(text), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY, state.diagnosis or state.detail
    assert state.hosts["spark-1"].cells[Phase.LOAD].state is StepState.OK
    assert all(demo.site.hosts[rank].memory_available < 90 * GIB for rank in range(len(state.hosts)))
    await launch.stop()
    assert [host.containers for host in demo.site.hosts] == [{}, {}]


async def test_what_does_not_fit_fails_as_the_engine_would_and_the_repair_helps(
    demo: DemoCluster, launcher: Launcher
) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.VLLM, max_model_len="900000"), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.FAILED and state.diagnosis is not None
    assert state.diagnosis.title == "KV cache too small for the context"
    assert "To serve at least one request" in state.diagnosis.evidence
    repair = next(item for item in state.diagnosis.repairs if item.key == "max_model_len")
    await launch.wait_ended()
    assert demo.site.hosts[0].containers == {}

    repaired = launcher.launch(launcher.plan(samples.rendered(samples.VLLM, max_model_len=repair.value), demo.cluster))
    assert (await repaired.wait_ready()).status is LaunchStatus.READY
    await repaired.stop()


@pytest.mark.parametrize(
    ("text", "overrides", "title"),
    [
        (samples.VLLM, {"gpu_memory_utilization": "0.99"}, "Not enough free memory at the start"),
        (samples.VLLM, {"gpu_memory_utilization": "0.2"}, "No room for the KV cache"),
        (samples.LLAMA, {"ctx_size": "4000000"}, "Not enough memory"),
        (samples.SGLANG, {"gpu_memory_utilization": "0.3"}, "No room for the KV cache"),
    ],
)
async def test_each_way_not_to_fit_has_its_own_words(
    demo: DemoCluster, launcher: Launcher, text: str, overrides: dict[str, str], title: str
) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(text, **overrides), demo.cluster))
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.title == title
    await launch.wait_ended()


async def test_cancelled_in_the_middle_of_a_pull_nothing_stays(launcher: Launcher, demo: DemoCluster) -> None:
    host = demo.site.hosts[0]
    before = set(host.images)
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    async for event in launch.events():
        if isinstance(event, Progressed) and event.phase is Phase.IMAGE:
            launch.cancel()
            break
    assert (await launch.wait_ended()).status is LaunchStatus.CANCELLED
    await asyncio.sleep(0.3)
    assert (host.containers, host.images, host.jobs, host.lease) == ({}, before, {}, b"")


async def test_cancelled_while_the_engine_starts_its_memory_is_free_again(
    demo: DemoCluster, launcher: Launcher
) -> None:
    host = demo.site.hosts[0]
    free = host.memory_available
    launch = launcher.launch(launcher.plan(samples.rendered(samples.VLLM), demo.cluster))
    async for _ in launch.events():
        cell = launch.state.hosts["spark-1"].cells.get(Phase.LOAD) if launch.state.hosts else None
        if cell is not None:
            launch.cancel()
            break
    assert (await launch.wait_ended()).status is LaunchStatus.CANCELLED
    assert host.containers == {} and host.memory_available == free


async def test_the_second_launch_moves_nothing_and_the_same_port_is_refused(
    demo: DemoCluster, launcher: Launcher
) -> None:
    plan = launcher.plan(samples.rendered(samples.LLAMA), demo.cluster)
    launch = launcher.launch(plan)
    await launch.wait_ready()
    twin = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    assert (await twin.wait_ready()).status is LaunchStatus.FAILED
    await launch.stop()
    second = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    state = await second.wait_ready()
    cells = state.hosts["spark-1"].cells
    assert (cells[Phase.IMAGE].state, cells[Phase.MODEL].state) == (StepState.SKIPPED, StepState.SKIPPED)
    await second.stop()


async def test_visitors_make_the_counters_of_an_endpoint_move() -> None:
    async with DemoCluster(SPEED, Settings(), [samples.recipe(samples.VLLM)]) as demo:
        launcher = Launcher(Settings(), demo.services, {})
        launch = launcher.launch(launcher.plan(samples.rendered(samples.VLLM), demo.cluster))
        await launch.wait_ready()
        view = await survey(demo.cluster, demo.services)
        first = await load.readings(view, demo.services)
        before = found = first[launch.launch_id]
        # Visitors come in waves, and on a busy machine one may be gone when the next reading comes.
        async with asyncio.timeout(60):
            while not found.running or found.generated == before.generated:
                await asyncio.sleep(0.01)
                found = (await load.readings(view, demo.services))[launch.launch_id]
        assert (metrics.tokens_per_second(before, found) or 0) > 0
        assert found.waiting is not None and 0 < (found.kv_usage or 0) < 1
        await launch.stop()
        await launcher.close()


async def test_the_endpoint_counts_what_it_answers(demo: DemoCluster, launcher: Launcher) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.VLLM), demo.cluster))
    await launch.wait_ready()
    (workload,) = (await survey(demo.cluster, demo.services)).workloads
    before = await metrics.read(workload, demo.services)
    transport = demo.services.connector("spark-1")
    body = b'{"model": "falcon", "prompt": "Hi", "max_tokens": 7}'
    reply = await demo.services.http.ask(transport, HttpCall(8001, "/v1/completions", "POST", body, key=None))
    assert reply.ok and b'"completion_tokens": 7' in reply.body
    wrong = await demo.services.http.ask(
        transport, HttpCall(8001, "/v1/completions", "POST", b'{"model": "owl"}', key=None)
    )
    assert wrong.status == 404
    after = await metrics.read(workload, demo.services)
    assert before is not None and after is not None
    assert (after.generated or 0) - (before.generated or 0) == 7
    with pytest.raises(HostError):
        await demo.services.http.ask(transport, HttpCall(8002, "/health", key=None))
    await launch.stop()


async def test_a_conversation_with_the_demo(demo: DemoCluster, launcher: Launcher) -> None:
    launch = launcher.launch(launcher.plan(samples.rendered(samples.LLAMA), demo.cluster))
    state = await launch.wait_ready()
    assert state.endpoint is not None

    def source(asked: Asked) -> AsyncIterator[Piece]:
        assert state.endpoint is not None
        return ask_served(demo.services, "spark-1", state.endpoint, asked).pieces()

    conversation = Conversation()
    conversation.set_up(settings_of("Be brief.", "", "12"))
    conversation.ask("How are you?", source)
    await conversation.stopped()
    first = conversation.turns[0]
    assert (first.end, first.figures.tokens, first.figures.exact) == ("length", 12, True)
    conversation.set_up(settings_of("Be brief.", "", ""))
    conversation.ask("And now?", source)
    await conversation.stopped()
    second = conversation.turns[1]
    assert "question 2" in second.answer and '"And now?"' in second.answer and '"Be brief."' in second.answer
    assert second.end == "stop" and second.note == ""
    await launch.stop()
