"""Requests to a Docker daemon: version negotiation, errors in plain words, one retry where it is safe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar
from urllib.parse import urlencode

import httpcore2

from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.reading.numbers import major_minor
from sparkrun_tui.base.text import clean_line, decode, shorten
from sparkrun_tui.remote.aio import closing, in_turns
from sparkrun_tui.remote.docker.dial import Dialer
from sparkrun_tui.remote.docker.streams import json_lines
from sparkrun_tui.remote.docker.types import DockerError
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.http import backend as http_backend
from sparkrun_tui.remote.http import flow as http_flow
from sparkrun_tui.remote.transport import Transport

NEWEST_API = (1, 47)
OLDEST_API = (1, 40)
TIMEOUT = 30.0
"""Seconds a daemon may take for an ordinary answer, from the first byte of the request to the last of the answer."""
MOST = 1 << 20
"""Bytes that an ordinary answer may have; an inspected container or image has some ten thousand."""

_MOST_WORDS = 1 << 16
"""Bytes that are read of a refusal."""
_WORDS = 2000
"""Characters that are shown of one."""

T = TypeVar("T")
Query = Mapping[str, str | int | bool | None]
Body = bytes | AsyncIterator[bytes] | None


class DockerHttp:
    """The HTTP side of a Docker client. Safe for concurrent use by many tasks."""

    def __init__(self, transport: Transport, socket: str = "") -> None:
        self.host = transport.name
        self.dialer = Dialer(transport, socket)
        self._pool = http_backend.pool(self.dialer.dial)
        self._version = ""
        self._negotiation = asyncio.Lock()

    async def close(self) -> None:
        """Close idle connections."""
        await self._pool.aclose()

    async def api_version(self) -> str:
        """The API version spoken with this daemon (`1.41`), asked for once."""
        async with self._negotiation:
            if not self._version:
                self._version = negotiate(await self._in_time(self._ping(), TIMEOUT), self.host)
            return self._version

    async def _ping(self) -> str:
        async with self._send("GET", "/_ping", None, None, {}, TIMEOUT, retry=True) as response:
            await self._body(response, _MOST_WORDS)
            headers = {key.lower(): value for key, value in response.headers}
            return decode(headers.get(b"api-version", b""))

    async def ask(
        self,
        method: str,
        path: str,
        read: Callable[[Decoded], T],
        *,
        query: Query | None = None,
        body: object = None,
        timeout: float = TIMEOUT,
        most: int = MOST,
    ) -> T:
        """The JSON answer as `read` decodes it (from null when the answer is empty).

        Every answer is checked here. Raises `DockerError` for one that is not JSON, is longer than `most` bytes or has
        another shape than `read` expects, and for a refusal, with its HTTP status.
        """
        content = None
        headers: dict[str, str] = {}
        if body is not None:
            content = json.dumps(body).encode()
            headers = {"Content-Type": "application/json"}
        data = await self._in_time(self._whole(method, path, query, content, headers, timeout, most), timeout)
        try:
            answer = Decoded(None)
            if data.strip():
                answer = decode_json(data)
            return read(answer)
        except JsonError as error:
            raise DockerError(
                f"its Docker sent an answer that cannot be understood: {shorten(clean_line(str(error)), 200)}",
                host=self.host,
                remedy=f"Is it Docker that listens on {self.dialer.way}? On the host: docker version",
            ) from error

    async def send(
        self, method: str, path: str, *, query: Query | None = None, body: object = None, timeout: float = TIMEOUT
    ) -> None:
        """A request whose answer has no content. Raises `DockerError` when it fails."""
        await self.ask(method, path, lambda _: None, query=query, body=body, timeout=timeout)

    async def put(self, path: str, query: Query, content: bytes, content_type: str) -> None:
        """Upload `content`. Raises `DockerError`."""
        headers = {"Content-Type": content_type}
        await self._in_time(self._whole("PUT", path, query, content, headers, TIMEOUT, MOST), TIMEOUT)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        content: Body = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = TIMEOUT,
    ) -> AsyncIterator[httpcore2.Response]:
        """The answer to a request, to be read by the caller; `timeout` None waits for ever (streams)."""
        versioned = f"/v{await self.api_version()}{path}"
        retry = method == "GET"
        async with self._send(method, versioned, query, content, headers or {}, timeout, retry=retry) as response:
            if response.status >= 400:
                words = await self._in_time(self._beginning(response, _MOST_WORDS), TIMEOUT)
                raise self._refusal(response.status, words)
            yield response

    async def flow(self, path: str, query: Query, timeout: float | None) -> AsyncGenerator[bytes, None]:
        """The body of a GET that flows in small chunks, in the pieces in which it comes, on a connection of its own.

        `timeout` is for each piece. Raises `LinkLost` when it breaks off.
        """
        target = f"/v{await self.api_version()}{path}?{urlencode(_plain(query))}"
        stream = await self.dialer.dial()
        try:
            flow = http_flow.Flow(stream)
            status = await self._in_time(flow.ask(target, "docker"), TIMEOUT)
            async with aclosing(flow.pieces(timeout)) as pieces:
                if status >= 400:
                    raise self._refusal(status, await self._in_time(_beginning_of(pieces, _MOST_WORDS), TIMEOUT))
                async for piece in pieces:
                    yield piece
        except http_flow.WIRE_ERRORS as error:
            raise http_backend.as_host_error(error, self.host, "Docker") from error
        finally:
            await stream.close()

    async def lines(
        self,
        method: str,
        path: str,
        read: Callable[[Decoded], T],
        query: Query | None = None,
        content: Body = None,
        headers: Mapping[str, str] | None = None,
    ) -> AsyncGenerator[T, None]:
        """What `read` makes of each line of a JSON stream, for as long as it lasts; see `json_lines`."""
        async with (
            self.open(method, path, query, content, headers, timeout=None) as response,
            aclosing(json_lines(self.chunks(response), read)) as values,
        ):
            async for value in values:
                yield value

    async def _whole(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: bytes | None,
        headers: Mapping[str, str],
        timeout: float,
        most: int,
    ) -> bytes:
        async with self.open(method, path, query, content, headers, timeout) as response:
            return await self._body(response, most)

    async def _body(self, response: httpcore2.Response, most: int) -> bytes:
        """The whole body. Raises `DockerError` as soon as it is longer than `most` bytes."""
        data = await self._beginning(response, most + 1)
        if len(data) > most:
            raise DockerError(f"its Docker sent an answer of more than {most >> 10:,} KiB", host=self.host)
        return data

    async def _beginning(self, response: httpcore2.Response, most: int) -> bytes:
        """The body as far as it is not longer than `most` bytes; the rest is not read."""
        async with closing(in_turns(response.aiter_stream())) as chunks:
            return await _beginning_of(chunks, most)

    async def _in_time(self, work: Coroutine[object, object, T], timeout: float) -> T:
        """What `work` gives within `timeout` seconds in all, however slowly bytes trickle in. Raises `HostError`."""
        try:
            async with asyncio.timeout(timeout):
                return await work
        except TimeoutError as error:
            raise http_backend.as_host_error(error, self.host, "Docker") from error

    async def chunks(self, response: httpcore2.Response) -> AsyncIterator[bytes]:
        """The body, as it comes. Raises `LinkLost` when it breaks off."""
        try:
            async with closing(in_turns(response.aiter_stream())) as chunks:
                async for chunk in chunks:
                    yield chunk
        except http_backend.WIRE_ERRORS as error:
            raise http_backend.as_host_error(error, self.host, "Docker") from error

    @asynccontextmanager
    async def _send(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: Body,
        headers: Mapping[str, str],
        timeout: float | None,
        *,
        retry: bool,
    ) -> AsyncIterator[httpcore2.Response]:
        response = await self._answer(method, path, query, content, headers, timeout, retry)
        try:
            yield response
        except http_backend.WIRE_ERRORS as error:
            raise http_backend.as_host_error(error, self.host, "Docker") from error
        finally:
            await response.aclose()

    async def _answer(
        self,
        method: str,
        path: str,
        query: Query | None,
        content: Body,
        headers: Mapping[str, str],
        timeout: float | None,
        retry: bool,
    ) -> httpcore2.Response:
        target = path
        if query:
            target += f"?{urlencode(_plain(query))}"
        url = httpcore2.URL(scheme=b"http", host=b"docker", port=80, target=target.encode("ascii"))
        limits = {"connect": TIMEOUT, "read": timeout, "write": TIMEOUT, "pool": TIMEOUT}
        sent = [("Host", "docker"), *_lengths(method, content), *headers.items()]
        for attempt in (0, 1):
            try:
                request = httpcore2.Request(method, url, headers=sent, content=content, extensions={"timeout": limits})
                return await self._pool.handle_async_request(request)
            except (LinkLost, *http_backend.WIRE_ERRORS) as error:
                # An idle connection may have ended unnoticed; asking again is safe only for what changes nothing.
                if attempt == 0 and retry and not isinstance(error, httpcore2.TimeoutException):
                    continue
                if isinstance(error, LinkLost):
                    raise
                raise http_backend.as_host_error(error, self.host, "Docker") from error
        raise AssertionError("unreachable: the second try raises")

    def _refusal(self, status: int, body: bytes) -> DockerError:
        try:
            message = decode_json(body).at("message").text()
        except JsonError:
            # Proxies and other servers refuse in their own way: their words are shown as they are.
            message = decode(body)
        message = shorten(clean_line(message.strip()[: 2 * _WORDS]), _WORDS)
        return DockerError(message or f"Docker answered {status}", host=self.host, status=status)


async def _beginning_of(pieces: AsyncIterator[bytes], most: int) -> bytes:
    """What comes in pieces, as far as it is not longer than `most` bytes; the rest is not read."""
    data = bytearray()
    async for piece in pieces:
        data += piece[: most - len(data)]
        if len(data) >= most:
            break
    return bytes(data)


def negotiate(server: str, host: str) -> str:
    """The newest API version that both sides speak. Raises `DockerError` when the daemon is too old."""
    # A daemon that states no version is taken for one that speaks our oldest version.
    spoken = major_minor(server, most=9999) or OLDEST_API
    if spoken < OLDEST_API:
        raise DockerError(
            f"its Docker is too old (API {spoken[0]}.{spoken[1]}, needed is {'.'.join(map(str, OLDEST_API))})",
            host=host,
            remedy="Install Docker 19.03 or newer.",
        )
    chosen = min(spoken, NEWEST_API)
    return f"{chosen[0]}.{chosen[1]}"


def _plain(query: Query) -> dict[str, str]:
    """The query as text; values of None are left out, and switches are 1 or 0."""
    found: dict[str, str] = {}
    for key, value in query.items():
        if isinstance(value, bool):
            found[key] = str(int(value))
        elif value is not None:
            found[key] = str(value)
    return found


def _lengths(method: str, content: Body) -> list[tuple[str, str]]:
    if isinstance(content, bytes):
        return [("Content-Length", str(len(content)))]
    if content is not None:
        return [("Transfer-Encoding", "chunked")]
    if method in ("POST", "PUT"):
        return [("Content-Length", "0")]
    return []
