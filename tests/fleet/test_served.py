"""What a server says of its model: the answers of the three engines, in short."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.fleet.model import Health, Workload, WorkloadRank
from sparkrun_tui.fleet.served import context_in, context_of
from sparkrun_tui.remote.http.client import HttpCall, HttpReply
from sparkrun_tui.remote.ports.services import HostServices

RANKS = (WorkloadRank("spark-1", "id", "name", 0, "solo", "running"),)
CODER = Workload("abcd2345", "coder", "vllm", "m", "m", 8000, RANKS, 1, Health.SERVING, address="10.0.0.7")


@pytest.mark.parametrize(
    ("answer", "context"),
    [
        ({"data": [{"id": "m", "max_model_len": 262_144}]}, 262_144),
        ({"data": [{"id": "m", "meta": {"n_ctx": 65_536, "n_ctx_train": 1_048_576}}]}, 65_536),
        ({"data": [{"id": "m"}]}, None),
        ({"data": [{"max_model_len": True}]}, None),
        ({"data": [{"max_model_len": -5}]}, None),
        ({"data": [{"max_model_len": "262144"}]}, None),
        ({"data": []}, None),
        ({"data": {"max_model_len": 5}}, None),
        ([1], None),
        (None, None),
    ],
)
def test_the_context_in_the_list_of_models(answer: object, context: int | None) -> None:
    assert context_in(answer) == context


class _Server:
    def __init__(self, *replies: HttpReply | HostError) -> None:
        self._replies = list(replies)
        self.calls: list[HttpCall] = []

    async def ask(self, transport: object, call: HttpCall) -> HttpReply:
        self.calls.append(call)
        reply = self._replies.pop(0)
        if isinstance(reply, HostError):
            raise reply
        return reply


def services(server: _Server) -> HostServices:
    return cast(HostServices, SimpleNamespace(http=server, connector=lambda name: name, clock=lambda: 20.0))


async def test_only_a_server_of_ours_that_serves_is_asked() -> None:
    server = _Server(HttpReply(200, b'{"data": [{"max_model_len": 4096}]}'))
    for other in (replace(CODER, ours=False), replace(CODER, health=Health.STARTING), replace(CODER, port=None)):
        assert await context_of(other, services(server)) is None
    assert server.calls == []
    assert await context_of(CODER, services(server)) == 4096
    (call,) = server.calls
    assert (call.path, call.port, call.address) == ("/v1/models", 8000, "10.0.0.7")


@pytest.mark.parametrize("reply", [HostError("refused"), HttpReply(500, b"{}"), HttpReply(200, b"no JSON")])
async def test_what_cannot_be_had_is_unknown(reply: HttpReply | HostError) -> None:
    assert await context_of(CODER, services(_Server(reply))) is None
