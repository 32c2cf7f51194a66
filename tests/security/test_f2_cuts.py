"""A key that an answer repeats is hidden where the answer is cut, too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.base.text import beginning
from sparkrun_tui.launch.question import Question
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.launch.run.readiness import _words
from sparkrun_tui.remote.http.client import HttpCall, HttpReply, TransportHttp
from sparkrun_tui.remote.transport import Transport
from tests.launch.fakes import FakeCluster
from tests.security.test_d2_floods import _Ready
from tests.support.scripted import ScriptedTransport

KEY = "qzTOKENqz-0123456789-abcdefghij"
SHOWN = KEY[:8]
FILLERS = ["x", "é", "日", "😀"]


def bodies(most: int) -> list[bytes]:
    """Answers with the key at every place around a limit, in bytes and in characters."""
    found = []
    for filler in FILLERS:
        for length in (most, most // len(filler.encode()), 4 * most // len(filler.encode())):
            for back in range(0, len(KEY) + 8, 3):
                found.append((filler * max(length - back, 0) + KEY + " and more").encode())
    return found


@pytest.mark.parametrize("most", [40, 500])
def test_a_cut_is_always_marked(most: int) -> None:
    hide = Redactor([KEY])
    for body in bodies(most):
        text = beginning(body, most)
        assert len(text) <= most
        assert SHOWN not in hide(text), (body[-60:], text[-60:])


def test_an_answer_that_is_not_whole_is_marked() -> None:
    assert beginning("ééé".encode()[:5], 100, whole=False) == "éé…"
    assert beginning(b"all", 100) == "all"


def test_the_words_of_a_wait_are_marked() -> None:
    hide = Redactor([KEY])
    for body in bodies(500):
        assert SHOWN not in hide(_words(HttpReply(500, body)))


class _Answers:
    def __init__(self, body: bytes) -> None:
        self._body = body

    async def ask(self, transport: Transport, call: HttpCall) -> HttpReply:
        return HttpReply(500, self._body[: call.most])


async def test_the_words_of_a_refused_question_are_marked() -> None:
    endpoint = EndpointUp(url="http://10.0.0.1:8000/v1", model="m", offers="embedding")
    for body in bodies(500):
        services = replace(FakeCluster("spark-1").services, http=_Answers(body))
        with pytest.raises(HostError) as raised:
            async for _ in Question(services, "spark-1", endpoint, "hi", key=Secret(KEY)):
                pass
        assert SHOWN not in str(raised.value)


class _Refuses(ScriptedTransport):
    def __init__(self, body: bytes) -> None:
        super().__init__()
        self._body = body

    async def open_tcp(self, address: str, port: int) -> Any:
        return _Refusal(self._body)


class _Refusal(_Ready):
    def __init__(self, body: bytes) -> None:
        super().__init__(b"")
        self._answer = b"HTTP/1.1 400 Bad\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_the_words_of_a_refused_stream_are_marked() -> None:
    hide = Redactor([KEY])
    for body in bodies(2000):
        with pytest.raises(HostError) as raised:
            async for _ in TransportHttp().stream(_Refuses(body), HttpCall(8000, "/", key=Secret(KEY))):
                pass
        assert SHOWN not in hide(str(raised.value))
