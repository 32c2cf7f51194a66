"""A TCP server on this machine whose connections a test handles itself, byte by byte."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Handles one connection, which is closed when it returns."""


@asynccontextmanager
async def serving(handle: Handler) -> AsyncIterator[int]:
    """The port of a server on 127.0.0.1; a connection that the client ends is no error of its handler."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handle(reader, writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def requests(reader: asyncio.StreamReader) -> AsyncIterator[tuple[str, str]]:
    """The method and the path (without its query) of each HTTP request on a connection; for requests without a body.

    Raises `asyncio.IncompleteReadError` when the client ends the connection.
    """
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        method, path, _ = head.decode().split(" ", 2)
        yield method, path.partition("?")[0]
