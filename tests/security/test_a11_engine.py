"""A11: a hostile engine can neither fill memory nor hold a request for ever, nor raise what nobody foresaw."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.chat.pieces import Asked
from sparkrun_tui.launch.prompting import Prompt
from sparkrun_tui.launch.record.codec import from_json
from sparkrun_tui.launch.run.readiness import model_names
from sparkrun_tui.remote.http.client import HttpCall, TransportHttp
from tests.launch.fakes import FakeCluster
from tests.support.scripted import ScriptedTransport
from tests.support.serving import serving

OK = b"HTTP/1.1 200 OK\r\n\r\n"


@asynccontextmanager
async def engine(head: bytes, endless: bytes = b"", pause: float = 0.0) -> AsyncIterator[int]:
    """The port of a server that says `head`, then `endless` for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        while endless:
            writer.write(endless)
            await writer.drain()
            await asyncio.sleep(pause)
        await writer.drain()

    async with serving(handle) as port:
        yield port


async def asked(port: int, **changes: object) -> str:
    cluster = FakeCluster("spark-1")
    services = replace(cluster.services, http=TransportHttp(), connector=lambda _name: ScriptedTransport())
    prompt = Prompt(services, "spark-1", port, "m", Asked.once("hi", max_tokens=4))
    prompt._call = replace(prompt._call, **changes)  # type: ignore[arg-type]
    return "".join([piece async for piece in prompt])


@pytest.mark.parametrize(
    ("head", "endless", "words"),
    [
        (b"HTTP/1.1 500 X\r\n\r\n", b"x" * 65_536, "it answered 500"),
        (OK, b"x" * 65_536, "answers more than"),
        (OK, b": comment\n" * 5000, "answers more than"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100, "announces an answer"),
    ],
)
async def test_what_never_ends_is_ended(head: bytes, endless: bytes, words: str) -> None:
    async with engine(head, endless) as port:
        tracemalloc.start()
        with pytest.raises(HostError, match=words):
            async with asyncio.timeout(120):
                await asked(port)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 32 << 20


async def test_bytes_that_trickle_do_not_hold_a_request() -> None:
    async with engine(b"HTTP/1.1 200 OK\r\nX: ", b"a", 0.02) as port:
        with pytest.raises(HostError, match="nothing came"):
            await asked(port, timeout=0.5)
        with pytest.raises(HostError, match="no answer"):
            await TransportHttp().ask(ScriptedTransport(), HttpCall(port, "/", timeout=0.5, key=None))


@pytest.mark.parametrize(
    "event",
    [b"[" * 100_000, b'{"choices":[1]}', b'{"choices":5}', b'{"choices":[{"delta":[]}]}', b"5", b"9" * 5000, b"\xff",
     b'{"usage":{"completion_tokens":"x"}}', b'{"usage":[]}', b'{"choices":[{"delta":{"content":[1]}}]}'],
)  # fmt: skip
async def test_events_of_a_wrong_shape_are_passed_over(event: bytes) -> None:
    good = b'data: {"choices":[{"delta":{"content":"good"}}]}\n\n'
    async with engine(OK + b"data: " + event + b"\n\n" + good + b"data: [DONE]\n\n") as port:
        assert await asked(port) == "good"


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"data": [1]}', b'{"data": 5}', b'{"data": [{"id": 5}]}', b"\xff"])
def test_lists_of_models_of_a_wrong_shape_name_none(body: bytes) -> None:
    assert model_names(body) == ()


@pytest.mark.parametrize(
    "change", [{"time": "x"}, {"seq": []}, {"level": 5}, {"text": None}, {"host": {}}, {"time": float("nan")}]
)
def test_events_of_a_journal_are_checked(change: dict[str, object]) -> None:
    good = {"kind": "notice", "seq": 1, "time": 2.0, "level": "note", "text": "a", "host": ""}
    assert from_json(good) is not None
    assert from_json(good | change) is None
