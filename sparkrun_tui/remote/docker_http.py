"""Requests to a Docker daemon: version negotiation, errors in plain words, one retry where it is safe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpcore2

from sparkrun_tui.base.text import clean_text
from sparkrun_tui.remote import http_backend
from sparkrun_tui.remote.docker_dial import Dialer
from sparkrun_tui.remote.docker_types import DockerError
from sparkrun_tui.remote.failures import LinkLost
from sparkrun_tui.remote.transport import Transport

NEWEST_API = (1, 47)
OLDEST_API = (1, 40)
TIMEOUT = 30.0
"""Seconds a daemon may take for an ordinary answer."""

Query = Mapping[str, str | int | bool | None]
Body = bytes | AsyncIterator[bytes] | None


class DockerHttp:
    """The HTTP side of a Docker client. Safe for many tasks at once."""

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
                async with self._send("GET", "/_ping", None, None, {}, TIMEOUT, retry=True) as response:
                    await response.aread()
                    headers = {key.lower(): value for key, value in response.headers}
                    server = headers.get(b"api-version", b"").decode()
                self._version = negotiate(server, self.host)
            return self._version

    async def ask(
        self, method: str, path: str, query: Query | None = None, body: object = None, timeout: float = TIMEOUT
    ) -> Any:
        """The JSON answer (None when empty). Raises `DockerError` with the status when the daemon refuses."""
        content = None if body is None else json.dumps(body).encode()
        headers = {} if body is None else {"Content-Type": "application/json"}
        async with self.open(method, path, query, content, headers, timeout) as response:
            data = await response.aread()
        return json.loads(data) if data.strip() else None

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
                raise self._refusal(response.status, await response.aread())
            yield response

    async def chunks(self, response: httpcore2.Response) -> AsyncIterator[bytes]:
        """The body, as it comes. Raises `LinkLost` when it breaks off."""
        try:
            async for chunk in response.aiter_stream():
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
        target = path + (f"?{urlencode(_plain(query))}" if query else "")
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
            message = str(json.loads(body)["message"])
        except (ValueError, KeyError, TypeError):
            message = body.decode("utf-8", errors="replace")
        return DockerError(clean_text(message.strip()) or f"Docker answered {status}", host=self.host, status=status)


def negotiate(server: str, host: str) -> str:
    """The newest API version that both sides speak. Raises `DockerError` when the daemon is too old."""
    try:
        major, minor = (int(part) for part in server.split(".")[:2])
    except ValueError:
        major, minor = OLDEST_API
    if (major, minor) < OLDEST_API:
        raise DockerError(
            f"its Docker is too old (API {server}, needed is {'.'.join(map(str, OLDEST_API))})",
            host=host,
            remedy="Install Docker 19.03 or newer.",
        )
    chosen = min((major, minor), NEWEST_API)
    return f"{chosen[0]}.{chosen[1]}"


def _plain(query: Query) -> dict[str, str]:
    return {
        key: ("1" if value else "0") if isinstance(value, bool) else str(value)
        for key, value in query.items()
        if value is not None
    }


def _lengths(method: str, content: Body) -> list[tuple[str, str]]:
    if isinstance(content, bytes):
        return [("Content-Length", str(len(content)))]
    if content is not None:
        return [("Transfer-Encoding", "chunked")]
    return [("Content-Length", "0")] if method in ("POST", "PUT") else []
