"""Pulls, transfers and watching while daemons, sessions and the person's own machine go away and come back."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import on_both
from cluster.images import Images
from cluster.workstation import Workstation
from test_cli_vllm import SMALL, Run, begin, read_until
from test_launch_faults import begin as launch_on
from test_launch_faults import launcher, pair, ready, recipe, remaining, until

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.images import DockerImages


def has_image(host: Host, image: str) -> bool:
    return bool(host.docker("images", "-q", image))


def wait(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.2)


@on_both
async def test_a_daemon_that_is_restarted_during_a_pull_is_waited_for(hosts: list[Host], all_images: Images) -> None:
    host = hosts[0]
    host.remove_images()
    host.faults.slow("60mbit")
    async with launcher() as at:
        launch = launch_on(at, hosts[:1], recipe("tiny-llama"))

        def pulling() -> bool:
            cell = launch.state.hosts[host.name].cells.get(Phase.IMAGE)
            return cell is not None and bool(cell.done) and cell.state is StepState.RUNNING

        await until(pulling)
        await asyncio.to_thread(host.faults.dockerd_kill)
        await asyncio.sleep(4)
        await asyncio.to_thread(host.faults.dockerd_start)
        host.faults.full_speed()
        await ready(launch)
        await launch.stop()
    assert remaining(hosts) == []


def test_a_closed_terminal_leaves_the_pull_to_the_host(
    hosts: list[Host], sparkrun: Run, recipes: Path, all_images: Images
) -> None:
    host = hosts[0]
    image = all_images.llama.reference
    host.remove_images()
    host.faults.slow("60mbit")
    running = begin("run", str(recipes / "tiny-llama.yaml"), "-H", host.name)
    wait(lambda: bool(host.run("pgrep -f '[d]ocker pull'", check=False)))
    time.sleep(1)
    assert not has_image(host, image)
    running.send_signal(signal.SIGHUP)
    running.communicate(timeout=30)
    before = host.received()
    host.faults.full_speed()
    wait(lambda: has_image(host, image))
    assert host.containers() == []
    again = sparkrun("run", str(recipes / "tiny-llama.yaml"), "-H", host.name)
    assert again.returncode == 0, again.stderr
    assert host.received() - before < all_images.llama.layers[0].size, "what was there is not fetched again"
    assert sparkrun("stop", "tiny-llama", "-H", host.name).returncode == 0


async def test_a_streamed_image_whose_link_is_lost_is_a_lost_link(
    pool: SshPool, hosts: list[Host], all_images: Images, workstation: Workstation
) -> None:
    """Which a launch waits out: it is asked again once the host answers."""
    sender, receiver = hosts
    reference = all_images.standin.reference
    sender.docker("pull", "-q", reference)
    receiver.remove_images()
    wrapper = workstation.bin / "docker"
    wrapper.write_text(f'#!/bin/sh\nexec ssh {sender.name} docker "$@"\n')
    wrapper.chmod(0o755)
    receiver.faults.slow("60mbit")
    try:
        here = pool.transport(sender.name)
        clients = lambda transport: DockerClient(here if transport.name == "localhost" else transport)  # noqa: E731
        images = DockerImages(clients, pool.resolver, pool.policy)
        with pytest.raises(LinkLost):
            async for moved in images.stream(pool.transport(receiver.name), reference):
                if moved.done:
                    await asyncio.to_thread(receiver.faults.kill_sessions)
        receiver.faults.full_speed()
        seen = [moved async for moved in images.stream(pool.transport(receiver.name), reference)]
    finally:
        wrapper.unlink()
    assert seen[-1].done == seen[-1].total


async def test_one_host_that_cannot_keep_the_model_fails_the_launch_and_the_other_is_finished(
    hosts: list[Host],
) -> None:
    hosts[1].run("mount -t tmpfs -o ro tmpfs /root/.cache/huggingface")
    try:
        async with launcher() as at:
            launch = launch_on(at, hosts, pair())
            state = await launch.wait_ended()
    finally:
        hosts[1].run("umount /root/.cache/huggingface")
    assert state.status is LaunchStatus.FAILED
    assert state.diagnosis is not None and state.diagnosis.host == hosts[1].name, state.diagnosis
    brought = state.hosts[hosts[0].name].cells[Phase.MODEL]
    assert (brought.state, brought.detail) == (StepState.OK, "sent")
    assert remaining(hosts) == []
    assert all(host.run("ls -d ~/.cache/sparkrun-tui/lock", check=False) == "" for host in hosts)


def test_a_workstation_that_sleeps_misses_no_line(
    hosts: list[Host], sparkrun: Run, recipes: Path, tmp_path: Path
) -> None:
    asleep = 60 if os.environ.get("SPARKRUN_TUI_LONG") else 25
    lines = 500 * (asleep + 10)
    text = (recipes / "tiny-sglang.yaml").read_text()
    talks = tmp_path / "talks.yaml"
    talks.write_text(f'{text}\nenv:\n  STANDIN_LINES: "500:{asleep + 10}:2"\n')
    running = begin("run", str(talks), *SMALL, "-H", hosts[0].name, "--follow")
    read_until(running, "numbered line 00000500")
    os.kill(running.pid, signal.SIGSTOP)
    time.sleep(asleep)
    os.kill(running.pid, signal.SIGCONT)
    read_until(running, f"numbered line {lines - 1:08}")
    running.send_signal(signal.SIGINT)
    told, _ = running.communicate(timeout=30)
    assert "failed" not in told
    kept = Path(os.environ["XDG_STATE_HOME"]).rglob("hosts/*.log")
    found = [line for path in kept for line in path.read_text().splitlines() if "numbered line" in line]
    assert sorted(line.rpartition(" ")[2] for line in found) == [f"{number:08}" for number in range(lines)]
    assert sparkrun("stop", "talks", "-H", hosts[0].name).returncode == 0


async def test_a_daemon_gets_no_socket_and_no_port_on_the_workstation(pool: SshPool, hosts: list[Host]) -> None:
    before = listening()
    docker = DockerClient(pool.transport(hosts[0].name))
    await asyncio.gather(*(docker.version() for _ in range(10)))
    assert listening() == before
    assert [path for path in Path.home().rglob("*") if path.is_socket()] == []
    await docker.close()


def listening() -> set[str]:
    """The sockets of this process that others could connect to."""
    own = set()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            own.add(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            continue
    found = set()
    # Columns of the state and of the inode; 0A is LISTEN, and a unix socket that listens has the flag 00010000.
    for table, state, inode, listens in (("tcp", 3, 9, "0A"), ("tcp6", 3, 9, "0A"), ("unix", 3, 6, "00010000")):
        for row in Path(f"/proc/thread-self/net/{table}").read_text().splitlines()[1:]:
            words = row.split()
            if words[state] == listens and f"socket:[{words[inode]}]" in own:
                found.add(words[inode])
    return found
