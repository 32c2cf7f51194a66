"""Launches of recipes with limits for readiness, images of single hosts, conditions and restarts."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.remote.probe.facts import Gpu
from tests.launch.fakes import (
    RAY_TWO,
    SGLANG_TWO,
    SOLO,
    FakeCluster,
    FakeContainer,
    FakeHost,
    facts,
    rendered,
    serve_well,
)
from tests.launch.virtual import virtual_time


async def silent(host: FakeHost, container: FakeContainer) -> int:
    """An engine that never opens its port and goes on printing."""
    while True:
        host.say(container, "still loading")
        await asyncio.sleep(60)


@virtual_time
async def test_a_port_that_does_not_open_in_time_ends_the_launch(cluster: FakeCluster) -> None:
    cluster[1].program = silent
    state = await cluster.begin(SOLO + "readiness: {port_timeout_s: 300}\n").wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "nothing answers on port 8000 after 5:00" in state.detail and "port_timeout_s" in state.detail


@virtual_time
async def test_a_server_that_stays_unhealthy_ends_the_launch(cluster: FakeCluster) -> None:
    cluster[1].unhealthy = True
    launch = cluster.begin(SOLO + "readiness: {port_timeout_s: 5000, health_timeout_s: 120}\n")
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert "/health does not answer with success after 2:00" in state.detail


@virtual_time
async def test_one_limit_for_both(cluster: FakeCluster) -> None:
    cluster[1].unhealthy = True
    state = await cluster.begin(SOLO + "readiness: {timeout: 60, health_timeout_s: 0}\n").wait_ended()
    assert "not healthy after 1:00" in state.detail


@virtual_time
async def test_without_limits_nothing_ends_it(cluster: FakeCluster) -> None:
    cluster[1].unhealthy = True
    launch = cluster.begin(SOLO + "readiness: {port_timeout_s: 60, health_timeout_s: 0}\n")
    await asyncio.sleep(20_000)
    assert launch.state.status is LaunchStatus.STARTING
    cluster[1].unhealthy = False
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    await launch.stop()


@pytest.mark.parametrize(
    ("style", "path"),
    [
        ("openai-chat-stream-v1", "/v1/chat/completions"),
        ("openai-responses-stream-v1", "/v1/responses"),
        ("anthropic-messages-stream-v1", "/v1/messages"),
        ("auto", "/v1/completions"),
    ],
)
@virtual_time
async def test_the_model_is_asked_as_the_recipe_says(cluster: FakeCluster, style: str, path: str) -> None:
    text = f"{SOLO}readiness: {{inference_style: {style}, inference_prompt: say so, inference_timeout_s: 77}}\n"
    launch = cluster.begin(text)
    await launch.wait_ready()
    asked = [call for call in cluster.http.calls if call.body]
    assert [call.path for call in asked] == [path]
    assert "say so" in json.dumps(json.loads(asked[0].body)) and asked[0].timeout == 77
    shown = [command.text for step in launch.plan.steps if step.title == "wait" for command in step.commands]
    assert path in shown[-1] and "say so" in shown[-1]
    await launch.stop()


@virtual_time
async def test_the_model_is_not_asked_where_the_recipe_says_so(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO + "readiness: {inference: false}\n")
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert not [call for call in cluster.http.calls if call.body]
    assert not any("one token" in step.detail for step in launch.plan.steps)
    await launch.stop()


@virtual_time
async def test_each_host_runs_its_image(cluster: FakeCluster) -> None:
    other = "registry.test/engine:tuned"
    cluster[2].images = {other}
    launch = cluster.begin(f"{SGLANG_TWO}containers: [{{host: spark-2, image: '{other}'}}]\n")
    await launch.wait_ready()
    images = [item.info.image for host in cluster.hosts.values() for item in host.containers.values()]
    assert images == ["registry.test/engine:1", other]
    await launch.stop()


SMALL = Gpu("NVIDIA L40S", "580", 48 * GIB)
CONDITIONS = """\
overrides:
  - when: {arch: sm_121}
    env: {KIND: spark}
  - when: {memory_gb: {lt: 60}}
    env: {KIND: small}
