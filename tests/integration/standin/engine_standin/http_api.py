"""The endpoint that vLLM and SGLang share: models, completions, streams; on a socket that was bound before."""

from __future__ import annotations

import json
import random
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine_standin import lines, mode

WORDS = ("a", "quick", "brown", "spark", "jumps", "over", "the", "lazy", "fox", "and", "answers", "with", "care")
TOKEN_SECONDS = 0.02


class EngineDead(Exception):
    """The engine behind the endpoint is gone."""


@dataclass(slots=True)
class Service:
    """What the endpoint serves, and how it is doing."""

    names: list[str]
    root: str
    max_model_len: int
    owner: str
    call: dict[str, Any]
    step: Callable[[], None]
    """Computes one token; raises `EngineDead`."""

    status: int = 200
    """What /health answers."""

    stopping: bool = False
    running: int = 0
    served: int = 0
    tokens: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, running: int = 0, tokens: int = 0) -> None:
        """Keep the figures of /metrics."""
        with self.lock:
            self.running += running
            self.served += max(running, 0)
            self.tokens += tokens

    def first_token(self) -> None:
        """The first completion may take its time."""
        if self.served == 0 and mode.name() == "first_token":
            time.sleep(mode.seconds())


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    service: Service

    def log_message(self, format: str, *args: object) -> None:
        """uvicorn's access line, on stdout."""
        status = int(str(args[1])) if len(args) > 1 else 0
        phrase = HTTPStatus(status).phrase if status else ""
        client = f"{self.client_address[0]}:{self.client_address[1]}"
        lines.out(f'INFO:     {client} - "{self.requestline}" {status} {phrase}')

    def do_GET(self) -> None:
        """State, models, figures."""
        service = self.service
        path = self.path.partition("?")[0]
        if path in ("/health", "/ping", "/health_generate", "/ready"):
            return self.answer(service.status, None)
        if path == "/v1/models":
            common = {"object": "model", "created": 1_767_225_600, "owned_by": service.owner, "root": service.root}
            models = [{"id": name, "max_model_len": service.max_model_len} | common for name in service.names]
            return self.answer(200, {"object": "list", "data": models})
        if path == "/version":
            return self.answer(200, {"version": "0.32.0"})
        if path == "/metrics":
            return self.metrics()
        if path == "/standin":
            return self.answer(200, service.call)
        return self.answer(404, {"detail": "Not Found"})

    def metrics(self) -> None:
        """A few of the real names."""
        service = self.service
        label = f'{{engine="0",model_name="{service.names[0]}"}}'
        figures = {
            "num_requests_running": service.running,
            "num_requests_waiting": 0,
            "kv_cache_usage_perc": 0.01 * service.running,
            "generation_tokens_total": service.tokens,
        }
        text = "".join(f"{service.owner}:{name}{label} {value}\n" for name, value in figures.items())
        self.answer(200, text)

    def do_POST(self) -> None:
        """Completions and chat completions."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path not in ("/v1/completions", "/v1/chat/completions"):
            return self.answer(404, {"detail": "Not Found"})
        try:
            asked = json.loads(body)
        except ValueError:
            return self.problem(400, "JSON decode error", "BadRequestError")
        model = asked.get("model", self.service.names[0])
        if model not in self.service.names:
            return self.problem(404, f"The model `{model}` does not exist.", "NotFoundError")
        count = int(asked.get("max_completion_tokens") or asked.get("max_tokens") or 16)
        if count > self.service.max_model_len:
            text = f"max_tokens={count} cannot be greater than max_model_len={self.service.max_model_len}"
            return self.problem(400, text, "BadRequestError")
        self.service.first_token()
        self.service.count(running=1)
        try:
            if asked.get("stream"):
                return self.stream(asked, count)
            return self.complete(count)
        except EngineDead:
            return self.problem(500, "EngineCore encountered an issue.", "InternalServerError")
        finally:
            self.service.count(running=-1)

    def tokens(self, count: int) -> Any:
        """Words, one per step of the engine."""
        for _ in range(count):
            self.service.step()
            time.sleep(TOKEN_SECONDS)
            self.service.count(tokens=1)
            yield random.choice(WORDS) + " "

    def head(self, kind: str) -> dict[str, Any]:
        """The fields that every answer has."""
        chat = "chat" in self.path
        number = f"{'chatcmpl' if chat else 'cmpl'}-{self.service.tokens:032x}"
        return {
            "id": number,
            "object": f"{'chat.completion' if chat else 'text_completion'}{kind if chat else ''}",
            "created": int(time.time()),
            "model": self.service.names[0],
        }

    def complete(self, count: int) -> None:
        """A whole answer."""
        text = "".join(self.tokens(count))
        chat = {"message": {"role": "assistant", "content": text}} if "chat" in self.path else {"text": text}
        usage = {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
        choice = {"index": 0, "finish_reason": "length", **chat}
        self.answer(200, {**self.head(""), "choices": [choice], "usage": usage})

    def stream(self, asked: dict[str, Any], count: int) -> None:
        """An answer in pieces; when the server is stopped meanwhile, it never ends, as vLLM's does not."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        chat = "chat" in self.path
        try:
            if chat:
                self.piece({"delta": {"role": "assistant", "content": ""}, "index": 0})
            for word in self.tokens(count):
                self.piece({"index": 0, **({"delta": {"content": word}} if chat else {"text": word})})
            self.piece({"index": 0, "finish_reason": "length", **({"delta": {}} if chat else {"text": ""})})
            if (asked.get("stream_options") or {}).get("include_usage"):
                usage = {"prompt_tokens": 8, "completion_tokens": count, "total_tokens": 8 + count}
                self.event({**self.head(".chunk"), "choices": [], "usage": usage})
        except EngineDead:
            while self.service.stopping and not self.client_left():
                time.sleep(0.1)
            text = "EngineCore encountered an issue."
            self.event({"error": {"message": text, "type": "InternalServerError", "param": None, "code": 500}})
        self.wfile.write(b"data: [DONE]\n\n")

    def client_left(self) -> bool:
        """Whether the one who asked has gone away."""
        try:
            left: bytes = self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            return left == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def piece(self, choice: dict[str, Any]) -> None:
        """A chunk with one choice."""
        self.event({**self.head(".chunk"), "choices": [{"finish_reason": None, **choice}]})

    def event(self, body: object) -> None:
        """A server-sent event."""
        self.wfile.write(b"data: " + json.dumps(body).encode() + b"\n\n")
        self.wfile.flush()

    def problem(self, status: int, message: str, kind: str) -> None:
        """An error in OpenAI's form."""
        self.answer(status, {"error": {"message": message, "type": kind, "param": None, "code": status}})

    def answer(self, status: int, body: object) -> None:
        """A whole response: nothing, text or JSON."""
        data = b"" if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def listen(bound: socket.socket, service: Service, handler: type[Handler] = Handler) -> ThreadingHTTPServer:
    """Begin to answer on a socket that is bound already; serves in a thread."""
    special = type("Bound", (handler,), {"service": service})
    server = ThreadingHTTPServer(bound.getsockname()[:2], special, bind_and_activate=False)
    server.daemon_threads = True
    server.socket.close()
    server.socket = bound
    server.server_activate()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
