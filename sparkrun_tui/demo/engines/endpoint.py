"""The HTTP server of a simulated engine: health, models, completions that say that this is a demo, and metrics."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

from sparkrun_tui.demo import http
from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.engines.figures import Figures
from sparkrun_tui.demo.engines.registry import simulated
from sparkrun_tui.engines.family import MetricNames
from sparkrun_tui.engines.registry import FAMILIES

TOKEN_SECONDS = 0.045
_LOAD_EVERY = 10.0
_DEFAULT_TOKENS = 256

_VISITORS = (2, 2, 3, 3, 3, 2, 1, 1, 2, 4, 4, 3, 2)
"""How many requests of simulated visitors run in each second, repeated; never 0, so that a load is visible."""

_TEXT = (
    "This is the demo of sparkrun-tui, so no model is thinking here: {name} was never loaded, and the Spark it runs on "
    "is simulated inside this program. You asked: {question} On real hardware the answer would come from the model, "
    "one token at a time, the way these words do. Everything around it is the real thing: the plan, the steps, the "
    "logs, the health checks and this endpoint's API."
)


class Endpoint:
    """The server of one engine; counts its requests and tokens."""

    def __init__(self, figures: Figures, container: Container) -> None:
        self._is = figures
        self._engine = simulated(figures.engine)
        self._container = container
        self._clock = container.clock
        self.prompted = 0
        self.generated = 0
        self.running = 0

    async def serve(self, reader: http.Reader, writer: http.Writer) -> None:
        """Answer on one connection."""
        await http.serve(reader, writer, self._handle, {"Server": "uvicorn"})

    async def report_load(self, say: Callable[[float, float, int, float], None]) -> None:
        """Report any load every few seconds: tokens per second, requests, and the used fraction of the KV cache."""
        before = (self.prompted, self.generated)
        while True:
            await self._clock.sleep(_LOAD_EVERY)
            prompted, generated = self.prompted - before[0], self.generated - before[1]
            before = (self.prompted, self.generated)
            if prompted or generated:
                say(prompted / _LOAD_EVERY, generated / _LOAD_EVERY, self.running, self._usage)

    async def visit(self) -> None:
        """Simulate visitors without end: their requests run and their tokens are counted."""
        here = 0
        for wanted in itertools.cycle(_VISITORS):
            self.running += wanted - here
            self.prompted += max(wanted - here, 0) * 40
            here = wanted
            await self._clock.sleep(1.0)
            self.generated += round(here / TOKEN_SECONDS)

    @property
    def _usage(self) -> float:
        return min(0.01 * self.running + self.running * 600 / max(self._is.kv_tokens, 1), 1.0)

    async def _handle(self, request: http.Request, reply: http.Reply) -> None:
        if request.path in ("/health", "/ready", "/ping"):
            await reply.whole(200, self._engine.health)
        elif request.path == "/v1/models":
            model = {"id": self._is.served, "object": "model", "owned_by": "demo", "max_model_len": self._is.length}
            await reply.json(200, {"object": "list", "data": [model]})
        elif request.path == "/metrics":
            await reply.whole(200, self._metrics().encode(), "text/plain; version=0.0.4")
        elif request.path in ("/v1/chat/completions", "/v1/completions") and request.method == "POST":
            await self._complete(request, reply)
        else:
            raise http.Refused(404, "Not Found")

    async def _complete(self, request: http.Request, reply: http.Reply) -> None:
        asked = request.json()
        if not isinstance(asked, dict):
            raise http.Refused(400, "the body is not an object")
        if asked.get("model") not in (None, "", self._is.served):
            raise http.Refused(404, f"The model `{asked.get('model')}` does not exist.")
        chat = "chat" in request.path
        question = _question(asked, chat)
        self.prompted += len(question.split()) + 8
        wanted = asked.get("max_tokens") or asked.get("max_completion_tokens") or _DEFAULT_TOKENS
        words = list(itertools.islice(_words(self._is.served, question), int(wanted)))
        self.running += 1
        try:
            if asked.get("stream"):
                await self._stream(asked, chat, words, reply)
            else:
                await self._clock.sleep(TOKEN_SECONDS * len(words))
                self.generated += len(words)
                await reply.json(200, self._answer(chat, words))
        finally:
            self.running -= 1
        text, stream = self._engine.answered
        self._container.say(text.format(path=request.path), stream)

    def _answer(self, chat: bool, words: list[str]) -> dict[str, Any]:
        text = "".join(words)
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop"}
        if chat:
            kind = "chat.completion"
            choice["message"] = {"role": "assistant", "content": text}
        else:
            kind = "text_completion"
            choice["text"] = text
        return {**self._head(kind), "choices": [choice], "usage": self._tokens(len(words))}

    async def _stream(self, asked: dict[str, Any], chat: bool, words: list[str], reply: http.Reply) -> None:
        head = self._head("chat.completion.chunk" if chat else "text_completion")
        await reply.begin("text/event-stream")
        for number, word in enumerate(words, 1):
            await self._clock.sleep(TOKEN_SECONDS)
            self.generated += 1
            choice: dict[str, Any] = {"index": 0, "finish_reason": None}
            if chat:
                choice["delta"] = {"content": word}
            else:
                choice["text"] = word
            if number == len(words):
                choice["finish_reason"] = "stop"
            await _event(reply, {**head, "choices": [choice]})
        options = asked.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            await _event(reply, {**head, "choices": [], "usage": self._tokens(len(words))})
        await reply.piece(b"data: [DONE]\n\n")
        await reply.end()

    def _head(self, kind: str) -> dict[str, Any]:
        made = int(self._clock.now())
        return {"id": f"demo-{secrets.token_hex(8)}", "object": kind, "created": made, "model": self._is.served}

    def _tokens(self, count: int) -> dict[str, int]:
        return {"prompt_tokens": 16, "completion_tokens": count, "total_tokens": 16 + count}

    def _metrics(self) -> str:
        family = FAMILIES.get(self._is.engine)
        names = family.metrics if family is not None else MetricNames()
        label = f'{{model_name="{self._is.served}"}}' if self._engine.model_label else ""
        samples = (
            (names.running, self.running),
            (names.waiting, 0),
            (names.kv_usage, self._usage),
            (names.generated, self.generated),
            (names.prompted, self.prompted),
        )
        return "".join(f"# TYPE {name[0]} gauge\n{name[0]}{label} {value}\n" for name, value in samples if name)


async def _event(reply: http.Reply, value: dict[str, Any]) -> None:
    await reply.piece(b"data: " + json.dumps(value).encode() + b"\n\n")


def _question(asked: dict[str, Any], chat: bool) -> str:
    if not chat:
        return str(asked.get("prompt") or "")
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        return ""
    last = messages[-1]
    if not isinstance(last, dict):
        return ""
    return str(last.get("content") or "")


def _words(name: str, question: str) -> Iterator[str]:
    """The words of the answer, each with the blank before it."""
    asked = " ".join(question.split())[:200] or "nothing"
    for number, word in enumerate(_TEXT.replace("{name}", name).replace("{question}", f'"{asked}".').split()):
        yield word if number == 0 else f" {word}"
