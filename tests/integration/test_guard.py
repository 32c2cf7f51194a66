"""The memory guard on real hosts: a container that really takes memory, and one that is left alone."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import on_both

from sparkrun_tui.base import shell
from sparkrun_tui.base.units import GIB
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.launch.launcher import Launcher
from sparkrun_tui.launch.record.events import GuardState, LaunchStatus
from sparkrun_tui.launch.record.journal import launches_dir, read_state
from sparkrun_tui.launch.services import real_services
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

RECIPE = Path(__file__).with_name("recipes") / "tiny-vllm.yaml"
NEAR = 1 << 29
"""How far below what is available now the floor lies. The hosts are one machine, which does other work, too."""
MOST = 4 << 30
"""The most bytes that the container takes."""

GUARDS = "ls -d ~/.local/state/sparkrun-tui/jobs/*/guard 2>/dev/null; pgrep -fa 'sh .*/guard/[s]cript' || true"

Sparkrun = Callable[..., "subprocess.CompletedProcess[str]"]


TAKE = """\
import time
taken = []
def available():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) << 10 for line in file if line.startswith("MemAvailable"))
time.sleep(8)
while True:
    # The machine does other work, which may give memory back meanwhile.
    if available() > %d and len(taken) << 26 < %d:
        taken.append(b"x" * (1 << 26))
    else:
        time.sleep(0.2)
"""


def greedy(until: int) -> Rendered:
    """The engine stand-in, beside which its container takes memory after some seconds until so much is left."""
    path = Path.home() / "greedy.yaml"
    take = shell.word(TAKE % (until, MOST))
    hook = f"python3 -c {take} </dev/null >/dev/null 2>&1 &"
    path.write_text(RECIPE.read_text() + f"\npre_exec:\n  - {json.dumps(hook)}\n")
    return render(load_recipe(path), {})


def available(host: Host) -> int:
    """Bytes of MemAvailable on a host."""
    words = host.run("grep MemAvailable /proc/meminfo").split()
    return int(words[1]) * 1024


def lab(host: Host, floor: int) -> Cluster:
    return replace(Cluster("lab", (host.name,)), guard_floor_gib=floor / GIB)


@pytest.fixture
def host(hosts: list[Host]) -> Iterator[Host]:
    """A host that shows the machine's own memory, in place of a Spark's that never changes."""
    chosen = hosts[0]
    shown = chosen.directory / "etc/meminfo"
    before = shown.read_bytes()
    done = threading.Event()

    def copy() -> None:
        # The file is mounted: it is written over in place, and never shorter than it was.
        with open(shown, "r+b", buffering=0) as file:
            while not done.wait(0.1):
                text = Path("/proc/meminfo").read_bytes()
                file.seek(0)
                file.write(text.ljust(len(before), b"\n"))

    copying = threading.Thread(target=copy)
    copying.start()
    time.sleep(0.5)
    yield chosen
    done.set()
    copying.join()
    shown.write_bytes(before)


async def test_a_container_that_takes_too_much_is_stopped_before_the_host_is_out_of_memory(host: Host) -> None:
    launcher = Launcher(Settings(), real_services())
    try:
        floor = await asyncio.to_thread(available, host) - NEAR
        launch = launcher.launch(launcher.plan(greedy(floor - (1 << 28)), lab(host, floor)))
        await asyncio.wait([asyncio.ensure_future(launch.wait_ended())], timeout=90)
        state = launch.state
    finally:
        await launcher.close()
    assert state.status is LaunchStatus.FAILED, [
        floor, state.hosts[host.name].guard, [notice.text for notice in state.notices], host.run("cat /proc/meminfo"),
    ]  # fmt: skip
    assert state.diagnosis is not None
    assert state.diagnosis.title.startswith("The guard stopped the container: memory fell to"), state.diagnosis
    assert any(repair.key == "gpu_memory_utilization" for repair in state.diagnosis.repairs)
    guard = state.hosts[host.name].guard
    assert guard is not None and guard.state is GuardState.STOPPED
    assert guard.stopped is not None and guard.stopped < floor and len(guard.minute) > 3
    assert max(guard.minute) > floor
    assert host.containers() == []
    assert host.run(GUARDS).strip() == ""
    assert read_state(launches_dir() / launch.launch_id).hosts[host.name].guard == guard


@on_both
async def test_a_container_that_takes_little_is_left_alone_and_its_guard_goes_with_it(
    hosts: list[Host], sparkrun: Sparkrun
) -> None:
    host = hosts[0]
    launcher = Launcher(Settings(), real_services())
    try:
        plan = launcher.plan(render(load_recipe(RECIPE), {}), lab(host, 64 << 20))
        launch = launcher.launch(plan)
        async with asyncio.timeout(120):
            state = await launch.wait_ready()
        assert state.status is LaunchStatus.READY, state.detail
        running = await asyncio.to_thread(host.run, GUARDS)
        assert f"jobs/{launch.launch_id}/guard" in running and "/guard/script" in running
    finally:
        await launcher.close()
    # The program is gone, and the guard goes on.
    await asyncio.sleep(6)
    assert "/guard/script" in await asyncio.to_thread(host.run, GUARDS)
    stopped = await asyncio.to_thread(sparkrun, "stop", launch.launch_id, "--yes", "-H", host.name)
    assert stopped.returncode == 0, stopped.stderr
    assert (await asyncio.to_thread(host.run, GUARDS)).strip() == ""
    shown = await asyncio.to_thread(sparkrun, "history", "show", launch.launch_id)
    assert f"{host.name}: " in shown.stdout and "floor 0.1 GiB" in shown.stdout, shown.stdout
