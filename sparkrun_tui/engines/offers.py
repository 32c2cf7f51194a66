"""What inference servers answer: the paths, a request for each, and the answer in words.

Servers for text, embeddings, scores, ranks, classes, pooled states and speech are asked by the same table: by the wait
for readiness, by test prompts, and by the commands to paste. Sources: vllm/entrypoints (routes by supported task),
sglang/srt/entrypoints/http_server.py, tools/server of llama.cpp.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from sparkrun_tui.base.reading.decoded import Decoded, decode_json
from sparkrun_tui.base.reading.json_text import JsonError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.text import clean_line, shorten
from sparkrun_tui.engines.command.arguments import meant_spellings, read_arguments
from sparkrun_tui.engines.family import Family

JSON = "application/json"
SCHEMA_PATH = "/openapi.json"
"""Where servers made with FastAPI list their paths."""
BETWEEN = "|"
"""The sign between a query and the texts that are scored against it."""

NOT_OFFERED = frozenset({404, 405, 501})
"""Statuses of a path that a server does not have, or not for its model."""
NO_ENTRY = frozenset({401, 403})
"""Statuses of a server that wants an API key, or another one."""

_MOST_JSON = 8 << 20
"""Longer answers, such as the pooled states of a long text, are not decoded: that would stop the app for seconds."""
_MOST_SOUND = 64 << 20
_MOST_SHOWN = 400
_MOST_ITEMS = 1000
_RATE = 16_000
"""Samples per second of the sound that is sent to servers for speech."""
_BOUNDARY = "sparkrun-tui-part"


@dataclass(frozen=True, slots=True)
class Request:
    """A request: its path, its body, and the type of the body."""

    path: str
    body: bytes
    kind: str = JSON


Body = Callable[[str, str], Mapping[str, Any]]
"""The JSON of a request for a model, from a text."""
Words = Callable[[Decoded], str]
"""An answer in words, from its JSON; empty where it has another shape."""


@dataclass(frozen=True, slots=True)
class Offer:
    """One kind of answer. `one` is what a single answer is called; `question` says what a test prompt is used for."""

    name: str
    one: str
    paths: tuple[str, ...]
    body: Body
    words: Words
    question: str = "a prompt"
    sound: bool = False
    """Whether a sound is sent, as a form, instead of JSON."""
    binary: bool = False
    """Whether the answer is not JSON, but a sound."""

    def request(self, path: str, model: str, text: str) -> Request:
        """The request that sends `text` to `path`."""
        if self.sound:
            return Request(path, _form(model), f"multipart/form-data; boundary={_BOUNDARY}")
        return Request(path, json.dumps(self.body(model, text)).encode())

    @property
    def most_bytes(self) -> int:
        """The most bytes of an answer that are read."""
        return _MOST_SOUND if self.binary else _MOST_JSON

    def answer(self, body: bytes) -> str:
        """An answer in words, safe to show; says so where it cannot be read."""
        if self.binary:
            return f"{self.one}, {len(body):,} bytes"
        try:
            found = self.words(decode_json(body))
        except JsonError:
            found = ""
        more = " or more" if len(body) >= self.most_bytes else ""
        return found or f"an answer of {len(body):,} bytes{more} that is not read here"


def _texts(text: str) -> list[str]:
    """The query and the texts to score: those between the signs, else the text itself."""
    parts = [part.strip() for part in text.split(BETWEEN)]
    found = [part for part in parts if part]
    if len(found) > 1:
        return found
    return [text, text]


def _completion(model: str, text: str) -> Mapping[str, Any]:
    return {"model": model, "prompt": text, "max_tokens": 1}


def _chat(model: str, text: str) -> Mapping[str, Any]:
    return {"model": model, "messages": [{"role": "user", "content": text}], "max_tokens": 1}


def _response(model: str, text: str) -> Mapping[str, Any]:
    # The fewest tokens that this path accepts.
    return {"model": model, "input": text, "max_output_tokens": 16}


def _input(model: str, text: str) -> Mapping[str, Any]:
    return {"model": model, "input": text}


def _score(model: str, text: str) -> Mapping[str, Any]:
    query, *others = _texts(text)
    second: str | list[str] = others
    if len(others) == 1:
        second = others[0]
    return {"model": model, "text_1": query, "text_2": second}


def _rank(model: str, text: str) -> Mapping[str, Any]:
    query, *others = _texts(text)
    return {"model": model, "query": query, "documents": others}


def _speech(model: str, text: str) -> Mapping[str, Any]:
    return {"model": model, "input": text, "voice": "default", "response_format": "wav"}


def _said(data: Decoded) -> str:
    choice = next(iter(data.at("choices").items()), Decoded(None))
    for text in (choice.at("text"), choice.at("message", "content"), data.at("text")):
        if isinstance(text.data, str) and text.data:
            return shorten(clean_line(text.text()), _MOST_SHOWN)
    return ""


def _embedding(data: Decoded) -> str:
    vector = next(iter(data.at("data").items()), data).at("embedding")
    length = len(vector.items())
    if not length:
        return ""
    return f"an embedding of {length:,} numbers"


def _scores(data: Decoded) -> str:
    """The scores of an answer of `/score` or `/rerank`, in the order of the texts."""
    rows: Sequence[Decoded] = ()
    if isinstance(data.data, list):
        rows = data.items()
    else:
        for key in ("data", "results", "scores"):
            rows = rows or data.at(key).items()
    by_index: dict[int, float] = {}
    for number, row in enumerate(rows[:_MOST_ITEMS]):
        value = row.decimal()
        for key in ("score", "relevance_score"):
            if value is None and isinstance(row.data, dict):
                value = row.at(key).decimal()
        if value is None:
            return ""
        index = number
        if isinstance(row.data, dict):
            stated = row.at("index").whole()
            index = number if stated is None else stated
        by_index[index] = value
    if not by_index:
        return ""
    figures = ", ".join(f"{by_index[index]:.4g}" for index in sorted(by_index))
    if len(by_index) == 1:
        return f"score {figures}"
    return shorten(f"scores {figures}", _MOST_SHOWN)


def _class(data: Decoded) -> str:
    row = next(iter(data.at("data").items()), Decoded(None))
    label = row.at("label").data
    figures = [item.decimal() for item in row.at("probs").items()[:_MOST_ITEMS]]
    known = [figure for figure in figures if figure is not None]
    words = []
    if isinstance(label, str) and label:
        words.append(f"class {shorten(clean_line(label), 100)}")
    if known:
        words.append(f"{len(known):,} probabilities, the highest {max(known):.4g}")
    return ", ".join(words)


def _pooled(data: Decoded) -> str:
    """The size of pooled states: numbers, or rows of numbers."""
    rows = next(iter(data.at("data").items()), Decoded(None)).at("data").items()
    if not rows:
        return ""
    if isinstance(rows[0].data, list):
        return f"pooled states of {len(rows):,} × {len(rows[0].items()):,} numbers"
    return f"pooled states of {len(rows):,} numbers"


COMPLETION = Offer("completion", "one token", ("/v1/completions",), _completion, _said)
CHAT = Offer("chat", "one token", ("/v1/chat/completions",), _chat, _said)
TEXT = frozenset({COMPLETION.name, CHAT.name})
"""The kinds whose answers are texts that arrive token by token."""

_TWO = f"a query and texts to score, with {BETWEEN} between them"
OFFERS: tuple[Offer, ...] = (
    COMPLETION,
    CHAT,
    Offer("embedding", "one embedding", ("/v1/embeddings",), _input, _embedding, "a text to embed"),
    Offer("score", "one score", ("/v1/score", "/score"), _score, _scores, _TWO),
    Offer("rerank", "one score", ("/v1/rerank", "/rerank", "/v2/rerank"), _rank, _scores, _TWO),
    Offer("classify", "one class", ("/classify", "/v1/classify"), _input, _class, "a text to classify"),
    Offer("pooling", "one pooled state", ("/pooling", "/v1/pooling"), _input, _pooled, "a text to pool"),
    Offer(
        "transcription",
        "one transcription",
        ("/v1/audio/transcriptions",),
        _input,
        _said,
        "nothing: half a second of silence is sent",
        sound=True,
    ),
    Offer("speech", "one sound", ("/v1/audio/speech",), _speech, _said, "a text to speak", binary=True),
)
"""Every kind, in the order in which they are tried where a server does not say what it offers."""

_BY_WORD = (
    Offer("responses", "one token", ("/v1/responses",), _response, _said),
    Offer("messages", "one token", ("/v1/messages",), _chat, _said),
)
"""Kinds that are only asked for where a recipe says so."""

BY_NAME: Mapping[str, Offer] = {offer.name: offer for offer in OFFERS}


def offer_at(path: str) -> Offer | None:
    """The kind that is asked at a path; None where the path is not known."""
    for offer in (*OFFERS, *_BY_WORD):
        if path in offer.paths:
            return offer
    return None


def ways(listed: Collection[str] = (), first: str = "") -> Iterator[tuple[Offer, str]]:
    """The offers and their paths in the order to try them: the one called `first`, then the others.

    `listed` are the paths that the server says it has; empty where it does not say.
    """
    ordered = sorted(OFFERS, key=lambda offer: offer.name != first)
    for offer in ordered:
        for path in offer.paths:
            if not listed or path in listed:
                yield offer, path


def paths_of_schema(body: bytes) -> frozenset[str]:
    """The paths in an answer of `/openapi.json` that offers are asked at; empty where it has none of them."""
    known = {path for offer in OFFERS for path in offer.paths}
    try:
        return decode_json(body).at("paths").having(known)
    except JsonError:
        return frozenset()


def offered_by_command(words: Sequence[str], family: Family) -> str:
    """The name of what a server offers by the flags of its command; empty where they do not say."""
    found = read_arguments(words, family).given
    for flag, value, name in family.offers:
        for entry in found:
            if flag not in meant_spellings(entry.word, family):
                continue
            if not value or value in entry.values:
                return name
    return ""


def _form(model: str) -> bytes:
    """A form with half a second of silence as a WAV file, for `/v1/audio/transcriptions`."""
    sound = io.BytesIO()
    import wave

    with wave.open(sound, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(bytes(_RATE))
    head = 'Content-Disposition: form-data; name="{}"'
    parts = [
        _part(head.format("model"), model.encode()),
        _part(
            f'{head.format("file")}; filename="silence.wav"\r\nContent-Type: audio/wav',
            sound.getvalue(),
        ),
    ]
    return b"".join(parts) + f"--{_BOUNDARY}--\r\n".encode()


def _part(head: str, body: bytes) -> bytes:
    return f"--{_BOUNDARY}\r\n{head}\r\n\r\n".encode() + body + b"\r\n"
