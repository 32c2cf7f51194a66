"""HTTP/1.1 to a server on a host, over a TCP stream that the host itself opens: nothing listens on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import h11

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import clean_line, decode
from sparkrun_tui.remote.transport import ByteStream, Transport

_CHUNK = 65_536
_MAX_BODY = 4 << 20


@dataclass(frozen=True, slots=True)
class HttpReply:
    """The answer of an HTTP server: status, and the body as far as it was read."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is one of success."""
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class HttpCall:
    """One HTTP request to a port of a host, sent through its transport; seconds."""

    port: int
    path: str
    method: str = "GET"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = "127.0.0.1"
    timeout: float = 10.0


class TransportHttp:
    """HTTP over the transports' own TCP streams, one connection a call."""

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        """The whole answer, at most 4 MiB of it. Raises `HostError` when none comes within the call's timeout."""
        try:
            async with asyncio.timeout(call.timeout):
                return await self._ask(transport, call)
        except TimeoutError as error:
            message = f"no answer from port {call.port} within {call.timeout:.0f} s"
            raise HostError(message, host=transport.name) from error

    async def _ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        stream = await transport.open_tcp(call.address, call.port)
        try:
            exchange = _Exchange(stream, call, transport.name)
            status = await exchange.begin()
            body = bytearray()
            async for chunk in exchange.chunks():
                body += chunk
                if len(body) > _MAX_BODY:
                    break
            return HttpReply(status, bytes(body))
        finally:
            await _close(stream)

    async def stream(self, transport: Transport, call: HttpCall) -> AsyncIterator[bytes]:
        """The body as it comes; only the wait for the first byte and between chunks is bounded by the timeout."""
        stream = await transport.open_tcp(call.address, call.port)
        try:
            exchange = _Exchange(stream, call, transport.name)
            status = await exchange.begin()
            if not 200 <= status < 300:
                body = b"".join([chunk async for chunk in exchange.chunks()])[:2000]
                raise HostError(f"it answered {status}: {clean_line(decode(body))}", host=transport.name)
            async for chunk in exchange.chunks():
                yield chunk
        except TimeoutError as error:
            raise HostError(f"nothing came for {call.timeout:.0f} s", host=transport.name) from error
        finally:
            await _close(stream)


class _Exchange:
    """One request and its answer on an open stream."""

    def __init__(self, stream: ByteStream, call: HttpCall, host: str) -> None:
        self._stream = stream
        self._call = call
        self._host = host
        self._connection = h11.Connection(our_role=h11.CLIENT)
        self._ended = False

    async def begin(self) -> int:
        """Send the request; the status of the answer."""
        call = self._call
        headers = {"Host": f"{call.address}:{call.port}", "Connection": "close", "User-Agent": "sparkrun-tui"}
        if call.body:
            headers |= {"Content-Length": str(len(call.body)), "Content-Type": "application/json"}
        headers |= dict(call.headers)
        request = h11.Request(method=call.method, target=call.path, headers=list(headers.items()))
        data = (self._connection.send(request) or b"") + (
            self._connection.send(h11.Data(data=call.body)) or b"" if call.body else b""
        )
        await self._stream.write(data + (self._connection.send(h11.EndOfMessage()) or b""))
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return

    async def _next(self) -> h11.Event:
        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    break
                raise HostError(f"port {self._call.port} does not speak HTTP ({error})", host=self._host) from error
            if event is h11.NEED_DATA:
                async with asyncio.timeout(self._call.timeout):
                    data = await self._stream.read(_CHUNK)
                self._ended = not data
                self._connection.receive_data(data)
            elif isinstance(event, h11.Event):
                return event
            else:
                break
        raise HostError(f"port {self._call.port} ended the answer early", host=self._host)


async def _close(stream: ByteStream) -> None:
    with suppress(OSError, HostError):
        await stream.close()
