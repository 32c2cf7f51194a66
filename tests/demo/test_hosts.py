"""The simulated hosts as the remote layer meets them: real SSH, exact keys, nothing executed, Docker's own ways."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import asyncssh
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.demo.cluster import DemoCluster
from sparkrun_tui.demo.http import Reply, Request, serve
from sparkrun_tui.demo.scripts import unwrap, whole
from sparkrun_tui.demo.ssh_keys import DemoPolicy, DemoResolver, Door, new_key
from sparkrun_tui.engines.layout.common import SERVE_FILE
from sparkrun_tui.remote.docker.client import DockerClient, archive
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.failures import NeedsUser
from sparkrun_tui.remote.script.envelope import envelope
from sparkrun_tui.remote.script.jobs import Jobs, JobState
from sparkrun_tui.remote.ssh.pool import SshPool

IMAGE = "acme/llama:1"


@pytest.fixture
async def docker(demo: DemoCluster) -> AsyncIterator[DockerClient]:
    client = DockerClient(demo.services.connector("spark-1"))
    yield client
    await client.close()


@given(st.text(), st.binary(max_size=300))
@settings(max_examples=60, deadline=None)
def test_scripts_and_their_stdin_come_out_of_the_envelope_as_they_went_in(script: str, stdin: bytes) -> None:
    script = script.encode("utf-8", "ignore").decode()
    text = envelope(script, stdin).text
    assert whole(text)
    sent = unwrap(text.decode())
    assert sent is not None and (sent.script, sent.stdin) == (script, stdin)


async def test_a_script_that_is_not_known_is_refused_and_not_run(demo: DemoCluster, tmp_path: Path) -> None:
    mark = tmp_path / "touched"
    result = await demo.services.connector("spark-1").run(f"touch {mark}\n")
    assert result.code == 127 and "cannot run this script" in result.stderr
    assert not mark.exists()


async def test_only_the_demo_gets_in_and_only_by_our_envelope(demo: DemoCluster) -> None:
    transport = demo.services.connector("spark-1")
    await transport.connect()
    port = (await _resolver(demo).resolve("spark-1")).port
    with pytest.raises(asyncssh.PermissionDenied):
        await asyncssh.connect(
            "127.0.0.1", port, username="spark", client_keys=[new_key()], known_hosts=None, config=None, agent_path=None
        )
    with pytest.raises(HostError):
        await transport.open_socket("/run/other.sock")
    with pytest.raises(HostError):
        await transport.open_tcp("127.0.0.1", port)
    with pytest.raises(HostError):
        await demo.services.connector("spark-3").connect()


async def test_a_host_with_another_key_is_not_trusted(demo: DemoCluster) -> None:
    endpoint = await _resolver(demo).resolve("spark-1")
    door = Door(endpoint.port, new_key())
    pool = SshPool(DemoResolver({"spark-1": door}), DemoPolicy(doors=(door,)), local=lambda _name: False)
    with pytest.raises(NeedsUser):
        await pool.transport("spark-1").connect()
    await pool.close()


async def test_nothing_is_written_for_the_demo_and_no_program_is_needed(
    demo: DemoCluster, private_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    facts = await demo.services.probe(demo.services.connector("spark-2"), ("~/.cache/huggingface",), (22,))
    assert facts.arch == "aarch64" and facts.docker_access == "ok" and facts.gpu_runtime
    assert facts.gpus[0].name == "NVIDIA GB10" and facts.gpus[0].memory_total is None
    assert facts.default_address == "10.77.0.12" and facts.rdma[0].gid_index == 3
    assert 110 * 2**30 < facts.memory_available < facts.memory_total
    disk = facts.disk_for("~/.cache/huggingface")
    assert disk is not None and disk.free > 10**12
    files = await asyncio.to_thread(lambda: [path for path in private_home.rglob("*") if path.is_file()])
    assert files == []


async def test_jobs_files_and_leases_are_kept_by_each_host_for_itself(demo: DemoCluster) -> None:
    one, two = (demo.services.connector(name) for name in ("spark-1", "spark-2"))
    jobs = Jobs(one)
    assert await jobs.start("pull-1", "docker pull\n", {"IMAGE": IMAGE})
    assert not await jobs.start("pull-1", "docker pull\n", {"IMAGE": IMAGE})
    assert (await jobs.status("pull-1")).state is JobState.RUNNING
    assert (await Jobs(two).status("pull-1")).state is JobState.MISSING
    await jobs.forget("pull-1")
    assert (await jobs.status("pull-1")).state is JobState.MISSING
    await one.write_file("~/.cache/sparkrun-tui/note", b"a\x00b\n")
    assert demo.site.hosts[0].files == {"/home/spark/.cache/sparkrun-tui/note": b"a\x00b\n"}
    assert demo.site.hosts[1].files == {}


async def test_the_daemon_knows_what_a_daemon_knows(docker: DockerClient) -> None:
    info = await docker.info()
    assert info.arch == "aarch64" and "nvidia" in info.runtimes and info.api == "1.47"
    assert await docker.image(IMAGE) is None
    with pytest.raises(DockerError) as missing:
        await docker.create("x", {"Image": IMAGE})
    assert missing.value.status == 404
    steps = [step async for step in docker.pull(IMAGE)]
    done = [step.done for step in steps]
    assert done == sorted(done) and 10 * 2**30 < done[-1] < 12 * 2**30
    assert steps[-1].layers_done == steps[-1].layers == 8
    image = await docker.image(IMAGE)
    assert image is not None and image.arch == "arm64"


async def test_a_container_lives_logs_and_ends(docker: DockerClient) -> None:
    _ = [step async for step in docker.pull(IMAGE)]
    body = {"Image": IMAGE, "Labels": {"a": "1", "io.sparkrun-tui.engine": "llama-cpp", "io.sparkrun-tui.role": "solo"}}
    identity = await docker.create("one", body)
    with pytest.raises(DockerError) as taken:
        await docker.create("one", body)
    assert taken.value.status == 409
    await docker.put_archive(identity, "/", archive({SERVE_FILE: (b"llama-server -m x\n", 0o755)}))
    actions: list[str] = []

    async def hear() -> None:
        async for event in docker.events(["a=1"]):
            actions.append(event.action)

    hearing = asyncio.create_task(hear())
    await asyncio.sleep(0.1)
    await docker.start(identity)
    lines = [frame async for frame in docker.logs(identity, tail=1)]
    assert len(lines) <= 1
    followed: list[bytes] = []
    async for frame in docker.logs(identity, follow=True):
        followed.append(frame.data)
        if b"listening" in frame.data:
            break
    assert len(await docker.containers(["a=1"])) == 1 and await docker.containers(["a=2"]) == []
    assert (await docker.stats(identity)).memory > 2**30
    whole_log = [frame.data async for frame in docker.logs(identity)]
    assert whole_log[: len(followed)] == followed
    waiting = asyncio.create_task(docker.wait(identity))
    await asyncio.sleep(0.05)
    await docker.stop(identity, 20)
    assert await waiting == 0
    found = await docker.inspect(identity)
    assert found is not None and found.state == "exited" and found.exit_code == 0
    await docker.remove(identity)
    assert await docker.inspect(identity) is None
    hearing.cancel()
    assert actions == ["start", "die", "destroy"]


async def test_an_engine_that_starts_does_not_hear_sigterm_and_is_killed(docker: DockerClient) -> None:
    _ = [step async for step in docker.pull("acme/vllm:1")]
    labels = {"io.sparkrun-tui.engine": "vllm", "io.sparkrun-tui.role": "solo", "io.sparkrun-tui.model": "acme/Owl-8B"}
    identity = await docker.create("two", {"Image": "acme/vllm:1", "Labels": labels})
    await docker.put_archive(identity, "/", archive({SERVE_FILE: (b"vllm serve acme/Owl-8B\n", 0o755)}))
    await docker.start(identity)
    await docker.stop(identity, 2)
    found = await docker.inspect(identity)
    assert found is not None and found.exit_code == 137
    with pytest.raises(DockerError) as ended:
        await docker.run_exec(identity, ("ray", "status"))
    assert ended.value.status == 409


def _resolver(demo: DemoCluster) -> DemoResolver:
    pool = demo.services.connector.__self__  # type: ignore[attr-defined]
    assert isinstance(pool, SshPool) and isinstance(pool.resolver, DemoResolver)
    assert "SSH_AUTH_SOCK" not in os.environ
    return pool.resolver


async def test_a_stream_that_breaks_ends_its_server() -> None:
    class Broken:
        closed = False

        async def read(self, n: int = -1) -> bytes:
            raise asyncssh.ConnectionLost("the other side has gone")

        def write(self, data: bytes) -> None:
            raise AssertionError("no question may be asked")

        async def drain(self) -> None:
            raise AssertionError("no question may be asked")

        def close(self) -> None:
            self.closed = True

    async def handler(request: Request, reply: Reply) -> None:
        raise AssertionError("nothing was asked")

    stream = Broken()
    async with asyncio.timeout(10):
        await serve(stream, stream, handler)
    assert stream.closed
