"""An answer that flows for hours in very many small chunks, such as a log: read in the pieces in which it comes.

A Docker daemon sends each line of a log as a chunk of its own. h11, and with it httpcore2, makes an event of each: that
alone takes longer than all else that is done with the line. Here h11 reads the head of the answer, and the chunks of
one piece are joined.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator

import h11

from sparkrun_tui.base.regexes import late_regex
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.transport import ByteStream

PIECE = 16 << 10
"""The most bytes that are read at once."""

_MOST_INTERIM = 16
"""Answers of status 1xx before the one that counts."""
_MOST_HEAD = 1024
"""The most bytes between two chunks: the end of the first, and the size and extensions of the second."""

_NEXT = late_regex(rb"\r\n([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?\r\n")


class Unchunked:
    """Takes the chunked coding off a body (RFC 9112, section 7.1). What follows the last chunk is not read."""

    def __init__(self) -> None:
        self.over = False
        """Whether the last chunk has come."""
        self._left = 0
        """The bytes of the current chunk that have not come."""
        # A size follows the end of the chunk before it: the first one looks as if there had been one.
        self._begun = b"\r\n"

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body in the next piece of the coded one. Raises `ValueError` where it is not chunked."""
        parts: list[bytes] = []
        at = self._left
        if at:
            parts.append(data[:at])
            self._left = max(at - len(data), 0)
            if len(data) <= at:
                return parts[0]
        if self._begun:
            data, at = self._begun + data[at:], 0
            self._begun = b""
        end = len(data)
        while at < end and not self.over:
            found = _NEXT.match(data, at)
            if found is None:
                self._begun = data[at:]
                self._check_begun()
                break
            start = found.end()
            size = int(found[1], 16)
            self.over = size == 0
            at = start + size
            parts.append(data[start:at])
            self._left = max(at - end, 0)
        return b"".join(parts)

    def _check_begun(self) -> None:
        """Raise `ValueError` unless what has come may be the beginning of a chunk."""
        begun = self._begun
        if len(begun) > _MOST_HEAD or not b"\r\n".startswith(begun[:2]) or b"\n" in begun[2:]:
            raise ValueError("the answer is not made of chunks")


class Flow:
    """One GET on a stream of its own. Its methods raise `WIRE_ERRORS` and what the stream raises."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._http = h11.Connection(our_role=h11.CLIENT)
        self._chunked = False
        self._turns = Turns()

    async def ask(self, target: str, host: str) -> int:
        """Send the request; the status of the answer. `host` is the name that the server is told."""
        headers = [("Host", host), ("Connection", "close")]
        request = self._http.send(h11.Request(method="GET", target=target, headers=headers)) or b""
        await self._stream.write(request + (self._http.send(h11.EndOfMessage()) or b""))
        for _ in range(_MOST_INTERIM + 1):
            event = await self._event()
            if isinstance(event, h11.Response):
                self._chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
                return event.status_code
        raise ValueError("it announces an answer again and again, and sends none")

    async def pieces(self, timeout: float | None = None) -> AsyncGenerator[bytes, None]:
        """The body, once the status is known; `timeout` seconds for each piece. Raises where it breaks off."""
        pieces = self._unchunked(timeout) if self._chunked else self._plain(timeout)
        async for piece in pieces:
            if piece:
                yield piece

    async def _unchunked(self, timeout: float | None) -> AsyncIterator[bytes]:
        body = Unchunked()
        # What h11 has read beyond the head; it takes no part in the rest.
        yield body.feed(self._http.trailing_data[0])
        while not body.over:
            data = await self._read(timeout)
            if not data:
                raise ValueError("it broke off in the middle of an answer")
            yield body.feed(data)

    async def _plain(self, timeout: float | None) -> AsyncIterator[bytes]:
        while True:
            event = await self._event(timeout)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return

    async def _event(self, timeout: float | None = None) -> h11.Event:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._read(timeout))
            elif isinstance(event, h11.Event):
                return event
            else:
                raise ValueError("it ended the connection")

    async def _read(self, timeout: float | None) -> bytes:
        # What has come already is read without a pause.
        await self._turns.rest()
        if timeout is None:
            return await self._stream.read(PIECE)
        async with asyncio.timeout(timeout):
            return await self._stream.read(PIECE)


WIRE_ERRORS = (h11.ProtocolError, ValueError, OSError, TimeoutError)
"""What an answer that breaks off, does not come, or is no HTTP raises."""
