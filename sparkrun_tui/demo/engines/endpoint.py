"""The HTTP server of a simulated engine: health, models, completions that say that this is a demo, and metrics."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from typing import Any

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.demo import http
from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.engines.figures import Figures
from sparkrun_tui.demo.engines.registry import simulated
from sparkrun_tui.demo.engines.visitors import STEP, TOKEN_SECONDS, Visitors
from sparkrun_tui.engines.family import MetricNames
from sparkrun_tui.engines.registry import FAMILIES

_LOAD_EVERY = 10.0
_DEFAULT_TOKENS = 256

_TEXT = (
    "This is the demo of sparkrun-tui, so no model is thinking here: {name} was never loaded, and the Spark it runs on "
    "is simulated inside this program. You asked: {question} On real hardware the answer would come from the model, "
    "one token at a time, the way these words do. Everything around it is the real thing: the plan, the steps, the "
    "logs, the health checks and this endpoint's API."
)
_AGAIN = (
    "Still the demo of sparkrun-tui: {name} was never loaded. This is question {number} of this conversation: all "
    "before it came with the request, as a model needs it. You asked: {question} A model would take that up here."
)
_SYSTEM = "The system prompt, which a model would follow, says: {system}."
_THINKS = "gpt-oss"
"""What is in the names of models that think before they answer, in the demo."""
_THOUGHTS = "The user talks to a demo. No model is loaded, so nothing can be worked out here; it is best to say so."


@dataclass(frozen=True, slots=True)
class _Answer:
    """An answer: its words, how many of them at the beginning are thoughts, why it ends, and the prompt's tokens."""

    chat: bool
    words: list[str]
    thoughts: int
    end: str
    prompt_tokens: int

    @property
    def usage(self) -> dict[str, int]:
        count = len(self.words)
        total = self.prompt_tokens + count
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": count, "total_tokens": total}


class Endpoint:
    """The server of one engine; counts its requests and tokens."""

    def __init__(self, figures: Figures, container: Container) -> None:
        self._is = figures
        self._engine = simulated(figures.engine)
        self._container = container
        self._clock = container.clock
        self._visitors = Visitors()
        self._prompted = 0
        self._generated = 0
        self._running = 0

    @property
    def prompted(self) -> int:
        """Tokens of prompts so far."""
        return self._prompted + int(self._visitors.prompted)

    @property
    def generated(self) -> int:
        """Tokens of answers so far."""
        return self._generated + int(self._visitors.generated)

    @property
    def running(self) -> int:
        """Requests that run now."""
        return self._running + self._visitors.running

    @property
    def waiting(self) -> int:
        """Requests that wait for their turn."""
        return self._visitors.waiting

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

    async def visit(self, seen: Callable[[float], None]) -> None:
        """Simulate visitors without end; `seen` gets how busy the GPUs are, from 0 to 1."""
        while True:
            await self._clock.sleep(STEP)
            self._visitors.step(STEP)
            seen(self._visitors.busy)

    @property
    def _usage(self) -> float:
        held = self._running * 600 + self._visitors.held
        return min(held / max(self._is.kv_tokens, 1), 1.0)

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
        said = _said(asked, chat)
        size = 8 + sum(len(text.split()) for _, text in said)
        self._prompted += size
        wanted = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or _DEFAULT_TOKENS)
        thoughts = []
        if chat and _THINKS in self._is.served:
            thoughts = _words(_THOUGHTS)
        whole = [*thoughts, *_words(_answer(self._is.served, said))]
        answer = _Answer(chat, whole[:wanted], len(thoughts), "stop" if wanted >= len(whole) else "length", size)
        self._running += 1
        try:
            if asked.get("stream"):
                await self._stream(asked, answer, reply)
            else:
                await self._clock.sleep(TOKEN_SECONDS * len(answer.words))
                self._generated += len(answer.words)
                await reply.json(200, self._whole(answer))
        finally:
            self._running -= 1
        text, stream = self._engine.answered
        self._container.say(text.format(path=request.path), stream)

    def _whole(self, answer: _Answer) -> dict[str, Any]:
        choice: dict[str, Any] = {"index": 0, "finish_reason": answer.end}
        text = "".join(answer.words[answer.thoughts :])
        if answer.chat:
            kind = "chat.completion"
            choice["message"] = {"role": "assistant", "content": text}
            if answer.thoughts:
                choice["message"]["reasoning_content"] = "".join(answer.words[: answer.thoughts])
        else:
            kind = "text_completion"
            choice["text"] = text
        return {**self._head(kind), "choices": [choice], "usage": answer.usage}

    async def _stream(self, asked: dict[str, Any], answer: _Answer, reply: http.Reply) -> None:
        head = self._head("chat.completion.chunk" if answer.chat else "text_completion")
        await reply.begin("text/event-stream")
        for number, word in enumerate(answer.words, 1):
            await self._clock.sleep(TOKEN_SECONDS)
            self._generated += 1
            choice: dict[str, Any] = {"index": 0, "finish_reason": None}
            if not answer.chat:
                choice["text"] = word
            elif number <= answer.thoughts:
                choice["delta"] = {"reasoning_content": word}
            else:
                choice["delta"] = {"content": word}
            if number == len(answer.words):
                choice["finish_reason"] = answer.end
            await _event(reply, {**head, "choices": [choice]})
        options = asked.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            await _event(reply, {**head, "choices": [], "usage": answer.usage})
        await reply.piece(b"data: [DONE]\n\n")
        await reply.end()

    def _head(self, kind: str) -> dict[str, Any]:
        made = int(self._clock.now())
        return {"id": f"demo-{secrets.token_hex(8)}", "object": kind, "created": made, "model": self._is.served}

    def _metrics(self) -> str:
        family = FAMILIES.get(self._is.engine)
        names = family.metrics if family is not None else MetricNames()
        label = f'{{model_name="{self._is.served}"}}' if self._engine.model_label else ""
        samples = (
            (names.running, self.running),
            (names.waiting, self.waiting),
            (names.kv_usage, self._usage),
            (names.generated, self.generated),
            (names.prompted, self.prompted),
        )
        return "".join(f"# TYPE {name[0]} gauge\n{name[0]}{label} {value}\n" for name, value in samples if name)


async def _event(reply: http.Reply, value: dict[str, Any]) -> None:
    await reply.piece(b"data: " + json.dumps(value).encode() + b"\n\n")


def _said(asked: dict[str, Any], chat: bool) -> list[tuple[str, str]]:
    """The role and the text of each message; a prompt is one of the user."""
    if not chat:
        return [("user", str(asked.get("prompt") or ""))]
    messages = asked.get("messages")
    if not isinstance(messages, list):
        return []
    return [
        (str(message.get("role") or ""), str(message.get("content") or ""))
        for message in messages
        if isinstance(message, dict)
    ]


def _answer(name: str, said: list[tuple[str, str]]) -> str:
    """What the demo answers, by all that was said."""
    questions = [text for role, text in said if role == "user"]
    systems = [text for role, text in said if role == "system"]
    text = _TEXT if len(questions) < 2 else _AGAIN
    if systems:
        text = f"{text} {_SYSTEM}".replace("{system}", _quoted(systems[0]))
    question = _quoted(questions[-1] if questions else "")
    return text.replace("{name}", name).replace("{number}", str(len(questions))).replace("{question}", f"{question}.")


def _quoted(text: str) -> str:
    asked = " ".join(text.split())[:200] or "nothing"
    return f'"{asked}"'


def _words(text: str) -> list[str]:
    """The words of a text, each with the blank before it."""
    first, *others = text.split()
    return [first, *(f" {word}" for word in others)]