"""


@virtual_time
async def test_hosts_that_are_something_else_get_other_values(cluster: FakeCluster) -> None:
    cluster[1].facts = facts("spark-1", gpus=(SMALL,))
    launcher = cluster.launcher()
    guessed = launcher.plan(rendered(SOLO + CONDITIONS), cluster.cluster)
    assert guessed.serve.ranks[0].container.env["KIND"] == "spark"
    seen = await launcher.inspect(guessed)
    assert seen.launch_id == guessed.launch_id and not seen.errors
    assert seen.serve.ranks[0].container.env["KIND"] == "small"
    launch = launcher.launch(seen)
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert "KIND=small" in container.body["Env"]
    await launch.stop()


@virtual_time
async def test_a_launch_stops_where_other_conditions_hold(cluster: FakeCluster) -> None:
    cluster[1].facts = facts("spark-1", gpus=(SMALL,))
    state = await cluster.begin(SOLO + CONDITIONS).wait_ended()
    assert state.status is LaunchStatus.FAILED and "not what they were taken for" in state.detail
    assert cluster.remaining == []


@virtual_time
async def test_a_launch_can_be_kept_over_a_restart_of_its_host(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    kept = render(rendered(SOLO).recipe, {"restart_policy": "unless-stopped"})
    plan = launcher.plan(kept, cluster.cluster)
    assert not plan.errors
    assert any("Docker restarts the container by itself once it has served" in note for note in plan.serve.notes)
    launch = launcher.launch(plan)
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert container.body["HostConfig"]["RestartPolicy"] == {"Name": "unless-stopped"}
    await launch.stop()
    assert cluster.remaining == []


@pytest.mark.parametrize("text", [SGLANG_TWO, RAY_TWO, SOLO + "env: {HF_TOKEN: canary-0123456789}\n"])
def test_what_cannot_be_kept_is_refused_with_the_reason(cluster: FakeCluster, text: str) -> None:
    kept = render(rendered(text).recipe, {"restart_policy": "unless-stopped"})
    (error,) = cluster.launcher().plan(kept, cluster.cluster).errors
    assert error.message.startswith("the launch cannot be kept over a restart of its host: ")
    # A recipe that asks for it by itself is launched all the same, with a warning.
    asks = render(rendered(text + "executor_config: {restart_policy: always}\n").recipe, {})
    assert not cluster.launcher().plan(asks, cluster.cluster).errors


@virtual_time
async def test_a_server_that_docker_restarts_before_it_served_has_failed(cluster: FakeCluster) -> None:
    async def crash(host: FakeHost, container: FakeContainer) -> int:
        await asyncio.sleep(3)
        container.info = replace(container.info, restarts=1)
        await asyncio.sleep(10_000_000)
        return 0

    cluster[1].program = crash
    state = await cluster.begin(SOLO + "executor_config: {restart_policy: always}\n").wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert cluster.remaining == []


@virtual_time
async def test_a_restart_of_a_server_that_has_served_is_not_its_end(cluster: FakeCluster) -> None:
    async def twice(host: FakeHost, container: FakeContainer) -> int:
        return await serve_well(host, container)

    cluster[1].program = twice
    launch = cluster.begin(SOLO + "executor_config: {restart_policy: always}\n")
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert container.body["HostConfig"]["RestartPolicy"] == {"Name": "always"}
    container.info = replace(container.info, restarts=1, state="restarting")
    cluster[1].servers.clear()
    await asyncio.sleep(60)
    assert launch.state.status is LaunchStatus.DEGRADED
    container.info = replace(container.info, state="running")
    cluster[1].open(8000, "tiny")
    await asyncio.sleep(60)
    assert launch.state.status is LaunchStatus.READY
    await launch.stop()
    assert cluster.remaining == []


@virtual_time
async def test_the_model_path_reaches_the_container(cluster: FakeCluster) -> None:
    text = SOLO + "env: {WHERE: '{launch.model_path}', COMMIT: '{launch.model_revision}'}\npre_exec: [ls]\n"
    launch = cluster.begin(text)
    await launch.wait_ready()
    (container,) = cluster[1].containers.values()
    assert "WHERE=/root/.cache/huggingface/hub/models--org--tiny/snapshots/c0ffee" in container.body["Env"]
    assert "COMMIT=c0ffee" in container.body["Env"]
    assert "SPARKRUN_MODEL_PATH=/root/.cache/huggingface/hub/" in container.files["/run/sparkrun/before-1.sh"]
    await launch.stop()
