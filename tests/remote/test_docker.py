"""The Docker client against a daemon that pretends, directly and through SSH."""

from __future__ import annotations

import asyncio
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.remote.docker.client import DockerClient, archive, split_image
from sparkrun_tui.remote.docker.types import DockerError, unix_time
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Outcome
from tests.support.docker_things import FakeContainer, image_json
from tests.support.fake_docker import FakeDocker
from tests.support.scripted import ScriptedTransport
from tests.support.site import Site, until

IMAGE = "acme/engine:1"


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with FakeDocker(tmp_path / "docker") as docker:
        docker.images[IMAGE] = image_json(IMAGE)
        yield docker


@pytest.fixture
async def client(daemon: FakeDocker) -> AsyncIterator[DockerClient]:
    client = DockerClient(ScriptedTransport(sockets={"/var/run/docker.sock": daemon.socket}))
    yield client
    await client.close()


async def test_speaks_the_older_of_both_versions(daemon: FakeDocker, client: DockerClient) -> None:
    assert await client.ping() == "1.41"
    daemon.api = "1.99"
    newer = DockerClient(ScriptedTransport(sockets={"/var/run/docker.sock": daemon.socket}))
    assert await newer.ping() == "1.47"
    daemon.api = "1.24"
    older = DockerClient(ScriptedTransport(sockets={"/var/run/docker.sock": daemon.socket}))
    with pytest.raises(DockerError, match="too old"):
        await older.ping()


async def test_what_the_daemon_says_of_itself(client: DockerClient) -> None:
    info = await client.info()
    assert (info.version, info.api, info.root) == ("20.10.24", "1.41", "/var/lib/docker")
    assert "nvidia" in info.runtimes
    assert (await client.version())["Version"] == "20.10.24"


async def test_a_container_from_its_making_to_its_end(daemon: FakeDocker, client: DockerClient) -> None:
    daemon.on_start = lambda container: container.say("hello")
    made = await client.create("mine", {"Image": IMAGE, "Labels": {"k": "v"}})
    script = archive({"run/x/serve.sh": (b"echo 'hi'\n", 0o700)})
    await client.put_archive(made, "/", script)
    assert daemon.containers[made].files == {"/run/x/serve.sh": b"echo 'hi'\n"}
    await client.start(made)
    found = await client.inspect("mine")
    assert found is not None
    assert found.running
    assert found.started is not None
    assert [item.name for item in await client.containers(["k=v"])] == ["mine"]
    assert await client.containers(["k=other"]) == []
    assert [frame.data async for frame in client.logs(made)] == [b"hello\n"]
    waiting = asyncio.create_task(client.wait(made))
    daemon.end(daemon.containers[made], 137, oom=True)
    assert await waiting == 137
    found = await client.inspect(made)
    assert found is not None
    assert (found.state, found.exit_code, found.oom_killed) == ("exited", 137, True)
    assert (await client.containers())[0].exit_code == 137
    await client.stop(made)
    await client.kill(made)
    await client.remove(made)
    assert await client.inspect(made) is None
    await client.stop(made)
    await client.remove(made)


async def test_a_container_that_removes_itself_is_waited_for(daemon: FakeDocker, client: DockerClient) -> None:
    made = await client.create("mine", {"Image": IMAGE})
    daemon.containers[made].state = "removing"
    removing = asyncio.create_task(client.remove(made, force=True))
    await until(lambda: any(words[0] == "DELETE" for words in daemon.requests))
    del daemon.containers[made]
    await removing
    assert await client.inspect(made) is None


async def test_a_taken_name_is_a_conflict(client: DockerClient) -> None:
    await client.create("mine", {"Image": IMAGE})
    with pytest.raises(DockerError, match="already in use") as caught:
        await client.create("mine", {"Image": IMAGE})
    assert caught.value.status == 409


async def test_a_pull_counts_bytes_and_layers(daemon: FakeDocker, client: DockerClient) -> None:
    def step(layer: str, status: str, current: int = 0, total: int = 0) -> dict[str, object]:
        return {"id": layer, "status": status, "progressDetail": {"current": current, "total": total}}

    daemon.registry["acme/new:2"] = [
        {"status": "Pulling from acme/new"},
        step("a", "Pulling fs layer"),
        step("b", "Already exists"),
        step("a", "Downloading", 40, 100),
        step("a", "Download complete"),
        step("a", "Extracting", 10, 100),
        step("a", "Pull complete"),
        {"status": "Status: Downloaded newer image"},
    ]
    seen = [progress async for progress in client.pull("acme/new:2", "linux/arm64")]
    assert (seen[3].done, seen[3].total, seen[3].layers_done, seen[3].layers) == (40, 100, 1, 2)
    assert (seen[-1].done, seen[-1].total, seen[-1].layers_done) == (100, 100, 2)
    assert daemon.requests[-2][2]["platform"] == "linux/arm64"


