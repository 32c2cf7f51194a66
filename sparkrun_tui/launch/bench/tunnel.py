"""A port of this machine that leads to a server on a host, through the host's link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.remote.transport import ByteStream, Transport

_PIECE = 1 << 16
_MOST_AGAIN = 16 << 20
"""Bytes of a request that are sent again: a prompt of a million tokens has a few of them."""
_MOST_TRIES = 100
"""How often one connection of the client gets another one to the server."""

Dial = Callable[[], Awaitable[ByteStream]]
"""Opens a connection to the server. Raises `HostError`."""


@asynccontextmanager
async def tunnel(transport: Transport, address: str, port: int, most: int) -> AsyncIterator[int]:
    """The port of 127.0.0.1 that leads to `address:port` as the host sees it; closed with all connections at the end.

    More than `most` connections at once are refused. Any user of this machine may connect meanwhile, as with `ssh -L`.
    """
    running: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(running) >= most:
            writer.close()
            return
        running.add(task)
        try:
            await _Connection(lambda: transport.open_tcp(address, port), reader, writer).carry()
        except HostError:
            # The client sees a connection that ends, and says so.
            return
        finally:
            running.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(running):
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


class _Connection:
    """One connection of a client, and the one to the server that it leads to.

    A server may close a connection behind an answer although it promised to keep it, as llama-server does behind each
    stream. Through a link the client learns of that a moment later, and may have sent its next request meanwhile: a
    request of which the server has answered nothing is sent again on a new connection.
    """

    def __init__(self, dial: Dial, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._dial = dial
        self._reader = reader
        self._writer = writer
        self._unanswered = bytearray()
        """What the client has sent since the server's last byte."""
        self._again = _MOST_TRIES

    async def carry(self) -> None:
        """Carry both ways until one side ends it. Raises `HostError` where the server cannot be reached."""
        self._stream = await self._dial()
        ways = (asyncio.create_task(self._upwards()), asyncio.create_task(self._downwards()))
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            with suppress(HostError, OSError):
                await self._stream.close()

    async def _upwards(self) -> None:
        with suppress(OSError):
            while data := await self._reader.read(_PIECE):
                self._remember(data)
                with suppress(HostError, OSError):
                    # One that has ended is seen where its answers are read.
                    await self._stream.write(data)

    def _remember(self, data: bytes) -> None:
        """Keep what may have to be sent again; a connection with a request beyond the bound sends none again."""
        if len(self._unanswered) + len(data) > _MOST_AGAIN:
            self._again = 0
        if not self._again:
            self._unanswered.clear()
            return
        self._unanswered += data

    async def _downwards(self) -> None:
        with suppress(HostError, OSError):
            while True:
                data = await self._stream.read(_PIECE)
                if data:
                    self._unanswered.clear()
                    self._writer.write(data)
                    await self._writer.drain()
                elif not await self._sent_again():
                    return

    async def _sent_again(self) -> bool:
        """Send what the server has not answered on a new connection; False where there is nothing, or no try left."""
        if not self._unanswered or self._again <= 0:
            return False
        self._again -= 1
        stream = await self._dial()
        sent = 0
        while sent < len(self._unanswered):
            # The client may go on with its request meanwhile: that is remembered, and sent in the next round.
            part = bytes(self._unanswered[sent:])
            await stream.write(part)
            sent += len(part)
        ended, self._stream = self._stream, stream
        await ended.close()
        return True
