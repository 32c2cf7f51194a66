"""Launches on real hosts while something breaks: links, daemons, ranks, the workstation; and what is left then."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import Generation, on, on_both

from sparkrun_tui.base.text import log_line
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.fleet.model import Workload
from sparkrun_tui.fleet.stop import Outcome, stop
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.services import real_services
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

RECIPES = Path(__file__).with_name("recipes")


def recipe(name: str, **overrides: str) -> Rendered:
    """One of the tests' recipes."""
    return render(load_recipe(RECIPES / f"{name}.yaml"), overrides)


def pair(mode: str = "ok") -> Rendered:
    """SGLang over two hosts, whose engine behaves as `mode` says."""
    text = (RECIPES / "tiny-sglang.yaml").read_text() + f'\nenv:\n  STANDIN_MODE: "{mode}"\n'
    path = Path.home() / f"pair-{mode.partition(':')[0]}.yaml"
    path.write_text(text)
    return render(load_recipe(path), {"tensor_parallel": "2"})


def lab(hosts: Sequence[Host]) -> Cluster:
    return Cluster("lab", tuple(host.name for host in hosts))


@asynccontextmanager
async def launcher() -> AsyncIterator[Launcher]:
    opened = Launcher(Settings(), real_services())
    try:
        yield opened
    finally:
        await opened.close()


def begin(at: Launcher, hosts: Sequence[Host], what: Rendered) -> Launch:
    return at.launch(at.plan(what, lab(hosts)))


async def ready(launch: Launch, seconds: float = 90) -> None:
    try:
        async with asyncio.timeout(seconds):
            await launch.wait_ready()
    except TimeoutError:
        pytest.fail(f"not ready after {seconds} s: {told(launch)}")
    assert launch.state.status is LaunchStatus.READY, told(launch)


def told(launch: Launch) -> str:
    """Where a launch is, for a test that failed."""
    state = launch.state
    rows = [f"{row.name} ({row.link} {row.link_detail}): {dict(row.cells)}" for row in state.hosts.values()]
    notices = [f"{notice.host}: {notice.text}" for notice in state.notices]
    return "\n".join([f"{state.status} {state.detail} {state.diagnosis}", *rows, *notices])


async def status_becomes(launch: Launch, status: LaunchStatus, seconds: float) -> float:
    """Seconds until the launch has a status."""
    began = time.monotonic()
    await until(lambda: launch.state.status is status, seconds)
    return time.monotonic() - began


async def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Look again and again until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        await asyncio.sleep(0.1)


def remaining(hosts: Sequence[Host]) -> list[str]:
    return [name for host in hosts for name in host.containers()]


@on(Generation.OWN, Generation.MIXED)
async def test_no_line_is_lost_or_doubled_while_every_session_dies_again_and_again(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts, recipe("tiny-vllm", tensor_parallel="2"))

        async def kill_all() -> None:
            for _ in range(10):
                await asyncio.sleep(0.8)
                for host in hosts:
                    await asyncio.to_thread(host.faults.kill_sessions)

        killing = asyncio.create_task(kill_all())
        await ready(launch)
        await killing
        await asyncio.sleep(3)
        for host in hosts:
            (name,) = host.containers()
            printed = await asyncio.to_thread(host.run, f"docker logs {name} 2>&1")
            seen = [line.text for line in launch.logs[host.name].since(0)]
            assert sorted(seen) == sorted(log_line(line) for line in printed.rstrip("\n").split("\n"))
        await launch.stop()
    assert remaining(hosts) == []


@on_both
async def test_cancelling_leaves_no_container_and_no_lease(hosts: list[Host]) -> None:
    async with launcher() as at:
        for moment in (0.3, 1.5, 2.5, 4.0):
            launch = begin(at, hosts, pair("hang"))
            await asyncio.sleep(moment)
            began = time.monotonic()
            launch.cancel()
            state = await launch.wait_ended()
            assert state.status is LaunchStatus.CANCELLED
            assert time.monotonic() - began < 15
            assert remaining(hosts) == []
            assert all(host.run("ls -d ~/.cache/sparkrun-tui/lock", check=False) == "" for host in hosts)


@on(Generation.OWN, Generation.MIXED)
async def test_cancelling_without_one_host_cleans_the_others_and_says_what_may_be_left(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts, pair("hang"))
        await until(lambda: len(remaining(hosts)) == 2)
        hosts[1].faults.link_down()
        began = time.monotonic()
        launch.cancel()
        state = await launch.wait_ended()
        assert time.monotonic() - began < 25
        assert state.status is LaunchStatus.CANCELLED
        assert any(f"may be left on {hosts[1].name}" in notice.text for notice in state.notices)
        assert hosts[0].containers() == []
        hosts[1].faults.link_up()
        workload = await found(at, hosts)
        report = await stop(workload, at.services, await survey(lab(hosts), at.services))
        assert [(rank.host, rank.outcome) for rank in report.ranks] == [(hosts[1].name, Outcome.STOPPED)]
    assert remaining(hosts) == []


@on(Generation.OWN, Generation.MIXED)
async def test_a_rank_that_is_killed_in_service_ends_the_launch_with_its_cause(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts, pair())
        await ready(launch)
        hosts[1].docker("kill", hosts[1].containers()[0])
        state = await launch.wait_ended()
        assert state.status is LaunchStatus.FAILED
        assert state.diagnosis is not None
    assert remaining(hosts) == []


