"""A prompt to a served model over HTTP: the answer as it arrives, and its figures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.base.text import answer_text, clean_line, log_text, shorten
from sparkrun_tui.engines.offers import CHAT, COMPLETION, Offer
from sparkrun_tui.launch.chat.pieces import CUT, STOP, Asked, Figures, Piece
from sparkrun_tui.launch.chat.refusals import broken_off
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
_UNLIMITED = 131_072
"""The most tokens of an answer for which no limit was asked."""
_MAX_LINE = 1 << 20
_MOST_CHOICES = 16
"""The most answers of one event that are looked at; one was asked for."""

_ERROR = 500
"""The most characters that are shown of a server's error."""
_MOST_END = 40
"""The most characters of a server's word for why an answer ended."""
_REASONING = ("reasoning_content", "reasoning")
"""Where servers put what a model thinks: vLLM has had both names, SGLang and llama.cpp have the first."""


class Prompt:
    """One prompt to an endpoint. Iterate over it, or over `pieces`; its figures are updated on the way."""

    def __init__(
        self,
        services: Services,
        host: str,
        port: int,
        model: str,
        asked: Asked,
        *,
        address: str = "127.0.0.1",
        key: Secret | None = None,
        offer: Offer = CHAT,
    ) -> None:
        """`offer` is `CHAT` or `COMPLETION`; `key` is the API key that the server wants, None where it wants none."""
        most_tokens = asked.max_tokens or _UNLIMITED
        self._services = services
        self._host = host
        self._offer = offer
        self._call = HttpCall(
            port,
            offer.paths[0],
            "POST",
            json.dumps(_body(offer, model, asked)).encode(),
            address=address,
            timeout=FIRST_TOKEN,
            most=MOST + most_tokens * _TOKEN_BYTES,
            key=key,
        )
        self._most_characters = most_tokens * _TOKEN_CHARACTERS
        self._characters = 0
        self.figures = Figures()
        """The figures so far."""

    async def __aiter__(self) -> AsyncIterator[str]:
        """The texts of `pieces`, including what a model prints as its reasoning."""
        async with closing(self.pieces()) as pieces:
            async for piece in pieces:
                if piece.text:
                    yield piece.text

    async def pieces(self) -> AsyncGenerator[Piece, None]:
        """Pieces of the answer, safe to show, and a last one without text that says why it ended.

        Raises `HostError` with the server's message when it refuses or breaks off, and when the answer is far longer
        than was asked for.
        """
        clock = asyncio.get_running_loop().time
        began, first = clock(), 0.0
        end = CUT
        chunks = self._services.http.stream(self._services.connector(self._host), self._call)
        async with closing(chunks), closing(_events(chunks)) as events:
            while (event := await self._next(events)) is not None:
                if event.error:
                    raise broken_off(event.error, self._host)
                text = event.reasoning + event.answer
                if text:
                    self._count(text)
                    now = clock()
                    figures = self.figures
                    if figures.first_after is None:
                        first = now
                        figures = replace(figures, first_after=now - began)
                    # Servers that report the number on the way do so in each event.
                    tokens = figures.tokens if figures.exact else figures.tokens + 1
                    self.figures = replace(figures, tokens=tokens, seconds=now - first)
                if event.tokens is not None:
                    self.figures = replace(
                        self.figures, tokens=event.tokens, exact=True, prompt_tokens=event.prompt_tokens
                    )
                if event.reasoning:
                    yield Piece(event.reasoning, True, self.figures, offer=self._offer.name)
                if event.answer:
                    yield Piece(event.answer, False, self.figures, offer=self._offer.name)
                if event.end:
                    end = event.end
                if event.is_last:
                    if end == CUT:
                        end = STOP
                    break
        yield Piece(figures=self.figures, end=end, offer=self._offer.name)

    def _count(self, piece: str) -> None:
        self._characters += len(piece)
        if self._characters > self._most_characters:
            raise HostError("the answer is far longer than was asked for", host=self._host)

    async def _next(self, events: AsyncIterator[_Event]) -> _Event | None:
        """The next event with content; None at the end. Raises `HostError` when none comes in time."""
        try:
            async with asyncio.timeout(FIRST_TOKEN):
                async for event in events:
                    if event != _NOTHING:
                        return event
        except TimeoutError as error:
            raise HostError(f"no token arrived for {FIRST_TOKEN:.0f} s", host=self._host) from error
        return None


def _body(offer: Offer, model: str, asked: Asked) -> Mapping[str, Any]:
    if offer is COMPLETION:
        body = {**offer.body(model, asked.transcript)}
    else:
        messages = [{"role": message.role, "content": message.text} for message in asked.messages]
        body = {**offer.body(model, ""), "messages": messages}
    del body["max_tokens"]
    if asked.max_tokens is not None:
        body["max_tokens"] = asked.max_tokens
    if asked.temperature is not None:
        body["temperature"] = asked.temperature
    return {**body, "stream": True, "stream_options": {"include_usage": True}}


@dataclass(frozen=True, slots=True)
class _Event:
    """One event of the stream: pieces of text, the numbers of tokens, an error, why or that the answer ended."""

    reasoning: str = ""
    answer: str = ""
    tokens: int | None = None
    prompt_tokens: int | None = None
    error: str = ""
    end: str = ""
    is_last: bool = False


_NOTHING = _Event()


async def _events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[_Event, None]:
    """The events of a stream of server-sent events, up to `[DONE]`; lines that are none are skipped."""
    lines = ByteLines(_MAX_LINE)
    turns = Turns()
    async for chunk in chunks:
        for line in lines.feed(chunk):
            await turns.rest()
            event = _event_of(line)
            yield event
            if event.is_last:
                return
    yield _event_of(lines.rest())


def _event_of(line: bytes) -> _Event:
    """The event in one line of the stream."""
    name, _, data = line.strip().partition(b":")
    if name not in (b"data", b"error"):
        return _NOTHING
    if data.strip() == b"[DONE]":
        return _Event(is_last=True)
    try:
        decoded = decode_json(data)
        # Older versions of llama.cpp send an error under a name of its own.
        if name == b"error":
            return _Event(error=_error_text(decoded))
        return _event(decoded)
    except JsonError:
        return _NOTHING


def _event(data: Decoded) -> _Event:
    """The event in a message of `/v1/chat/completions`. Raises `ShapeError` for a message of another shape."""
    error = data.at("error")
    if not error.missing:
        return _Event(error=_error_text(error))
    reasoning, answer = _texts(data)
    usage = data.at("usage")
    tokens = usage.at("completion_tokens").whole()
    return _Event(reasoning, answer, tokens, usage.at("prompt_tokens").whole(), end=_end(data))


def _texts(data: Decoded) -> tuple[str, str]:
    """The reasoning and the answer in the first choice of an event that has text, safe to show.

    Where a model stops to think, one event holds the end of the one and the beginning of the other.
    """
    for choice in data.at("choices").items(_MOST_CHOICES):
        delta = choice.at("delta")
        reasoning = ""
        for key in _REASONING:
            reasoning = reasoning or _text(delta.at(key))
        answer = _text(choice.at("text")) or _text(delta.at("content"))
        if reasoning or answer:
            return reasoning, answer
    return "", ""


def _text(value: Decoded) -> str:
    if not isinstance(value.data, str):
        return ""
    return answer_text(value.data)


def _end(data: Decoded) -> str:
    """Why the answer ended, by the first choice that says so; empty while it goes on."""
    for choice in data.at("choices").items(_MOST_CHOICES):
        reason = choice.at("finish_reason").data
        if isinstance(reason, str) and reason:
            return shorten(clean_line(reason), _MOST_END)
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
