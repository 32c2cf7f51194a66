"""A host, a daemon or an engine that floods takes bounded memory and leaves the app its turns, over a real link."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest

import sparkrun_tui
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.chat.pieces import Asked
from sparkrun_tui.launch.prompting import Prompt
from sparkrun_tui.remote import aio
from sparkrun_tui.remote.docker.client import DockerClient
from sparkrun_tui.remote.docker.streams import MOST_TOGETHER
from sparkrun_tui.remote.http.client import HttpCall, TransportHttp
from sparkrun_tui.remote.script.output import AfterMark
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.transport import Transport
from tests.launch.fakes import FakeCluster
from tests.security.test_b6_floods import turns_of_others
from tests.support.scripted import ScriptedTransport
from tests.support.site import FixedResolver

HEAD = b"HTTP/1.1 200 OK\r\nApi-Version: 1.41\r\n"
PING = HEAD + b"Content-Length: 2\r\n\r\nOK"
COUNT = 3000


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


class _Ready:
    """A stream whose data is all there already, as a channel's buffer holds megabytes: reading it never waits."""

    def __init__(self, body: bytes) -> None:
        self._answer = HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + body + b"0\r\n\r\n"
        self._data = b""
        self.ended = False

    async def read(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data

    async def write(self, data: bytes) -> None:
        if data.startswith((b"GET", b"POST")):
            self._data += PING if b"_ping" in data else self._answer

    async def close(self) -> None:
        pass


class _Host(ScriptedTransport):
    """A host whose every socket and port gives the same answer."""

    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    async def open_socket(self, path: str) -> Any:
        return _Ready(self._body)

    async def open_tcp(self, address: str, port: int) -> Any:
        return _Ready(self._body)


async def drained(items: AsyncIterator[object]) -> None:
    with suppress(HostError):
        async for _ in items:
            pass


async def ask(host: Transport) -> None:
    await TransportHttp().ask(host, HttpCall(8000, "/metrics", key=None))


async def containers(host: Transport) -> None:
    with suppress(HostError):
        await DockerClient(host).containers()


async def pull(host: Transport) -> None:
    await drained(DockerClient(host).pull("a/b:1"))


async def events(host: Transport) -> None:
    await drained(DockerClient(host).events())


async def logs(host: Transport) -> None:
    await drained(DockerClient(host).logs("abc"))


async def prompt(host: Transport) -> None:
    services = replace(FakeCluster("spark-1").services, http=TransportHttp(), connector=lambda _name: host)
    await drained(aiter(Prompt(services, "spark-1", 8000, "m", Asked.once("hi"))))


FLOODS: dict[str, tuple[Callable[[Transport], Awaitable[None]], bytes]] = {
    "page in small chunks": (ask, chunk(b"x") * COUNT),
    "list in small chunks": (containers, chunk(b" ") * COUNT),
    "progress in small chunks": (pull, chunk(b"x") * COUNT),
    "progress in one chunk": (pull, chunk(b'{"id":"1","status":"Waiting"}\n' * COUNT)),
    "damaged progress in one chunk": (pull, chunk(b"{\n" * COUNT)),
    "events in one chunk": (events, chunk(b'{"Type":"x"}\n' * COUNT)),
    "frames in small chunks": (logs, chunk(b"\1\0\0\0\0\0\0\1x") * COUNT),
    "an answer in small chunks": (prompt, chunk(b"data: 1\n") * COUNT),
    "an answer in one chunk": (prompt, chunk(b"data: 1\n" * COUNT)),
}


@pytest.mark.parametrize("name", FLOODS)
async def test_what_has_come_already_is_read_in_turns(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # With turns of no length each item ends one, however fast the machine is.
    monkeypatch.setattr(aio, "TURN", 0.0)
    read, body = FLOODS[name]
    together = MOST_TOGETHER if name == "frames in small chunks" else 1
    assert await turns_of_others(read(_Host(body))) >= COUNT // together


async def test_output_that_has_come_already_is_read_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    from sparkrun_tui.remote.script.capture import Capture
    from sparkrun_tui.remote.script.pieces import Pieces

    monkeypatch.setattr(aio, "TURN", 0.0)
    pieces = Pieces()
    for _ in range(COUNT):
        pieces.push("stdout", b"x")
    pieces.close()
    assert await turns_of_others(Capture(b"mark").all_of(pieces.read)) >= COUNT


def test_a_banner_byte_by_byte_is_searched_once() -> None:
    """Only what is new is searched: the whole banner for each byte would be 64 KiB each time."""
    found = AfterMark(b"mark")
    for _ in range(400_000):
        assert found.feed(b"x") == b""
    assert len(found.banner) <= 2 * 65_536
    for letter in b"mark":
        assert found.feed(bytes([letter])) == b""
    assert found.feed(b"\nrest") == b"rest"


class _Endless(asyncssh.SSHServer):
    """Its sockets, ports and commands send for ever, as fast as they may."""

    sent = 0

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, *_: object) -> Any:
        return self.flood

    def unix_connection_requested(self, *_: object) -> Any:
        return self.flood

    async def flood(self, _reader: object, writer: Any) -> None:
        with suppress(asyncssh.Error, OSError):
            while True:
                writer.write(b"x" * 32_768)
                _Endless.sent += 32_768
                await writer.drain()


async def _command(process: Any) -> None:
    with suppress(asyncssh.Error, OSError):
        while True:
            process.stdout.write(b"x" * 32_768)
            _Endless.sent += 32_768
            await process.stdout.drain()


@pytest.mark.parametrize("way", ["socket", "port", "command"])
async def test_a_host_that_sends_faster_than_it_is_read_is_held_back(way: str, tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen(
        "127.0.0.1", 0, server_host_keys=[key], server_factory=_Endless, process_factory=_command, encoding=None
    )
    port = acceptor.get_port()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n")
    endpoint = Endpoint("spark", "127.0.0.1", port, "me", known_hosts_files=(known,))
    pool = SshPool(FixedResolver({"spark": endpoint}), HostKeyPolicy(tmp_path / "own"), local=lambda _name: False)
    host: Any = pool.transport("spark")
    opened = {
        "socket": lambda: host.open_socket("/x"),
        "port": lambda: host.open_tcp("127.0.0.1", 1),
        "command": lambda: host.open_command(["true"]),
    }
    _Endless.sent = 0
    stream = await opened[way]()
    read = 0
    # A slow reader: each of its steps gave the other side leave to send 2 MiB more.
    for _ in range(60):
        read += len(await stream.read(65_536))
        await asyncio.sleep(0.02)
    assert read > 0
    assert _Endless.sent - read < 16 << 20
    await stream.close()
    await pool.close()
    acceptor.close()


def test_no_stream_of_asyncssh_is_read_by_its_own_reader() -> None:
    """`open_connection` and its like come with a reader that lets the other side send without bound."""
    readers = {"open_connection", "open_unix_connection", "create_process", "open_session", "run"}
    found = []
    for file in (Path(sparkrun_tui.__file__).parent / "remote" / "ssh").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute) and node.attr in readers and ast.unparse(node.value) == "connection":
                found.append(f"{file.name}:{node.lineno}: {node.attr}")
    assert not found
