"""A test prompt to a served model: the answer as it arrives, and its speed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator

from sparkrun_tui.base.decoded import Decoded, decode_json
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import log_text, shorten
from sparkrun_tui.engines.offers import CHAT, Offer
from sparkrun_tui.launch.services import Services
from sparkrun_tui.remote.aio import Turns, closing
from sparkrun_tui.remote.http.client import MOST, HttpCall
from sparkrun_tui.remote.script.lines import ByteLines

FIRST_TOKEN = 600.0
"""Seconds that each token may take; bytes that carry no token do not extend it."""

_TOKEN_BYTES = 8192
"""The most bytes of one token's event; servers send about three hundred."""
_TOKEN_CHARACTERS = 256
"""The most characters of a token on average; the longest tokens of any vocabulary are half as long."""
_MAX_LINE = 1 << 20
_MOST_CHOICES = 16
"""The most answers of one event that are looked at; one was asked for."""

_ERROR = 500
"""The most characters that are shown of a server's error."""

_ONE_BY_ONE = 0.2
"""Seconds: when all pieces arrive within this time, they arrived together and give no rate."""


class Prompt:
    """One prompt to an endpoint. Iterate over it for pieces of the answer; its figures are updated on the way."""

    def __init__(
        self,
        services: Services,
        host: str,
        port: int,
        model: str,
        text: str,
        *,
        max_tokens: int = 512,
        address: str = "127.0.0.1",
        key: Secret | None = None,
        offer: Offer = CHAT,
    ) -> None:
        """`offer` is `CHAT` or `COMPLETION`; `key` is the API key that the server wants, None where it wants none."""
        self._services = services
        self._host = host
        self._call = HttpCall(
            port,
            offer.paths[0],
            "POST",
            _body(offer, model, text, max_tokens),
            address=address,
            timeout=FIRST_TOKEN,
            most=MOST + max_tokens * _TOKEN_BYTES,
            key=key,
        )
        self._most_characters = max_tokens * _TOKEN_CHARACTERS
        self._characters = 0
        self.tokens = 0
        """Tokens so far: the number of pieces, until the server reports the exact number at the end."""
        self.first_after: float | None = None
        """Seconds until the first piece."""
        self.seconds = 0.0
        """Seconds since the first piece."""

    @property
    def rate(self) -> float | None:
        """Tokens per second, None before the second token.

        Where tokens arrive one by one, the time to the first one does not count; else the whole time counts.
        """
        if self.tokens < 2 or self.first_after is None:
            return None
        if self.seconds >= _ONE_BY_ONE:
            return (self.tokens - 1) / self.seconds
        whole = self.first_after + self.seconds
        return self.tokens / whole if whole > 0 else None

    async def __aiter__(self) -> AsyncIterator[str]:
        """Pieces of the answer, safe to show, including what a model prints as its reasoning.

        Raises `HostError` with the server's message when it refuses or breaks off, and when the answer is far longer
        than was asked for.
        """
        clock = asyncio.get_running_loop().time
        began, first = clock(), 0.0
        chunks = self._services.http.stream(self._services.connector(self._host), self._call)
        async with closing(chunks), closing(_events(chunks)) as events:
            while (event := await self._next(events)) is not None:
                if event.error:
                    raise HostError(f"the server broke off the answer: {event.error}", host=self._host)
                if event.piece:
                    self._count(event.piece)
                    now = clock()
                    if self.first_after is None:
                        self.first_after, first = now - began, now
                    self.tokens += 1
                    self.seconds = now - first
                    yield event.piece
                if event.tokens is not None:
                    self.tokens = event.tokens

    def _count(self, piece: str) -> None:
        self._characters += len(piece)
        if self._characters > self._most_characters:
            raise HostError("the answer is far longer than was asked for", host=self._host)

    async def _next(self, events: AsyncIterator[_Event]) -> _Event | None:
        """The next event with content; None at the end. Raises `HostError` when none comes in time."""
        try:
            async with asyncio.timeout(FIRST_TOKEN):
                async for event in events:
                    if event.error or event.piece or event.tokens is not None:
                        return event
        except TimeoutError as error:
            raise HostError(f"no token arrived for {FIRST_TOKEN:.0f} s", host=self._host) from error
        return None


def _body(offer: Offer, model: str, text: str, max_tokens: int) -> bytes:
    asked = {
        **offer.body(model, text),
        "max_tokens": max_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    return json.dumps(asked).encode()


@dataclass(frozen=True, slots=True)
class _Event:
    """One event of the stream: a piece of the answer, the number of tokens, or an error."""

    piece: str = ""
    tokens: int | None = None
    error: str = ""


async def _events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[_Event, None]:
    """The events of a stream of server-sent events, up to `[DONE]`; other lines are skipped."""
    lines = ByteLines(_MAX_LINE)
    turns = Turns()
    async for chunk in chunks:
        for line in lines.feed(chunk):
            await turns.rest()
            name, _, data = line.strip().partition(b":")
            if name != b"data":
                continue
            if data.strip() == b"[DONE]":
                return
            try:
                event = _event(decode_json(data))
            except JsonError:
                continue
            yield event


def _event(data: Decoded) -> _Event:
    """The event in a message of `/v1/chat/completions`. Raises `ShapeError` for a message of another shape."""
    error = data.at("error")
    if not error.missing:
        return _Event(error=_error_text(error))
    return _Event(_piece(data), data.at("usage", "completion_tokens").whole())


def _piece(data: Decoded) -> str:
    """The first text in the choices of an event, safe to show; empty without one."""
    for choice in data.at("choices").items(_MOST_CHOICES):
        whole = choice.at("text")
        if isinstance(whole.data, str):
            shown = log_text(whole.text())
            if shown:
                return shown
        delta = choice.at("delta")
        for key in ("content", "reasoning_content", "reasoning"):
            text = delta.at(key)
            if not isinstance(text.data, str):
                continue
            shown = log_text(text.text())
            if shown:
                return shown
    return ""


def _error_text(error: Decoded) -> str:
    message = error
    if isinstance(error.data, dict):
        message = error.at("message")
    shown = ""
    if isinstance(message.data, str):
        text = message.data
        if len(text) > 2 * _ERROR:
            text = text[: 2 * _ERROR] + "…"
        shown = shorten(log_text(text), _ERROR)
    return shown or "it gives no reason"
