"""A small HTTP/1.1 server on a stream, for the demo's Docker daemons and engines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Any, Protocol
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from sparkrun_tui.base.records import dataclass

_CHUNK = 65_536
_MAX_BODY = 8 << 20


class Reader(Protocol):
    """The receiving half of a stream."""

    async def read(self, n: int = -1) -> bytes:
        """Up to `n` bytes; empty at the end."""


class Writer(Protocol):
    """The sending half of a stream."""

    def write(self, data: bytes) -> None:
        """Send data; it is buffered."""

    async def drain(self) -> None:
        """Wait until the buffer has room."""

    def close(self) -> None:
        """End the stream."""


class Refused(Exception):
    """A request that is answered with an HTTP status and a message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Request:
    """One request: method, path without query, query, and the whole body."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body as JSON, an empty object for an empty body. Raises `Refused` when it is not JSON."""
        if not self.body.strip():
            return {}
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise Refused(400, f"the body is not JSON: {error}") from error

    def flag(self, name: str) -> bool:
        """Whether a query parameter is true."""
        return self.query.get(name, "") in ("1", "true", "True")


class Reply:
    """Sends an answer, either whole or piece by piece."""

    def __init__(self, connection: h11.Connection, writer: Writer, always: Mapping[str, str]) -> None:
        self._connection = connection
        self._writer = writer
        self._always = dict(always)
        self.begun = False

    async def whole(self, status: int, body: bytes, kind: str = "application/json") -> None:
        """Send a complete answer."""
        headers = {**self._always, "Content-Length": str(len(body))}
        if body:
            headers["Content-Type"] = kind
        await self._send(h11.Response(status_code=status, headers=list(headers.items())))
        self.begun = True
        if body:
            await self._send(h11.Data(data=body))
        await self._send(h11.EndOfMessage())

    async def json(self, status: int, value: Any) -> None:
        """Send a JSON document."""
        await self.whole(status, json.dumps(value).encode() + b"\n")

    async def begin(self, kind: str) -> None:
        """Begin an answer of unknown length."""
        headers = {**self._always, "Content-Type": kind, "Transfer-Encoding": "chunked"}
        await self._send(h11.Response(status_code=200, headers=list(headers.items())))
        self.begun = True

    async def piece(self, data: bytes) -> None:
        """Send a piece of the answer."""
        if data:
            await self._send(h11.Data(data=data))

    async def end(self) -> None:
        """End the answer."""
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        self._writer.write(self._connection.send(event) or b"")
        await self._writer.drain()


Handler = Callable[[Request, Reply], Awaitable[None]]


class _Line:
    """Reads ahead, so that an endless answer ends when the client has disconnected."""

    def __init__(self, reader: Reader) -> None:
        self._pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.gone = asyncio.Event()
        self.task = asyncio.create_task(self._pump(reader))
        # Any error of the stream means that the client has disconnected, so it cannot be reported to it.
        self.task.add_done_callback(lambda task: task.cancelled() or task.exception())

    async def next(self) -> bytes:
        """The next bytes; empty at the end."""
        return await self._pieces.get()

    async def _pump(self, reader: Reader) -> None:
        try:
            while data := await reader.read(_CHUNK):
                self._pieces.put_nowait(data)
        finally:
            self._pieces.put_nowait(b"")
            self.gone.set()


async def serve(reader: Reader, writer: Writer, handler: Handler, always: Mapping[str, str] | None = None) -> None:
    """Answer requests on a stream until it ends; `always` are the headers of every answer."""
    line = _Line(reader)
    connection = h11.Connection(our_role=h11.SERVER, max_incomplete_event_size=1 << 20)
    try:
        while (request := await _request(connection, line)) is not None:
            reply = Reply(connection, writer, always or {})
            answering = asyncio.create_task(_answer(handler, request, reply))
            leaving = asyncio.create_task(line.gone.wait())
            try:
                await asyncio.wait({answering, leaving}, return_when=asyncio.FIRST_COMPLETED)
                if not answering.done():
                    break
                answering.result()
            finally:
                answering.cancel()
                leaving.cancel()
            if connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                break
            connection.start_next_cycle()
    except (h11.ProtocolError, OSError):
        # The client broke off or does not speak HTTP; the stream is closed in any case.
        pass
    finally:
        line.task.cancel()
        with suppress(OSError):
            writer.close()


async def _answer(handler: Handler, request: Request, reply: Reply) -> None:
    try:
        await handler(request, reply)
    except Refused as refusal:
        if reply.begun:
            raise OSError("refused in the middle of an answer") from refusal
        await reply.json(refusal.status, {"message": refusal.message})


async def _request(connection: h11.Connection, line: _Line) -> Request | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await line.next())
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _MAX_BODY:
                raise OSError("the request is too long")
        elif isinstance(event, h11.EndOfMessage) and head is not None:
            target = urlsplit(head.target.decode("ascii", "replace"))
            query = dict(parse_qsl(target.query, keep_blank_values=True))
            return Request(head.method.decode(), unquote(target.path), query, bytes(body))
        else:
            return None
