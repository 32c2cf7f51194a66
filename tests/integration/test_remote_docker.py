"""The Docker client, its logs and images against real dockerd over real SSH."""

from __future__ import annotations

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from cluster import Host
from cluster.generations import Generation, on, on_both
from cluster.images import Images
from cluster.layers import LayerCache
from cluster.registry import Image, Registry
from cluster.workstation import Workstation

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.docker.client import DockerClient, archive
from sparkrun_tui.remote.docker.logs import LogRecord, follow
from sparkrun_tui.remote.docker.look import look_for
from sparkrun_tui.remote.docker.types import DockerError, ImageProgram
from sparkrun_tui.remote.ports.models import Transfer
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.transfer.images import DockerImages
from sparkrun_tui.remote.transport import Outcome
from tests.support.site import until

LABEL = {"io.sparkrun-tui.test": "1"}


def processes() -> str:
    """The command lines of the workstation's processes."""
    return subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


@pytest.fixture
async def docker(pool: SshPool, hosts: list[Host], all_images: Images) -> AsyncIterator[DockerClient]:
    hosts[0].docker("pull", "-q", all_images.busybox.reference)
    client = DockerClient(pool.transport(hosts[0].name))
    yield client
    await client.close()


def body(image: str, script: str) -> dict[str, object]:
    return {"Image": image, "Cmd": ["sh", "-c", script], "Labels": LABEL, "HostConfig": {"NetworkMode": "host"}}


@on_both
async def test_a_container_with_an_uploaded_script(docker: DockerClient, all_images: Images, hosts: list[Host]) -> None:
    script = "printf '%s\\n' \"it's\" '{\"a\": [1]}' \"$HOME\" `echo tick` 'ü'; sleep 1; exit 3\n"
    made = await docker.create(
        "t1",
        {"Image": all_images.busybox.reference, "Cmd": ["sh", "/run/sparkrun/serve.sh"], "Labels": LABEL,
         "HostConfig": {"NetworkMode": "host"}},
    )  # fmt: skip
    await docker.put_archive(made, "/", archive({"run/sparkrun/serve.sh": (script.encode(), 0o700)}))
    await docker.start(made)
    await docker.start(made)
    assert await docker.wait(made) == 3
    text = b"".join([frame.data async for frame in docker.logs(made)]).decode()
    assert text.startswith('it\'s\n{"a": [1]}\n')
    assert text.endswith("tick\nü\n")
    info = await docker.inspect("t1")
    assert info is not None
    assert (info.state, info.exit_code, info.labels) == ("exited", 3, LABEL)
    assert "it's" not in hosts[0].docker("inspect", "t1")
    assert [item.name for item in await docker.containers(["io.sparkrun-tui.test=1"])] == ["t1"]
    with pytest.raises(DockerError) as conflict:
        await docker.create("t1", body(all_images.busybox.reference, "true"))
    assert conflict.value.status == 409
    await docker.remove(made)
    assert await docker.inspect(made) is None


@on_both
async def test_commands_events_and_the_end_by_signal(docker: DockerClient, all_images: Images) -> None:
    made = await docker.create("t2", body(all_images.busybox.reference, "trap 'exit 0' TERM; sleep 300 & wait"))
    seen: list[tuple[str, int | None]] = []

    async def watch() -> None:
        async for event in docker.events(["io.sparkrun-tui.test=1"]):
            seen.append((event.action, event.exit_code))

    watching = asyncio.create_task(watch())
    await asyncio.sleep(0.3)
    await docker.start(made)
    for _ in range(3):
        result = await docker.run_exec(made, ["sh", "-c", "echo out; echo err >&2; exit 4"])
        assert (result.outcome, result.code, result.stdout, result.stderr) == (Outcome.EXITED, 4, "out\n", "err\n")
    stats = await docker.stats(made)
    assert stats.memory > 0
    await docker.stop(made, grace=10)
    await until(lambda: ("die", 0) in seen)
    await docker.stop(made)
    await docker.kill(made)
    watching.cancel()
    assert ("start", None) in seen


@on_both
async def test_logs_lose_and_double_nothing_while_sessions_are_killed(
    docker: DockerClient, all_images: Images, hosts: list[Host]
) -> None:
    lines = 20_000
    script = (
        f'n=0; while [ $n -lt {lines} ]; do n=$((n+1)); echo "out $n"; echo "err $n" >&2; '
        "[ $((n % 1000)) = 0 ] && sleep 0.2; done"
    )
    made = await docker.create("t3", body(all_images.busybox.reference, script))
    await docker.start(made)
    seen: list[LogRecord] = []
    kills = 0
    async for batch in follow(docker, made):
        seen += batch
        if kills < 8 and len(seen) > (kills + 1) * 3000:
            kills += 1
            await asyncio.to_thread(hosts[0].faults.kill_sessions)
    assert kills == 8
    for stream, word in (("stdout", "out"), ("stderr", "err")):
        assert [line.text for line in seen if line.stream == stream] == [f"{word} {n}" for n in range(1, lines + 1)]


@on_both
async def test_logs_outlive_the_daemon(docker: DockerClient, all_images: Images, hosts: list[Host]) -> None:
    made = await docker.create("t4", body(all_images.busybox.reference, "echo one; sleep 300"))
    await docker.start(made)
    seen: list[str] = []

    async def read() -> None:
        async for batch in follow(docker, made):
            seen.extend(line.text for line in batch)

    task = asyncio.create_task(read())
    await until(lambda: seen == ["one"])
    await asyncio.to_thread(hosts[0].faults.dockerd_kill)
    await asyncio.to_thread(hosts[0].faults.dockerd_start)
    async with asyncio.timeout(30):
        await task
    assert seen == ["one"]


