"""E6: a host that floods an SSH connection below its channels fills no memory, and is hung up on."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import Boolean, String, UInt32

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.ssh import bounds
from sparkrun_tui.remote.ssh.host_key_policy import HostKeyPolicy
from sparkrun_tui.remote.ssh.pool import SshPool
from sparkrun_tui.remote.ssh.resolve import Endpoint
from sparkrun_tui.remote.transport import LinkState
from tests.support.site import FixedResolver

KEYS = b"".join(String(b"x" * 60) for _ in range(50))

Flood = Callable[[Any], None]


def debug(connection: Any) -> None:
    connection.send_packet(4, Boolean(False), String(b"x"), String(b""))


def host_keys(connection: Any) -> None:
    connection.send_packet(80, String(b"hostkeys-00@openssh.com"), Boolean(True), KEYS)


def unknown(connection: Any) -> None:
    connection.send_packet(80, String(b"x@y"), Boolean(True))


def channels(connection: Any) -> None:
    connection.send_packet(90, String(b"x11"), UInt32(1), UInt32(1 << 20), UInt32(1 << 14), String(b"a"), UInt32(1))


class _Server(asyncssh.SSHServer):
    """Lets everybody in, and keeps the connection."""

    connections: list[Any] = []

    def connection_made(self, conn: Any) -> None:
        _Server.connections.append(conn)

    def begin_auth(self, username: str) -> bool:
        return False

    def connection_requested(self, _host: str, port: int, *_: object) -> bool:
        return port != 1


# What a ProxyCommand does, as `nc` would.
PROXY = """\
import os, socket, sys, threading
link = socket.create_connection(("127.0.0.1", int(sys.argv[1])))
def back():
    while data := link.recv(65536):
        os.write(1, data)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    link.sendall(data)
"""


def endpoints(way: str, port: int, tmp_path: Path) -> dict[str, Endpoint]:
    """The host, and the one that it is reached through."""
    known = (tmp_path / "known_hosts",)
    host = Endpoint("spark", "127.0.0.1", port, "me", known_hosts_files=known)
    if way == "proxy command":
        script = tmp_path / "proxy.py"
        script.write_text(PROXY)
        host = replace(host, proxy_command=f"{sys.executable} {script} %p")
    if way == "jump":
        host = replace(host, jumps=("hop",))
    return {"spark": host, "hop": Endpoint("hop", "127.0.0.1", port, "me", known_hosts_files=known)}


@asynccontextmanager
async def linked(tmp_path: Path, way: str = "direct") -> AsyncIterator[tuple[Any, Any]]:
    """The transport of a host with its link up, and the host's side of the connection."""
    _Server.connections = []
    key = asyncssh.generate_private_key("ssh-ed25519")
    acceptor = await asyncssh.listen("127.0.0.1", 0, server_host_keys=[key], server_factory=_Server)
    port = acceptor.get_port()
    known = tmp_path / "known_hosts"
    known.write_text(f"[127.0.0.1]:{port} {key.export_public_key().decode().strip()}\n")
    resolver = FixedResolver(endpoints(way, port, tmp_path))
    pool = SshPool(resolver, HostKeyPolicy(tmp_path / "own"), local=lambda _name: False)
    host = pool.transport("spark")
    await host.connect()
    try:
        yield host, _Server.connections[-1]
    finally:
        await pool.close()
        acceptor.close()


async def hung_up(connection: Any, flood: Flood, most: int, until: Callable[[], object]) -> bool:
    """Whether the connection ends while the host floods it; `until` is called now and then."""
    for sent in range(most):
        if connection.is_closed() or connection._transport is None:
            return True
        flood(connection)
        if sent % 50 == 0:
            until()
            await asyncio.sleep(0)
    return False


async def test_lists_of_host_keys_are_not_kept(tmp_path: Path) -> None:
    async with linked(tmp_path) as (host, connection):
        mine = host._link._connection
        kept: set[int] = set()
        await hung_up(connection, host_keys, 3000, lambda: kept.add(len(mine._global_request_queue)))
        assert max(kept) < 20, "each list waits for its turn"
        assert host.link.state is LinkState.UP


async def test_debug_messages_without_end_end_the_connection(tmp_path: Path) -> None:
    async with linked(tmp_path) as (_host, connection):
        assert await hung_up(connection, debug, 20 * bounds.MAX_DEBUG, lambda: None)


@pytest.mark.parametrize(
    ("flood", "way"), [(unknown, "direct"), (channels, "direct"), (unknown, "proxy command"), (unknown, "jump")]
)
async def test_a_host_that_asks_and_never_reads_is_hung_up_on(
    flood: Flood, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_UNREAD", 1 << 16)
    async with linked(tmp_path, way) as (host, connection):
        connection._transport.pause_reading()
        for _ in range(3000):
            for _ in range(100):
                flood(connection)
            await asyncio.sleep(0.002)
            if host._link.generation or connection._transport is None:
                break
        else:
            pytest.fail("it may ask for ever")


async def test_what_this_program_sends_may_wait(tmp_path: Path) -> None:
    """A host that is slow to read is no attacker: channels have windows, far below the limit."""
    async with linked(tmp_path) as (host, connection):
        with pytest.raises(HostError):
            await host.open_tcp("127.0.0.1", 1)
        assert not connection.is_closed() and host.link.state is LinkState.UP
