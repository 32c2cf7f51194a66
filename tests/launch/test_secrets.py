"""A canary secret through whole launches, good and bad: it is found in no file, event, line or plan."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.launch.plan import dry_run as dryrun
from sparkrun_tui.launch.record.codec import to_json
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.journal import launches_dir
from tests.launch.fakes import RAY_TWO, SOLO, FakeCluster, FakeContainer, FakeHost, journal_text, rendered
from tests.launch.virtual import virtual_time

CANARY = "canary-Zq8vT3xW/with+signs=="
ENV = "env: {HF_TOKEN: '${HF_TOKEN}', URL: 'https://u:${HF_TOKEN}@x.test', PLAIN: 'yes'}\n"


async def _chatty(host: FakeHost, container: FakeContainer) -> int:
    secret = container.files.get("/run/sparkrun/env", "")
    host.say(container, f"environment: {secret!r}")
    host.say(container, f"\x1b[31mtoken={CANARY}\x1b[0m and again {CANARY}", "stderr")
    await asyncio.sleep(3)
    host.say(container, f"OSError: cannot open https://x.test/?token={CANARY}", "stderr")
    return 1


async def _idle(host: FakeHost, container: FakeContainer) -> int:
    host.say(container, f"starting with {CANARY}")
    await asyncio.sleep(10_000_000)
    return 0


@pytest.mark.parametrize(("text", "program"), [(SOLO, _chatty), (SOLO, _idle), (RAY_TWO, _idle)])
@virtual_time
async def test_the_canary_is_nowhere(cluster: FakeCluster, text: str, program: object) -> None:
    for host in cluster.hosts.values():
        host.program = program  # type: ignore[assignment]
        host.refuse = {} if text != RAY_TWO else {"exec": f"exec failed: {CANARY}"}
    launcher = cluster.launcher({"HF_TOKEN": CANARY})
    plan = launcher.plan(rendered(text + ENV), cluster.cluster)
    assert plan.env.secret and CANARY not in "\n".join(dryrun.lines(plan)) and CANARY not in repr(plan)
    launch = launcher.launch(plan)
    await asyncio.sleep(20)
    launch.cancel()
    await launch.wait_ended()
    assert launch.state.status in (LaunchStatus.FAILED, LaunchStatus.CANCELLED)
    assert CANARY not in repr(launch.state)
    assert CANARY not in repr([to_json(event) async for event in launch.events()])
    assert not any(CANARY in line.text for buffer in launch.logs.values() for line in buffer.since(0))
    assert CANARY not in journal_text(launches_dir() / launch.launch_id)
    for host in cluster.hosts.values():
        assert not any(CANARY in action for action in host.actions)
        assert not any(CANARY in repr(item.body) for item in host.containers.values())


@virtual_time
async def test_control_characters_of_a_log_reach_no_buffer_and_no_file(cluster: FakeCluster) -> None:
    async def rude(host: FakeHost, container: FakeContainer) -> int:
        host.say(container, "\x1b]52;c;ZXZpbA==\x07before\x1b[2J \x9b31mafter\u202e")
        await asyncio.sleep(1)
        return 3

    cluster[1].program = rude
    launch = cluster.begin(SOLO)
    await launch.wait_ended()
    assert [line.text for line in launch.logs["spark-1"].since(0)] == ["before after"]
    assert "\x1b" not in journal_text(launches_dir() / launch.launch_id)
