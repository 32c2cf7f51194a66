"""HTTP/1.1 to a server on a host, over a TCP stream that the host itself opens: nothing listens on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from dataclasses import field

import h11

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import beginning, clean_line, shorten
from sparkrun_tui.remote.aio import Turns
from sparkrun_tui.remote.transport import ByteStream, Transport

LOOPBACK = "127.0.0.1"
MOST = 4 << 20
"""Bytes that are read of an answer, unless a call says otherwise."""

_CHUNK = 65_536
_WORDS = 2000
"""Bytes that are read of a refusal, and the seconds that may be spent on it."""
_WORDS_TIME = 10.0
_MOST_INTERIM = 16
"""Answers of status 1xx before the one that counts."""


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
    """One HTTP request to a port of a host, sent through its transport; `timeout` in seconds, `most` in bytes."""

    port: int
    path: str
    method: str = "GET"
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    address: str = LOOPBACK
    timeout: float = 10.0
    most: int = MOST
    key: Secret | None = field(kw_only=True)
    """The API key to send. It has no default: a server may want one, and every caller must have thought of it."""


def addresses_of_server(own: str) -> tuple[str, ...]:
    """Where a server is asked for on its own host, in this order; `own` is the host's own address, empty if unknown.

    Most servers listen on all addresses, some only on the one that their command names.
    """
    return tuple(dict.fromkeys((LOOPBACK, own or LOOPBACK)))


class HttpRefused(HostError):
    """A server answered with another status than one of success."""

    def __init__(self, status: int, words: str, *, host: str) -> None:
        super().__init__(f"it answered {status}: {words}", host=host)
        self.status = status
        self.words = words
        """The beginning of its body, as one line that is safe to show."""


class TransportHttp:
    """HTTP over the transports' own TCP streams, one connection a call."""

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        """The answer, as far as it is not longer than the call's `most`.

        Raises `HostError` when it is not there within the call's timeout, however slowly bytes trickle in.
        """
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
                body += chunk[: call.most - len(body)]
                if len(body) >= call.most:
                    break
            return HttpReply(status, bytes(body))
        finally:
            await _close(stream)

    async def stream(self, transport: Transport, call: HttpCall) -> AsyncIterator[bytes]:
        """The body as it comes; the timeout bounds the wait for the head of the answer, and for each chunk.

        Raises `HostError` with the server's words when it refuses, and when the body is longer than the call's `most`.
        """
        stream = await transport.open_tcp(call.address, call.port)
        try:
            exchange = _Exchange(stream, call, transport.name)
            async with asyncio.timeout(call.timeout):
                status = await exchange.begin()
            if not 200 <= status < 300:
                said = await exchange.words()
                words = beginning(said, _WORDS, whole=len(said) < _WORDS)
                raise HttpRefused(status, words, host=transport.name)
            taken = 0
            async for chunk in exchange.chunks():
                taken += len(chunk)
                if taken > call.most:
                    raise HostError(f"port {call.port} answers more than {call.most >> 10:,} KiB", host=transport.name)
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
        self._turns = Turns()

    async def begin(self) -> int:
        """Send the request; the status of the answer."""
        call = self._call
        headers = {"Host": f"{call.address}:{call.port}", "Connection": "close", "User-Agent": "sparkrun-tui"}
        if call.body:
            headers |= {"Content-Length": str(len(call.body)), "Content-Type": "application/json"}
        headers |= dict(call.headers)
        sent_headers = [(name.encode(), value.encode()) for name, value in headers.items()]
        if call.key is not None:
            sent_headers.append((b"Authorization", f"Bearer {call.key.reveal()}".encode()))
        try:
            request = h11.Request(method=call.method, target=call.path, headers=sent_headers)
        except h11.LocalProtocolError:
            # The error of h11 quotes the header, which may be the key.
            raise HostError("the request has characters that HTTP does not allow", host=self._host) from None
        events: list[h11.Event] = [request]
        if call.body:
            events.append(h11.Data(data=call.body))
        events.append(h11.EndOfMessage())
        data = b""
        for sent in events:
            data += self._connection.send(sent) or b""
        await self._stream.write(data)
        for _ in range(_MOST_INTERIM + 1):
            event = await self._next()
            if isinstance(event, h11.Response):
                return event.status_code
        raise HostError(f"port {call.port} announces an answer again and again, and sends none", host=self._host)

    async def words(self) -> bytes:
        """The beginning of the body of a refusal, as far as it comes soon."""
        body = bytearray()
        # What came until then is all that is shown: the refusal itself is known already.
        with suppress(TimeoutError):
            async with asyncio.timeout(min(self._call.timeout, _WORDS_TIME)):
                async for chunk in self.chunks():
                    body += chunk[: _WORDS - len(body)]
                    if len(body) >= _WORDS:
                        break
        return bytes(body)

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body, piece by piece."""
        while True:
            event = await self._next()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
                return

    async def _next(self) -> h11.Event:
        """The next event, within the call's timeout however slowly its bytes come. Raises `HostError`."""
        async with asyncio.timeout(self._call.timeout):
            # What the host has sent already comes without a pause, however many events it is.
            await self._turns.rest()
            return await self._event()

    async def _event(self) -> h11.Event:
        while True:
            try:
                event = self._connection.next_event()
            except h11.RemoteProtocolError as error:
                if self._ended:
                    break
                said = shorten(clean_line(str(error)), 200)
                raise HostError(f"port {self._call.port} does not speak HTTP ({said})", host=self._host) from error
            if event is h11.NEED_DATA:
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
