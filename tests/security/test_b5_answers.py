"""An engine's answer to a test prompt stays within what was asked for, and the app alive while it comes."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.chat.conversation import TurnStatus
from sparkrun_tui.launch.chat.pieces import STOP, Asked, Piece
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.model.ports import LaunchPort
from sparkrun_tui.ui.screens.chat import ChatScreen
from tests.security.test_a11_engine import OK, asked, engine
from tests.ui.conftest import press, screen_text, settle
from tests.ui.fakes import LAB_SETTINGS, FakeBackend
from tests.ui.test_screens import fleet


def event(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


@pytest.mark.parametrize("piece", ["a", "é ", "x" * 100_000, "\n" * 1000])
async def test_an_answer_far_longer_than_asked_for_is_broken_off(piece: str) -> None:
    async with engine(OK, event(piece) * (1 + 10_000 // len(piece))) as port:
        with pytest.raises(HostError, match="than was asked for" if len(piece) < 5000 else "than"):
            await asked(port)


class _Talking(FakeBackend):
    """Its model says many pieces at once."""

    async def ask_endpoint(self, launch: LaunchPort, asked: Asked) -> AsyncIterator[Piece]:
        for _ in range(20_000):
            yield Piece("é a é ")
        yield Piece(end=STOP)


async def test_an_answer_of_many_pieces_leaves_the_app_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    backend = _Talking()
    backend.view = fleet()
    async with SparkrunApp(Session(LAB_SETTINGS, backend=backend, cluster="lab")).run_test(size=(100, 30)) as pilot:
        await settle(pilot)
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "t")
        await settle(pilot)
        assert isinstance(pilot.app.screen, ChatScreen)
        before = time.process_time()
        await press(pilot, "enter")
        conversation = pilot.app.screen.conversation
        for _ in range(200):
            await settle(pilot)
            if not conversation.is_busy and "é a é é a" in screen_text(pilot):
                break
        assert conversation.turns[0].status is TurnStatus.DONE
        assert "é a é é a" in screen_text(pilot)
        assert time.process_time() - before < 30