@pytest.fixture
def fresh(tmp_path: Path) -> Image:
    """An image of 30 MB whose layers no other test pulls: a host may keep layers of what was removed or broken off."""
    chance = random.Random(1)
    cache = LayerCache(tmp_path)
    layers = tuple(cache.files({f"part-{number}": chance.randbytes(10_000_000)}) for number in range(3))
    image = Image("spark-tests/fresh", "1", layers)
    Registry().push(image)
    return image


@on_both
async def test_a_pull_tells_bytes_and_outlives_killed_sessions(pool: SshPool, hosts: list[Host], fresh: Image) -> None:
    host = hosts[1]
    reference = fresh.reference
    host.faults.slow("60mbit")
    images = DockerImages(DockerClient, pool.resolver, pool.policy)
    transport = pool.transport(host.name)
    before = host.received()
    seen: list[Transfer] = []
    kills = 0
    async for moved in images.pull(transport, reference):
        seen.append(moved)
        if kills < 2 and moved.total and moved.done > (kills + 1) * moved.total * 0.2:
            kills += 1
            await asyncio.to_thread(host.faults.kill_sessions)
    assert kills == 2
    assert seen[-1].done == seen[-1].total
    size = sum(layer.size for layer in fresh.layers)
    # Headers of packets are some four percent; nothing of a layer came twice.
    assert host.received() - before < 1.06 * size
    assert await DockerClient(transport).image(reference) is not None
    assert host.run("ls /root/.cache/sparkrun-tui/jobs").strip() == ""
    again = [moved async for moved in images.pull(transport, reference)]
    assert again[-1].done == again[-1].total


async def test_a_pull_that_is_not_waited_for_goes_on_until_it_is_ended(
    pool: SshPool, hosts: list[Host], all_images: Images
) -> None:
    host = hosts[1]
    reference = all_images.standin.reference
    host.remove_images()
    host.faults.slow("20mbit")
    images = DockerImages(DockerClient, pool.resolver, pool.policy)
    pulling = images.pull(pool.transport(host.name), reference)
    async for moved in pulling:
        if moved.done:
            break
    await pulling.aclose()
    assert "docker pull" in host.run("ps -eo args | grep -v grep")
    await Jobs(pool.transport(host.name)).end(images.pull_job(reference))
    assert "docker pull" not in host.run("ps -eo args | grep -v grep")


@on_both
async def test_an_image_that_does_not_exist(pool: SshPool, hosts: list[Host]) -> None:
    images = DockerImages(DockerClient, pool.resolver, pool.policy)
    with pytest.raises(DockerError):
        async for _moved in images.pull(pool.transport(hosts[0].name), "10.78.0.1:5000/no/such:1"):
            pass


async def test_without_the_docker_group_the_cause_is_named(pool: SshPool, hosts: list[Host]) -> None:
    hosts[0].run("chmod 600 /var/run/docker.sock")
    try:
        with pytest.raises(HostError, match="may not use Docker") as caught:
            await DockerClient(pool.transport(f"spark@{hosts[0].name}")).info()
        assert "usermod -aG docker spark" in caught.value.remedy
    finally:
        hosts[0].run("chmod 660 /var/run/docker.sock")


async def test_a_hanging_daemon_does_not_hang_us(docker: DockerClient, hosts: list[Host]) -> None:
    await docker.ping()
    hosts[0].faults.dockerd_stop()
    with pytest.raises(HostError):
        async with asyncio.timeout(60):
            await docker.info()


@on(*Generation)
async def test_an_image_is_sent_from_the_workstation(
    pool: SshPool, hosts: list[Host], all_images: Images, workstation: Workstation
) -> None:
    """The workstation's Docker is the first host's here: its command is reached through a wrapper on PATH."""
    sender, receiver = hosts
    reference = all_images.standin.reference
    sender.docker("pull", "-q", reference)
    receiver.remove_images()
    wrapper = workstation.bin / "docker"
    wrapper.write_text(f'#!/bin/sh\nexec ssh {sender.name} docker "$@"\n')
    wrapper.chmod(0o755)
    try:
        here = pool.transport(sender.name)
        clients = lambda transport: DockerClient(here if transport.name == "localhost" else transport)  # noqa: E731
        images = DockerImages(clients, pool.resolver, pool.policy)
        assert await images.local(reference, "x86_64")
        assert not await images.local(reference, "aarch64")
        seen = [moved async for moved in images.stream(pool.transport(receiver.name), reference)]
    finally:
        wrapper.unlink()
    assert seen[-1].done == seen[-1].total
    assert any(0 < moved.done < (moved.total or 0) for moved in seen)
    there = await DockerClient(pool.transport(receiver.name)).image(reference)
    assert there is not None
    assert "docker save" not in processes()


@on_both
async def test_an_image_is_asked_for_a_program(docker: DockerClient, all_images: Images, hosts: list[Host]) -> None:
    image = all_images.busybox.reference
    assert await look_for(docker, image, "no-such-program") == ImageProgram(False)
    assert await look_for(docker, image, "wget") == ImageProgram(True)
    await until(lambda: "sparkrun-tui-look" not in hosts[0].docker("ps", "-a"))
