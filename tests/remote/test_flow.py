"""Answers that flow in small chunks: whole, whatever the places where they are cut, and nothing that is no chunk."""

from __future__ import annotations

from collections.abc import Sequence

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.remote.http.flow import WIRE_ERRORS, Flow, Unchunked

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
PARTS = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
CUTS = st.lists(st.integers(1, 30), min_size=1, max_size=20)


def chunked(parts: Sequence[bytes], extension: bytes = b"") -> bytes:
    return b"".join(b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts) + b"0\r\n\r\n"


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    pieces, at, turn = [], 0, 0
    while at < len(data):
        size = sizes[turn % len(sizes)]
        pieces.append(data[at : at + size])
        at, turn = at + size, turn + 1
    return pieces


class Wire:
    """A stream that gives pieces, then its end."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        self.sent = b""

    async def write(self, data: bytes) -> None:
        self.sent += data

    async def read(self, size: int) -> bytes:
        if not self.pieces:
            return b""
        piece = self.pieces.pop(0)
        if len(piece) > size:
            self.pieces.insert(0, piece[size:])
        return piece[:size]

    async def close(self) -> None:
        """Nothing to close."""


@given(parts=PARTS, sizes=CUTS, extension=st.sampled_from([b"", b" ", b";a=b", b' ; name="x"']))
def test_chunks_are_joined_wherever_they_are_cut(parts: list[bytes], sizes: list[int], extension: bytes) -> None:
    body = Unchunked()
    found = b"".join(body.feed(piece) for piece in cut(chunked(parts, extension), sizes))
    assert (found, body.over) == (b"".join(parts), True)


@given(data=st.binary(max_size=200) | st.text("0123456789abcdef\r\n; x", max_size=200).map(str.encode), sizes=CUTS)
def test_it_takes_what_h11_takes(data: bytes, sizes: list[int]) -> None:
    """Whatever h11 reads as chunks comes to the same bytes here, and nothing longer."""
    http = h11.Connection(h11.CLIENT)
    http.send(h11.Request(method="GET", target="/", headers=[("Host", "x")]))
    http.send(h11.EndOfMessage())
    http.receive_data(HEAD + data)
    theirs = b""
    try:
        while isinstance(event := http.next_event(), h11.Response | h11.Data):
            theirs += bytes(event.data) if isinstance(event, h11.Data) else b""
    except h11.RemoteProtocolError:
        return
    ours = Unchunked()
    try:
        assert b"".join(ours.feed(piece) for piece in cut(data, sizes)) == theirs
    except ValueError:
        # h11 waits for the end of what cannot become the size of a chunk any more.
        assert http.their_state is h11.SEND_BODY


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\nab\r\n",
        b"2\r\nabc\r\n",
        b"-1\r\n",
        b"1" * 17 + b"\r\n",
        b"1;" + b"x" * 2000,
        b"\n1\r\na",
        b"1\r\na\r\r\n1\r\n",
    ],
)
def test_what_is_no_chunk_is_refused(data: bytes) -> None:
    body = Unchunked()
    with pytest.raises(ValueError, match="not made of chunks"):
        for piece in cut(data, [1]):
            body.feed(piece)


async def test_the_head_and_the_first_lines_may_come_together() -> None:
    wire = Wire([HEAD + chunked([b"one", b"two"])[:9], chunked([b"one", b"two"])[9:]])
    flow = Flow(wire)
    assert await flow.ask("/logs?a=1", "docker") == 200
    assert wire.sent.startswith(b"GET /logs?a=1 HTTP/1.1\r\n")
    assert b"".join([piece async for piece in flow.pieces()]) == b"onetwo"


async def test_an_answer_without_chunks_is_read_too() -> None:
    flow = Flow(Wire([b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone"]))
    assert await flow.ask("/", "docker") == 404
    assert [piece async for piece in flow.pieces()] == [b"gone"]


@pytest.mark.parametrize(
    "pieces",
    [
        [HEAD, b"3\r\none\r\n"],
        [HEAD, b"5\r\non"],
        [HEAD],
        [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\none"],
        [b"HTTP/1.1 100 Continue\r\n\r\n" * 100],
        [b"no http\r\n\r\n"],
        [],
    ],
)
async def test_one_that_breaks_off_is_no_end(pieces: list[bytes]) -> None:
    flow = Flow(Wire(pieces))
    with pytest.raises(WIRE_ERRORS):
        await flow.ask("/", "docker")
        async for _ in flow.pieces():
            pass
