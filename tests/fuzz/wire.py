"""A host that answers with bytes: a transport whose sockets and ports give out what an input says, at once."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable

from sparkrun_tui.remote.transport import ByteStream, LinkState, LinkStatus, Outcome, Result

Answer = Callable[[str], bytes]
"""The whole HTTP answer (head and body) to a request for a path."""


class Answers:
    """A byte stream that gives each complete HTTP request its answer."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._asked = b""
        self._ready = b""

    async def write(self, data: bytes) -> None:
        self._asked += data
        head, end, body = self._asked.partition(b"\r\n\r\n")
        if end and len(body) >= _length(head):
            first = head.split(b"\r\n")[0].split(b" ")
            # What comes after a request of unknown length is the rest of its body, in pieces.
            if len(first) == 3:
                self._ready += self._answer(first[1].decode("latin-1"))
            self._asked = b""

    async def read(self, size: int) -> bytes:
        given, self._ready = self._ready[:size], self._ready[size:]
        return given

    async def close(self) -> None:
        self._ready = b""


class Wire:
    """A `Transport` to a host of bytes: `script` is what every script prints, `socket` and `port` answer HTTP."""

    name = "spark-01"

    def __init__(self, script: bytes = b"", socket: Answer | None = None, port: Answer | None = None) -> None:
        self._script = script.decode("utf-8", "replace")
        self._socket = socket
        self._port = port

    @property
    def link(self) -> LinkStatus:
        return LinkStatus(LinkState.UP, time.time())

    async def connect(self) -> None:
        """It is always there."""

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        return Result(Outcome.EXITED, 0, self._script, "")

    async def stream(self, script: str) -> AsyncIterator[tuple[str, bytes]]:
        yield "stdout", self._script.encode()

    async def open_socket(self, path: str) -> ByteStream:
        return Answers(self._socket or (lambda _path: b""))

    async def open_tcp(self, address: str, port: int) -> ByteStream:
        return Answers(self._port or (lambda _path: b""))

    async def write_file(self, path: str, data: bytes, mode: int = 0o600) -> None:
        """Nothing is kept."""

    async def close(self) -> None:
        """Nothing is held."""


def whole(body: bytes, status: int = 200, version: bytes = b"1.41") -> bytes:
    """An HTTP answer with a length."""
    head = b"HTTP/1.1 %d X\r\nApi-Version: %s\r\nContent-Length: %d\r\n\r\n" % (status, version, len(body))
    return head + body


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            return int(value)
    return 0
