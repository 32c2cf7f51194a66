"""Answers of servers and daemons that cost much more to read than to send: lists of lists, and of names."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from sparkrun_tui.base.reading.json_text import JsonError, parse_json
from sparkrun_tui.engines.offers import OFFERS, paths_of_schema
from sparkrun_tui.launch.question import Question
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.launch.run.readiness import model_names
from sparkrun_tui.remote.http.client import MOST, HttpCall, HttpReply
from sparkrun_tui.remote.transport import Transport
from tests.launch.fakes import FakeCluster

LIMIT = 1.0
"""Seconds for one answer of 4 MiB, on a busy machine."""

UNITS = {
    "lists": b"[],",
    "objects": b"{},",
    "deep": b"[" * 90 + b"]" * 90 + b",",
    "open": b"[",
    "texts": b'"",',
    "quotes": b'"[',
    "numbers": b"0.5,",
}


def filled(unit: bytes, size: int) -> bytes:
    return b'{"data":[' + unit * (size // len(unit)) + b"0]}"


def seconds(body: bytes) -> float:
    """How long it takes to read an answer in every way in which answers are read."""
    began = time.thread_time()
    model_names(body)
    longest = time.thread_time() - began
    for offer in OFFERS:
        began = time.thread_time()
        offer.answer(body)
        longest = max(longest, time.thread_time() - began)
    return longest


@pytest.mark.parametrize("name", UNITS)
def test_an_answer_of_the_largest_size_is_read_quickly(name: str) -> None:
    assert seconds(filled(UNITS[name], MOST)) < LIMIT


def test_a_list_of_paths_is_not_walked() -> None:
    names = ",".join(f'"/{number:x}":0' for number in range(MOST // 12))
    body = f'{{"paths":{{{names},"/v1/embeddings":{{}}}}}}'.encode()
    began = time.thread_time()
    assert paths_of_schema(body) == {"/v1/embeddings"}
    assert time.thread_time() - began < LIMIT


class _Floods:
    """Servers whose every answer is as long as the request allows, and costs the most to read."""

    def __init__(self) -> None:
        self.asked: list[HttpCall] = []

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        self.asked.append(call)
        return HttpReply(200, filled(b"[],", call.most)[: call.most])


@pytest.mark.parametrize("kind", ["embedding", "score", "classify", "pooling", "transcription"])
async def test_a_question_is_answered_without_a_freeze(kind: str) -> None:
    services = replace(FakeCluster("spark-1").services, http=_Floods())
    endpoint = EndpointUp(url="http://10.0.0.1:8000/v1", model="m", offers=kind)
    said = []
    longest = 0.0

    async def ask() -> None:
        async for piece in Question(services, "spark-1", endpoint, "hi"):
            said.append(piece)

    task = asyncio.create_task(ask())
    before = time.thread_time()
    while not task.done():
        await asyncio.sleep(0)
        now = time.thread_time()
        longest, before = max(longest, now - before), now
    await task
    assert "or more that is not read here" in said[0]
    assert longest < 2 * LIMIT


@pytest.mark.parametrize(("levels", "fits"), [(100, True), (101, False)])
def test_levels_are_counted_exactly(levels: int, fits: bool) -> None:
    for opens, closes in (("[", "]"), ('{"a":', "}")):
        text = opens * levels + "0" + closes * levels
        # Brackets in texts do not count, and a quote that is escaped ends none.
        text = f'["\\"[[[", "\\\\", {text}, "{"[" * 300}"]' if levels < 100 else text
        if fits:
            parse_json(text)
            continue
        with pytest.raises(JsonError, match="nested"):
            parse_json(text)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "utf-32"])
def test_no_encoding_hides_the_levels(encoding: str) -> None:
    text = f'["\\"", {"[" * 150}{"]" * 150}, "\\""]'
    with pytest.raises(JsonError, match="nested"):
        parse_json(text.encode(encoding))
