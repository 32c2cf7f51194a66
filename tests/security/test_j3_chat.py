"""J3: a chat sends neither its key nor what was said to another program at the server's port, and keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkrun_tui.launch.chat.conversation import Conversation, TurnStatus
from sparkrun_tui.launch.chat.pieces import Asked, Piece
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.remote.docker import listening
from tests.launch.fakes import FakeCluster, rendered
from tests.launch.virtual import virtual_time
from tests.security.test_h1_listeners import ANY, KEY, KEYED, LOOP, OURS, THEIRS, Scene, row
from tests.ui.test_backend import opened

SECRET = "what-nobody-else-may-read"
CHAT = "/v1/chat/completions"


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@virtual_time
async def test_who_takes_the_place_of_the_server_gets_no_question(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene = Scene(cluster, row(ANY, OURS))
    backend = await opened(cluster, monkeypatch)
    monkeypatch.setattr(backend._launcher, "services", scene.services)
    plan = await backend.plan(rendered(KEYED, api_key=KEY), cluster.cluster)
    launch = await backend.launch(plan)
    assert isinstance(launch, Launch)
    await launch.wait_ready()
    cluster.answer = [b'data: {"choices": [{"delta": {"content": "yes"}, "finish_reason": "stop"}]}\n\n']

    def source(asked: Asked) -> AsyncIterator[Piece]:
        return backend.ask_endpoint(launch, asked)

    conversation = Conversation()
    conversation.ask(SECRET, source)
    await conversation.stopped()
    assert conversation.turns[0].answer == "yes", conversation.turns[0].problem
    scene.rows["now"] = [row(LOOP, THEIRS)]
    await asyncio.sleep(listening.LASTS + 30)
    cluster.http.calls.clear()
    conversation.ask("and now?", source)
    await conversation.stopped()
    turn = conversation.turns[1]
    assert turn.status is TurnStatus.FAILED and "another program answers" in turn.problem
    assert [call for call in cluster.http.calls if call.path == CHAT or call.key is not None] == []
    await backend.close()


@virtual_time
async def test_nothing_of_a_chat_is_written(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, private_home: Path
) -> None:
    backend = await opened(cluster, monkeypatch)
    launch = await backend.launch(await backend.plan(rendered(KEYED, api_key=KEY), cluster.cluster))
    assert isinstance(launch, Launch)
    await launch.wait_ready()
    cluster.answer = [b'data: {"choices": [{"delta": {"content": "an-answer-to-forget"}}]}\n\n']
    conversation = Conversation()
    conversation.ask(SECRET, lambda asked: backend.ask_endpoint(launch, asked))
    await conversation.stopped()
    assert conversation.turns[0].answer == "an-answer-to-forget"
    await backend.close()
    written = contents(private_home)
    assert written, "the launch itself is recorded"
    assert [path for path, data in written.items() if SECRET.encode() in data or b"an-answer-to-forget" in data] == []
