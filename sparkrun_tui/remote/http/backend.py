"""HTTP over the byte streams of a transport, with httpcore2's connection pool."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpcore2

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import ByteStream

SLICE = 8 << 10
"""The most bytes that httpcore2 is given at once. They may be hundreds of announcements (`100 Continue`), which it
passes over one by one without a turn for anything else.
"""

Dial = Callable[[], Awaitable[ByteStream]]


class StreamAdapter(httpcore2.AsyncNetworkStream):
    """A `ByteStream` as httpcore2 wants it; a lost link stays a `LinkLost`."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream
        self._turns = Turns()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Up to `max_bytes`; empty at the end."""
        # What has come already is read without a pause.
        await self._turns.rest()
        try:
            async with asyncio.timeout(timeout):
                return await self._stream.read(min(max_bytes, SLICE))
        except TimeoutError as error:
            raise httpcore2.ReadTimeout("no answer in time") from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Send `buffer`."""
        if not buffer:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._stream.write(buffer)
        except TimeoutError as error:
            raise httpcore2.WriteTimeout("nothing is taken") from error

    async def aclose(self) -> None:
        """Close both ways."""
        await self._stream.close()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        """Never asked for: these streams are encrypted by SSH already."""
        raise httpcore2.UnsupportedProtocol("no TLS inside a forwarded stream")

    def get_extra_info(self, info: str) -> Any:
        """Only `is_readable`: true for an idle stream that has ended, which the pool then does not use again."""
        if info != "is_readable":
            return None
        return getattr(self._stream, "ended", None)


class DialBackend(httpcore2.AsyncNetworkBackend):
    """Opens every connection with `dial` and ignores the requested address."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """A new stream."""
        return StreamAdapter(await self._dial())

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)


def pool(dial: Dial, connections: int = 100) -> httpcore2.AsyncConnectionPool:
    """A pool of HTTP/1.1 connections made by `dial`."""
    return httpcore2.AsyncConnectionPool(
        max_connections=connections,
        max_keepalive_connections=4,
        keepalive_expiry=20.0,
        network_backend=DialBackend(dial),
    )


WIRE_ERRORS = (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.TimeoutException, OSError)
"""What a connection that breaks, or an answer that does not come, raises."""


def as_host_error(error: BaseException, host: str, what: str) -> HostError:
    """One of `WIRE_ERRORS` as a `HostError`."""
    if isinstance(error, httpcore2.TimeoutException | TimeoutError):
        return HostError(f"{what} does not answer in time", host=host)
    # h11 quotes in its errors what the server sent.
    said = shorten(clean_line(str(error)), 200) or type(error).__name__
    return LinkLost(f"the connection to {what} broke: {said}", host=host)
