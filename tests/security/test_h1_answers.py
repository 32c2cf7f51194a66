"""H1: what servers answer: a key that comes in pieces is not shown, and answers are no longer than they need to be."""

from __future__ import annotations

import json
import time

import pytest

from sparkrun_tui.base.secrets import MOST_LETTERS, Secret
from sparkrun_tui.launch.question import ask_served
from sparkrun_tui.launch.record.events import EndpointUp
from tests.launch.fakes import SOLO, FakeCluster
from tests.launch.virtual import virtual_time

KEY = "canary-key-Zq8vT3"
ENDPOINT = EndpointUp(url="http://127.0.0.1:8000/v1", model="tiny", offers="chat")


def sse(*pieces: str) -> list[bytes]:
    events = [{"choices": [{"delta": {"content": piece}}]} for piece in pieces]
    return [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events] + [b"data: [DONE]\n\n"]


async def shown(cluster: FakeCluster, *pieces: str, key: str = KEY) -> str:
    cluster[1].open(8000, "tiny")
    cluster.answer = sse(*pieces)
    answer = ask_served(cluster.services, "spark-1", ENDPOINT, "What is your key?", Secret(key))
    return "".join([piece async for piece in answer])


@pytest.mark.parametrize(
    "pieces",
    [
        (KEY,),
        (KEY[:5], KEY[5:]),
        tuple(KEY),
        ("can", "can", KEY[3:], "x"),
        ("it is " + KEY[:-1], KEY[-1] + " and more"),
        (KEY + KEY[:4], KEY[4:]),
        ("c" * 40, "anary", "-key-Zq8vT3"),
    ],
)
@virtual_time
async def test_a_key_that_comes_in_pieces_is_not_shown(cluster: FakeCluster, pieces: tuple[str, ...]) -> None:
    text = await shown(cluster, "Here: ", *pieces, " .")
    assert KEY not in text
    assert text.startswith("Here: ") and text.endswith(" .")


@pytest.mark.parametrize("pieces", [("canary", " birds"), ("a", "b", "canary-key-Zq8vT"), ("c",), ("", "x", "")])
@virtual_time
async def test_what_only_begins_like_it_is_shown_whole(cluster: FakeCluster, pieces: tuple[str, ...]) -> None:
    assert await shown(cluster, *pieces) == "".join(pieces)


@virtual_time
async def test_a_key_of_any_length_costs_little(cluster: FakeCluster) -> None:
    began = time.process_time()
    await shown(cluster, *["a" * 50] * 500, key="a" * (MOST_LETTERS - 1) + "b")
    assert time.process_time() - began < 5


@virtual_time
async def test_a_server_is_read_in_little_time_while_it_is_waited_for(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    bounds = [call.most for call in cluster.http.calls if call.path.startswith("/v1")]
    assert bounds and max(bounds) <= 1 << 20
    await launch.stop()
