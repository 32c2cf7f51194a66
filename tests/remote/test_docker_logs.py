"""Following logs: nothing lost and nothing doubled, whatever happens to the connection."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.logs import LogRecord, Unrepeated, follow, nanoseconds
from sparkrun_tui.remote.docker.types import DockerError, Frame
from tests.support.docker_things import FakeContainer, image_json, stamp
from tests.support.fake_docker import FakeDocker
from tests.support.scripted import ScriptedTransport
from tests.support.site import until

SECOND = 10**9


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[FakeDocker]:
    async with FakeDocker(tmp_path / "docker") as docker:
        docker.images["a:1"] = image_json("a:1")
        yield docker


async def running(daemon: FakeDocker, client: DockerClient) -> FakeContainer:
    made = await client.create("mine", {"Image": "a:1"})
    await client.start(made)
    return daemon.containers[made]


def client_of(daemon: FakeDocker) -> DockerClient:
    return DockerClient(ScriptedTransport(sockets={"/var/run/docker.sock": daemon.socket}))


async def collect(client: DockerClient, into: list[LogRecord], **options: float) -> None:
    async for batch in follow(client, "mine", sleep=lambda _seconds: asyncio.sleep(0), **options):  # type: ignore[arg-type]
        into.extend(batch)


async def test_follows_to_the_end_of_the_container(daemon: FakeDocker) -> None:
    client = client_of(daemon)
    container = await running(daemon, client)
    container.say("one")
    seen: list[LogRecord] = []
    task = asyncio.create_task(collect(client, seen))
    await until(lambda: len(seen) == 1)
    container.say("two \x1b]0;title\x07", stderr=True)
    await until(lambda: len(seen) == 2)
    container.say("last words", at=container.log[-1][0] + 1)
    daemon.end(container, 1)
    await task
    assert [(line.stream, line.text) for line in seen] == [
        ("stdout", "one"),
        ("stderr", "two "),
        ("stdout", "last words"),
    ]


async def test_drops_cost_no_line_and_double_none(daemon: FakeDocker) -> None:
    client = client_of(daemon)
    container = await running(daemon, client)
    seen: list[LogRecord] = []
    task = asyncio.create_task(collect(client, seen))
    chance = random.Random(7)
    now = 1_700_000_000 * SECOND
    for number in range(3000):
        now += chance.randrange(0, 3) * 1_000_000
        late = chance.randrange(0, 20) * 1_000_000
        container.say(f"line {number // 2}", stderr=number % 3 == 0, at=now - late)
        if number % 100 == 50:
            daemon.drop()
        if number % 20 == 0:
            await asyncio.sleep(0)
    await until(lambda: len(seen) >= 3000)
    daemon.end(container, 0)
    await task
    want = sorted((entry[1] == 2, entry[2].decode().strip()) for entry in container.log)
    assert sorted((line.stream == "stderr", line.text) for line in seen) == want


async def test_a_lost_link_is_waited_out(daemon: FakeDocker) -> None:
    host = ScriptedTransport(sockets={"/var/run/docker.sock": daemon.socket})
    client = DockerClient(host)
    container = await running(daemon, client)
    container.say("one")
    seen: list[LogRecord] = []
    task = asyncio.create_task(collect(client, seen))
    await until(lambda: len(seen) == 1)
    host.lose()
    daemon.drop()
    await asyncio.sleep(0.05)
    container.say("two")
    daemon.end(container, 0)
    host.heal()
    await task
    assert [line.text for line in seen] == ["one", "two"]


async def test_a_silent_stream_is_opened_anew(daemon: FakeDocker) -> None:
    client = client_of(daemon)
    container = await running(daemon, client)
    container.say("one")
    seen: list[LogRecord] = []
    task = asyncio.create_task(collect(client, seen, stall=0.05))
    opened = lambda: sum(path.endswith("/logs") for _, path, _, _ in daemon.requests)  # noqa: E731
    await until(lambda: opened() >= 3)
    daemon.end(container, 0)
    await task
    assert [line.text for line in seen] == ["one"]


async def test_what_is_there_ends_without_keeping_on(daemon: FakeDocker) -> None:
    client = client_of(daemon)
    container = await running(daemon, client)
    for number in range(10):
        container.say(f"{number}")
    seen = [line.text async for batch in follow(client, "mine", tail=3, keep=False) for line in batch]
    assert seen == ["7", "8", "9"]
    assert [batch async for batch in follow(client, "nothing like it")] == []


async def test_a_log_that_cannot_be_read_is_told(daemon: FakeDocker) -> None:
    client = client_of(daemon)
    await running(daemon, client)

    async def refuse(_container: object, _query: object, reply: Any) -> None:
        await reply.error(501, "configured logging driver does not support reading")

    daemon.on_logs = refuse
    with pytest.raises(DockerError, match="does not support reading"):
        await collect(client, [])


def frame(text: str, at: int, stream: str = "stdout") -> Frame:
    return Frame(stream, f"{stamp(at)} {text}".encode())


def test_long_messages_are_joined_from_their_frames() -> None:
    lines = Unrepeated()
    assert lines.add([frame("a" * 100, SECOND), frame("other\n", SECOND, "stderr")])[0].text == "other"
    joined = lines.add([frame("b" * 100 + "\n", SECOND + 5)])
    assert [(line.time, line.text) for line in joined] == [(1.0, "a" * 100 + "b" * 100)]


def test_a_break_inside_a_long_message_does_not_double_its_beginning() -> None:
    lines = Unrepeated()
    lines.add([frame("begin ", 5 * SECOND)])
    lines.resume()
    assert [line.text for line in lines.add([frame("begin ", 5 * SECOND), frame("end\n", 5 * SECOND)])] == ["begin end"]


def test_an_endless_line_is_bounded() -> None:
    lines = Unrepeated()
    for number in range(2000):
        lines.add([frame("x" * 1000, SECOND + number)])
    (line,) = lines.add([frame("\n", 2 * SECOND)])
    assert len(line.text) < 9000


def test_a_clock_set_back_is_followed() -> None:
    lines = Unrepeated()
    lines.add([frame("late\n", 5000 * SECOND)])
    lines.add([frame("early\n", 1000 * SECOND)])
    assert float(lines.resume()) == pytest.approx(998.0)
    assert [line.text for line in lines.add([frame("early\n", 1000 * SECOND), frame("new\n", 1001 * SECOND)])] == [
        "new"
    ]


def test_stamps_are_exact_nanoseconds() -> None:
    assert nanoseconds(b"1970-01-01T00:00:01.000000001Z") == SECOND + 1
    assert nanoseconds(b"1970-01-01T00:00:01.5Z") == SECOND + SECOND // 2
    assert nanoseconds(b"1970-01-01T00:00:02Z") == 2 * SECOND
    assert nanoseconds(b"1970-01-01T01:00:02.5+01:00") == 2 * SECOND + SECOND // 2
    assert nanoseconds(b"hello") is None


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from("ab"), st.booleans()), max_size=60),
    st.lists(st.integers(0, 60), max_size=5),
)
def test_any_breaks_give_the_same_lines(events: list[tuple[int, str, bool]], breaks: list[int]) -> None:
    """A stream that is cut anywhere and asked for again gives exactly the lines of one that was not."""
    base = 1_700_000_000 * SECOND
    log: list[Frame] = []
    stamps: list[int] = []
    now = base
    for step, text, err in events:
        now += step * 10_000_000
        stamps.append(now)
        log.append(frame(f"{text}\n", now, "stderr" if err else "stdout"))
    lines = Unrepeated()
    seen: list[LogRecord] = []
    for cut in [*sorted(breaks), len(log)]:
        since = lines.resume()
        seconds, _, part = since.partition(".")
        start = int(seconds) * SECOND + int(part) if since else 0
        seen += lines.add([item for item, at in zip(log[:cut], stamps[:cut], strict=True) if at >= start])
    want = [(item.stream, item.data.split(b" ")[1].decode().strip()) for item in log]
    assert [(line.stream, line.text) for line in seen] == want