@on(Generation.OWN, Generation.MIXED)
async def test_a_power_cut_in_service_is_told_as_that_and_nothing_starts_by_itself(hosts: list[Host]) -> None:
    async with launcher() as at:
        launch = begin(at, hosts, pair())
        await ready(launch)
        await asyncio.to_thread(hosts[0].power_cut)
        await status_becomes(launch, LaunchStatus.UNKNOWN, 25)
        await asyncio.to_thread(hosts[0].power_on)
        began = time.monotonic()
        state = await launch.wait_ended()
        assert time.monotonic() - began < 60
        assert state.status is LaunchStatus.FAILED, told(launch)
        assert state.diagnosis is not None and state.diagnosis.title == "The host was restarted"
        assert state.diagnosis.host == hosts[0].name
    assert remaining(hosts) == []


async def test_a_host_that_cannot_be_asked_is_unknown_until_it_says_how_it_is(hosts: list[Host]) -> None:
    unplugged, hanging = hosts

    async def without_link(at: Launcher) -> None:
        launch = begin(at, [unplugged], recipe("tiny-llama"))
        await ready(launch)
        unplugged.faults.link_down()
        assert await status_becomes(launch, LaunchStatus.UNKNOWN, 40) < 25
        unplugged.faults.link_up()
        assert await status_becomes(launch, LaunchStatus.READY, 40) < 25
        await launch.stop()

    async def without_daemon(at: Launcher) -> None:
        launch = begin(at, [hanging], recipe("tiny-llama"))
        await ready(launch)
        hanging.faults.dockerd_stop()
        await status_becomes(launch, LaunchStatus.UNKNOWN, 60)
        hanging.faults.dockerd_continue()
        await status_becomes(launch, LaunchStatus.READY, 30)
        await launch.stop()

    async with launcher() as at, asyncio.TaskGroup() as both:
        both.create_task(without_link(at))
        both.create_task(without_daemon(at))
    assert remaining(hosts) == []


_KILLED = """
import asyncio, sys
sys.path.insert(0, sys.argv[1])
import test_launch_faults as story
from sparkrun_tui.base.user.settings import Cluster, Settings
async def main():
    at = story.Launcher(Settings(), story.real_services())
    launch = at.launch(at.plan(story.pair(), Cluster("lab", tuple(sys.argv[2].split(",")))))
    print(launch.launch_id, flush=True)
    await asyncio.sleep(600)
asyncio.run(main())
"""


@on(Generation.OWN, Generation.MIXED)
@pytest.mark.parametrize("moment", ["being made", "started"])
async def test_killing_the_program_loses_nothing(hosts: list[Host], moment: str) -> None:
    names = ",".join(host.name for host in hosts)
    killed = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _KILLED, str(Path(__file__).parent), names, stdout=subprocess.PIPE
    )
    assert killed.stdout is not None
    launch_id = (await killed.stdout.readline()).decode().strip()
    if moment == "being made":
        await until(lambda: bool(remaining(hosts)))
    else:
        await until(lambda: all(host.containers(all=False) for host in hosts))
    killed.kill()
    await killed.wait()
    async with launcher() as at:
        workload = await found(at, hosts)
        assert workload.launch_id == launch_id
        launch = await at.attach(workload, lab(hosts))
        async with asyncio.timeout(60):
            state = await launch.wait_ready()
        assert state.status in (LaunchStatus.READY, LaunchStatus.DEGRADED)
        whole = [rank.state for rank in workload.ranks] == ["running", "running"]
        assert (state.status is LaunchStatus.READY) == whole, state.detail
        await launch.stop()
        assert remaining(hosts) == []
        # The lease of the one that was killed is taken over at once.
        again = begin(at, hosts, pair())
        await ready(again)
        await again.stop()
    assert remaining(hosts) == []


async def found(at: Launcher, hosts: Sequence[Host]) -> Workload:
    """The one workload there is, once all hosts can be asked again."""
    async with asyncio.timeout(60):
        while True:
            view = await survey(lab(hosts), at.services)
            if view.workloads and all(host.facts is not None for host in view.hosts):
                (workload,) = view.workloads
                return workload
            await asyncio.sleep(0.5)


@on_both
async def test_secrets_are_in_no_argument_no_inspection_and_no_file(hosts: list[Host]) -> None:
    canary = "hf_CanaryCanaryCanary0123456789"
    text = (RECIPES / "tiny-llama.yaml").read_text() + '\nenv:\n  HF_TOKEN: "${HF_TOKEN}"\n'
    path = Path.home() / "secret.yaml"
    path.write_text(text)
    at = Launcher(Settings(), real_services(), {"HF_TOKEN": canary})
    launch = begin(at, hosts[:1], render(load_recipe(path), {}))
    seen = ""
    while launch.state.status is LaunchStatus.STARTING:
        seen += hosts[0].run("cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\\0' ' '", check=False)
        await asyncio.sleep(0.1)
    assert launch.state.status is LaunchStatus.READY
    (name,) = hosts[0].containers()
    assert canary in hosts[0].run("tr '\\0' '\\n' </proc/$(pgrep -n llama-server)/environ")
    assert canary not in seen
    assert canary not in json.dumps(hosts[0].inspect(name))
    await launch.stop()
    await at.close()
    written = [path for path in Path.home().rglob("*") if path.is_file() and canary in path.read_text(errors="replace")]
    assert written == []
    left = hosts[0].run(
        f"grep -rl {canary} ~/.cache/sparkrun-tui /tmp /var/lib/docker/containers 2>/dev/null", check=False
    )
    assert left == ""