async def test_an_error_inside_a_pull_that_began_well(daemon: FakeDocker, client: DockerClient) -> None:
    daemon.registry["acme/new:2"] = [{"status": "Pulling"}, {"error": "no space left on device \x1b[31m"}]
    with pytest.raises(DockerError, match=r"no space left on device $"):
        async for _progress in client.pull("acme/new:2"):
            pass
    with pytest.raises(DockerError, match="pull access denied") as caught:
        async for _progress in client.pull("acme/none"):
            pass
    assert caught.value.status == 404


async def test_commands_in_a_container(daemon: FakeDocker, client: DockerClient) -> None:
    asked: list[list[str]] = []

    def answer(_container: FakeContainer, argv: list[str]) -> tuple[int, str, str]:
        asked.append(argv)
        return 3, "out\n", "err\n"

    daemon.on_exec = answer
    made = await client.create("mine", {"Image": IMAGE})
    await client.start(made)
    for _ in range(3):
        result = await client.run_exec(made, ["ray", "status; x"])
        assert (result.outcome, result.code, result.stdout, result.stderr) == (Outcome.EXITED, 3, "out\n", "err\n")
    assert asked == [["ray", "status; x"]] * 3


async def test_events_are_replayed_and_followed(daemon: FakeDocker, client: DockerClient) -> None:
    made = await client.create("mine", {"Image": IMAGE, "Labels": {"job": "1"}})
    await client.start(made)
    seen: list[tuple[str, int | None]] = []

    async def follow() -> None:
        async for event in client.events(["job=1"], since=1.0):
            seen.append((event.action, event.exit_code))

    task = asyncio.create_task(follow())
    await until(lambda: len(seen) == 2)
    daemon.end(daemon.containers[made], 1)
    await until(lambda: len(seen) == 3)
    task.cancel()
    assert seen == [("create", None), ("start", None), ("die", 1)]


async def test_images_move_as_archives(daemon: FakeDocker, client: DockerClient) -> None:
    said = [text async for text in client.load(client.save(IMAGE))]
    assert said == ["Loaded image: loaded:latest"]
    assert daemon.loaded == [b"archive of acme/engine:1"]


async def test_the_same_content_under_another_id() -> None:
    from sparkrun_tui.remote.docker.types import image_from

    one = image_from(Decoded(image_json("a:1")))
    other = image_from(Decoded({**image_json("b:1"), "Id": "sha256:other", "RepoDigests": []}))
    different = image_from(Decoded(image_json("a:1", digest="b" * 64)))
    assert one.same_content(other)
    assert not one.same_content(different)


async def test_idle_connections_that_ended_do_not_hurt(daemon: FakeDocker, client: DockerClient) -> None:
    await client.info()
    daemon.drop()
    await asyncio.sleep(0.05)
    made = await client.create("mine", {"Image": IMAGE})
    daemon.drop()
    assert (await client.inspect(made)) is not None


async def test_a_broken_stream_is_a_lost_link(daemon: FakeDocker, client: DockerClient) -> None:
    made = await client.create("mine", {"Image": IMAGE})
    await client.start(made)
    daemon.containers[made].say("one")
    with pytest.raises(LinkLost):
        async for _frame in client.logs(made, follow=True):
            daemon.drop()


async def test_through_ssh_forty_streams_share_one_connection(site: Site, daemon: FakeDocker) -> None:
    client = DockerClient(site.pool.transport("spark"), str(daemon.socket))
    made = await client.create("mine", {"Image": IMAGE})
    await client.start(made)
    daemon.containers[made].say("hello")

    async def first() -> bytes:
        async for frame in client.logs(made, follow=True):
            return frame.data
        return b""

    assert await asyncio.gather(*(first() for _ in range(40))) == [b"hello\n"] * 40
    assert site.server.logins == 1
    assert site.server.commands == []


async def test_without_forwarding_the_cause_is_named(site: Site) -> None:
    site.server.traits.forwarding = False
    client = DockerClient(site.pool.transport("spark"))
    with pytest.raises(HostError) as caught:
        await client.info()
    assert caught.value.remedy


def test_image_names_are_split_as_docker_does() -> None:
    assert split_image("acme/engine:1") == ("acme/engine", "1")
    assert split_image("host:5000/engine") == ("host:5000/engine", "latest")
    assert split_image("host:5000/engine:2") == ("host:5000/engine", "2")
    assert split_image("engine@sha256:abc") == ("engine", "sha256:abc")


def test_an_archive_keeps_modes(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(archive({"/run/x": (b"abc", 0o600)}))
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert [(entry.name, entry.mode, entry.size) for entry in tar] == [("run/x", 0o600, 3)]


def test_docker_times() -> None:
    assert unix_time("1970-01-01T00:00:01.5Z") == 1.5
    assert unix_time("1970-01-01T01:00:00.25+01:00") == 0.25
    assert unix_time("0001-01-01T00:00:00Z") is None
    assert unix_time("nonsense") is None
