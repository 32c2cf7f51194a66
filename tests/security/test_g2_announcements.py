"""Daemons and engines that say the same again and again leave the app its turns."""

from __future__ import annotations

from typing import Any

import pytest

from sparkrun_tui.base.reading.decoded import Decoded
from sparkrun_tui.remote import aio
from sparkrun_tui.remote.docker.client import DockerClient
from tests.security.test_b6_floods import turns_of_others
from tests.security.test_d2_floods import PING, prompt
from tests.security.test_d2_floods import _Host as _Engine
from tests.support.scripted import ScriptedTransport

ANNOUNCED = b"HTTP/1.1 100 Continue\r\n\r\n"
COUNT = 20_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


class _Daemon:
    """A stream on which all has come already."""

    def __init__(self) -> None:
        self._data = b""
        self.ended = False

    async def read(self, size: int) -> bytes:
        data, self._data = self._data[:size], self._data[size:]
        return data

    async def write(self, data: bytes) -> None:
        self._data += PING if b"_ping" in data else ANNOUNCED * COUNT + ANSWER

    async def close(self) -> None:
        pass


class _Host(ScriptedTransport):
    async def open_socket(self, path: str) -> Any:
        return _Daemon()


async def test_answers_that_were_not_asked_for_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event may hold as many as a list may have, each of which takes time."""
    looks = 0
    at = Decoded.at

    def counted(self: Decoded, *keys: str) -> Decoded:
        nonlocal looks
        looks += 1
        return at(self, *keys)

    monkeypatch.setattr(Decoded, "at", counted)
    event = b'data: {"choices":[' + b'{"text":1},' * 80_000 + b"{}]}\n"
    body = (b"%x\r\n%s\r\n" % (len(event), event)) * 4
    await prompt(_Engine(body))
    assert 0 < looks < 1000


async def test_announcements_are_passed_over_in_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    # With turns of no length each slice ends one, however fast the machine is.
    monkeypatch.setattr(aio, "TURN", 0.0)
    docker = DockerClient(_Host())
    turns = await turns_of_others(docker.containers())
    assert turns > COUNT * len(ANNOUNCED) / 16_384
