"""A test prompt to a served model, its answer as it comes, and how fast it came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.text import decode, log_text
from sparkrun_tui.launch.events import EndpointUp
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.aio import closing
from sparkrun_tui.remote.http import HttpCall

FIRST_TOKEN = 600.0
"""Seconds that the first token, and each further one, may take."""

_ONE_BY_ONE = 0.2
"""Seconds: pieces that came closer together than this came in one go, and tell no rate among themselves."""


class Prompt:
    """One question to an endpoint. Iterate it for pieces of the answer; the figures count up meanwhile."""

    def __init__(
        self, services: Services, host: str, port: int, model: str, text: str, *, max_tokens: int = 512,
        address: str = "127.0.0.1",
    ) -> None:  # fmt: skip
        self._services = services
        self._host = host
        self._call = HttpCall(
            port, "/v1/chat/completions", "POST", _body(model, text, max_tokens), address=address, timeout=FIRST_TOKEN
        )
        self.tokens = 0
        """Tokens so far: pieces that came, until the server tells the exact number at its end."""
        self.first_after: float | None = None
        """Seconds until the first piece."""
        self.seconds = 0.0
        """Seconds since the first piece."""

    @property
    def rate(self) -> float | None:
        """Tokens per second: after the first where they came one by one, else over the whole time; None before two."""
        if self.tokens < 2 or self.first_after is None:
            return None
        if self.seconds >= _ONE_BY_ONE:
            return (self.tokens - 1) / self.seconds
        whole = self.first_after + self.seconds
        return self.tokens / whole if whole > 0 else None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Pieces of the answer, safe to show; what a model thinks before it answers comes as it is.

        Raises `HostError` with the server's words when it refuses or breaks off.
        """
        clock = asyncio.get_running_loop().time
        began, first = clock(), 0.0
        async with closing(self._services.http.stream(self._services.connector(self._host), self._call)) as chunks:
            async for event in _events(chunks):
                if "error" in event:
                    raise HostError(f"the server broke off: {_error_text(event['error'])}", host=self._host)
                piece = _piece(event)
                if piece:
                    now = clock()
                    if self.first_after is None:
                        self.first_after, first = now - began, now
                    self.tokens += 1
                    self.seconds = now - first
                    yield piece
                usage = event.get("usage")
                if isinstance(usage, dict) and isinstance(usage.get("completion_tokens"), int):
                    self.tokens = usage["completion_tokens"]


async def ask_served(services: Services, host: str, endpoint: EndpointUp, text: str) -> AsyncIterator[str]:
    """The answer of what `endpoint` tells of, asked from its head host: on loopback first, then on its own address.

    Most servers listen everywhere, some only on the address they were given. Raises `HostError` as a `Prompt` does.
    """
    where = urlsplit(endpoint.url)
    addresses = list(dict.fromkeys(("127.0.0.1", where.hostname or "127.0.0.1")))
    for last, address in enumerate(addresses, 1):
        prompt = Prompt(services, host, where.port or 80, endpoint.model, text, address=address)
        try:
            async for piece in prompt:
                yield piece
        except HostError:
            if prompt.tokens or last == len(addresses):
                raise
        else:
            return


def _body(model: str, text: str, max_tokens: int) -> bytes:
    return json.dumps(
        {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": max_tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    ).encode()


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The JSON objects of a stream of server-sent events, up to `[DONE]`."""
    pending = b""
    async for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            name, _, data = line.strip().partition(b":")
            if name != b"data":
                continue
            if data.strip() == b"[DONE]":
                return
            try:
                event = json.loads(data)
            except ValueError:
                continue
            if isinstance(event, dict):
                yield event


def _piece(event: dict[str, Any]) -> str:
    for choice in event.get("choices") or ():
        delta = choice.get("delta") or {}
        text = delta.get("content") or delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(text, str) and text:
            return log_text(text)
    return ""


def _error_text(error: object) -> str:
    message = error.get("message") if isinstance(error, dict) else error
    return log_text(decode(message) if isinstance(message, bytes) else str(message))[:500]
