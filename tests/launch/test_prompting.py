"""A test prompt over HTTP as servers speak it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.chat.pieces import Asked
from sparkrun_tui.launch.prompting import Prompt
from sparkrun_tui.launch.question import ask_served
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.remote.http.client import HttpCall, TransportHttp
from tests.launch.fakes import FakeCluster
from tests.launch.virtual import virtual_time
from tests.support.scripted import ScriptedTransport
from tests.support.serving import serving


def _sse(*events: object) -> bytes:
    return b"".join(b"data: " + json.dumps(event).encode() + b"\n\n" for event in events) + b"data: [DONE]\n\n"


def _delta(text: str) -> dict[str, object]:
    return {"choices": [{"delta": {"content": text}}]}


def _prompt(cluster: FakeCluster) -> Prompt:
    return Prompt(cluster.services, "spark-1", 8000, "tiny", Asked.once("Hello?", max_tokens=512))


@virtual_time
async def test_the_answer_comes_in_pieces_at_any_border_of_chunks(cluster: FakeCluster) -> None:
    data = _sse(
        {"choices": [{"delta": {"role": "assistant", "content": ""}}]}, _delta("Gr"), _delta("üß"), _delta(" dich")
    )
    cluster.answer = [data[at : at + 7] for at in range(0, len(data), 7)]
    prompt = _prompt(cluster)
    assert [piece async for piece in prompt] == ["Gr", "üß", " dich"]
    assert prompt.figures.tokens == 3
    assert prompt.figures.rate is not None and prompt.figures.rate > 0
    assert prompt.figures.first_after is not None and prompt.figures.first_after > 0


@virtual_time
async def test_the_servers_own_count_of_tokens_wins(cluster: FakeCluster) -> None:
    cluster.answer = [_sse(_delta("a"), {"choices": [], "usage": {"completion_tokens": 42}})]
    prompt = _prompt(cluster)
    assert [piece async for piece in prompt] == ["a"]
    assert prompt.figures.tokens == 42


@virtual_time
async def test_a_crash_inside_a_stream_is_an_error_with_the_servers_words(cluster: FakeCluster) -> None:
    cluster.answer = [_sse(_delta("a"), {"error": {"message": "EngineCore encountered an issue", "code": 500}})]
    pieces = []
    with pytest.raises(HostError, match="EngineCore encountered an issue"):
        async for piece in _prompt(cluster):
            pieces.append(piece)
    assert pieces == ["a"]


@virtual_time
async def test_what_steers_a_terminal_is_taken_out_of_answers(cluster: FakeCluster) -> None:
    cluster.answer = [_sse(_delta("one\x1b[2J\ntwo\x07"))]
    assert [piece async for piece in _prompt(cluster)] == ["one\ntwo"]


@asynccontextmanager
async def _answering(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """The port of a server that gives this answer to everything, and what it was asked."""
    asked: list[bytes] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(
            (int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if b"content-length" in line), 0
        )
        asked.append(head + await reader.readexactly(length))
        writer.write(answer)
        await writer.drain()

    async with serving(one) as port:
        yield port, asked


async def test_http_over_a_transport_reads_chunked_and_plain_answers() -> None:
    for answer in (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
    ):
        async with _answering(answer) as (port, asked):
            reply = await TransportHttp().ask(ScriptedTransport(), HttpCall(port, "/x", "POST", b"{}", key=None))
        assert (reply.status, reply.body) == (200, b"hello")
        assert asked[0].startswith(b"POST /x HTTP/1.1\r\n") and asked[0].endswith(b"{}")


async def test_a_request_carries_the_key_in_its_header_only() -> None:
    async with _answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as (port, asked):
        for key in ("plain-key", "schlüssel"):
            call = HttpCall(port, "/x", key=Secret(key))
            assert key not in repr(call)
            assert (await TransportHttp().ask(ScriptedTransport(), call)).ok
            assert f"\r\nAuthorization: Bearer {key}\r\n".encode() in asked[-1]
        evil = HttpCall(port, "/x", key=Secret("a\r\nX-Other: b"))
        with pytest.raises(HostError, match="characters that HTTP does not allow") as refused:
            await TransportHttp().ask(ScriptedTransport(), evil)
    assert "X-Other" not in repr(refused.value)
    assert refused.value.__cause__ is None
    assert len(asked) == 2


async def test_what_is_not_http_and_what_ends_early_are_host_errors() -> None:
    for answer, words in ((b"SSH-2.0-x\r\n\r\n", "does not speak HTTP"), (b"", "ended the answer early")):
        async with _answering(answer) as (port, _):
            with pytest.raises(HostError, match=words):
                await TransportHttp().ask(ScriptedTransport(), HttpCall(port, "/", key=None))


async def test_a_refused_stream_carries_the_servers_words() -> None:
    async with _answering(b"HTTP/1.1 404 Not Found\r\nContent-Length: 13\r\n\r\nno such model") as (port, _):
        with pytest.raises(HostError, match="404: no such model"):
            async for _chunk in TransportHttp().stream(ScriptedTransport(), HttpCall(port, "/", key=None)):
                pass


@virtual_time
async def test_a_server_on_one_address_only_is_asked_there(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def stream(transport: object, call: HttpCall) -> AsyncIterator[bytes]:
        asked.append(call.address)
        if call.address == "127.0.0.1":
            raise HostError("connection refused")
        yield _sse(_delta("here"))

    monkeypatch.setattr(cluster.http, "stream", stream)
    endpoint = EndpointUp(url="http://10.0.0.1:8000/v1", model="tiny")
    assert [piece async for piece in ask_served(cluster.services, "spark-1", endpoint, "Hello?")] == ["here"]
    assert asked == ["127.0.0.1", "10.0.0.1"]
