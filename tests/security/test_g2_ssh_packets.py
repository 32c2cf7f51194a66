"""Packets of a host that cost this program much more than the host: tiny ones, unanswered ones, and floods of them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import asyncssh
import pytest
from asyncssh.packet import String, UInt32

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.ssh import bounds
from sparkrun_tui.remote.transport import LinkState
from tests.security.test_e6_ssh_floods import linked, unknown
from tests.support.site import until

IGNORE = 2
CHANNEL_CONFIRMED = 91
FLOOD = 8000
"""Packets of a flood; some 290 KB."""


async def test_a_host_that_takes_only_tiny_packets_is_hung_up_on(tmp_path: Path) -> None:
    """A file of a megabyte would be a million packets, sent one after the other without a turn for the app."""
    async with linked(tmp_path) as (host, connection):
        opened: list[int] = []

        def confirm(theirs: int, mine: int, window: int, most: int, *rest: bytes) -> None:
            opened.append(most)
            numbers = (UInt32(number) for number in (theirs, mine, window, 16))
            connection.send_packet(CHANNEL_CONFIRMED, *numbers, *rest)

        connection.send_channel_open_confirmation = confirm
        with pytest.raises(HostError):
            await host.open_tcp("127.0.0.1", connection.get_extra_info("sockname")[1])
        await until(connection.is_closed)
        assert opened


class _Exchange:
    """A key exchange of the host that never ends."""

    algorithm = b""

    def process_packet(self, *_: object) -> bool:
        return True

    def log_received_packet(self, *_: object) -> None:
        pass


async def test_a_host_that_ends_no_key_exchange_and_asks_on_is_hung_up_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "MAX_DEFERRED", 500)
    async with linked(tmp_path) as (host, connection):
        connection._kex = _Exchange()
        connection._send_kexinit()
        # The host sends on, as if it had ended.
        connection._kex_complete = True
        connection._packet_handlers = {**connection._packet_handlers, 20: lambda *_: True}
        for _ in range(500):
            for _ in range(100):
                unknown(connection)
            await asyncio.sleep(0.002)
            if host._link.generation or connection._transport is None:
                break
        else:
            pytest.fail("every answer waits for ever")


@pytest.mark.parametrize("way", ["direct", "proxy command", "jump"])
async def test_a_flood_of_small_packets_leaves_the_app_its_turns(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0

    def count(*_: object) -> bool:
        nonlocal read
        read += 1
        return True

    handlers = {**asyncssh.SSHClientConnection._packet_handlers, IGNORE: count}
    monkeypatch.setattr(asyncssh.SSHClientConnection, "_packet_handlers", handlers)
    async with linked(tmp_path, way) as (host, connection):
        flood(connection)
        at_once = 0
        before = read
        while read < FLOOD:
            await asyncio.sleep(0)
            at_once = max(at_once, read - before)
            before = read
        assert at_once < FLOOD / 4
        assert host.link.state is LinkState.UP


def flood(connection: Any) -> None:
    """Send small packets, all at once: encrypted beforehand, they come much faster than they are read."""
    parts: list[bytes] = []
    send = connection._send
    connection._send = parts.append
    for _ in range(FLOOD):
        connection.send_packet(IGNORE, String(b""))
    connection._send = send
    send(b"".join(parts))
