"""The chat: turns, figures, stop, copy, options, and what is kept when the screen is left."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.base.errors import HostError
from sparkrun_tui.launch.record.events import EndpointUp, LaunchStatus, StatusChanged
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.chat import ChatScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.dialogs.snippets import SnippetsScreen
from sparkrun_tui.ui.screens.fleet import FleetScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen

from .conftest import Pilots, lines_with, press, screen_text, settle, until
from .fakes import THOUGHT, FakeBackend, FakeLaunch
from .test_screens import fleet

SIZES = pytest.mark.parametrize("size", [(80, 24), (100, 30), (120, 40), (200, 50)])


def serving(launch_id: str = "served", *, offers: str = "chat", wants_key: bool = False) -> FakeLaunch:
    launch = FakeLaunch(launch_id, ("spark-1",))
    endpoint = EndpointUp(url="http://10.0.0.1:8000/v1", model="alpha", offers=offers, wants_key=wants_key)
    launch.send(endpoint, StatusChanged(status=LaunchStatus.READY))
    return launch


def app_of(pilot: Pilot[int]) -> SparkrunApp:
    return cast(SparkrunApp, pilot.app)


def chat_of(pilot: Pilot[int]) -> ChatScreen:
    assert isinstance(pilot.app.screen, ChatScreen)
    return pilot.app.screen


async def chat(pilot: Pilot[int], launch: FakeLaunch | None = None) -> None:
    """Open the chat with a launch that serves."""
    app_of(pilot).open_launch(launch or serving())
    await settle(pilot)
    await press(pilot, "t")
    await settle(pilot)
    chat_of(pilot)


async def ask(pilot: Pilot[int], text: str) -> None:
    """Write a message, send it and wait for the answer."""
    await press(pilot, *text, "enter")
    await until(pilot, lambda: not chat_of(pilot).conversation.is_busy)
    await pilot.pause(0.2)


@SIZES
async def test_turns_with_their_figures(open_app: Pilots, backend: FakeBackend, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        await chat(pilot)
        await ask(pilot, "first")
        await ask(pilot, "second")
        assert len(lines_with(pilot, "Hello from the model.")) == 2
        assert lines_with(pilot, "first token after 0.25 s, 1.5 tokens/s, 4 tokens, 12 in the prompt")
        roles = [(message.role, message.text) for message in backend.asked[-1].messages]
        assert roles == [("user", "first"), ("assistant", "Hello from the model."), ("user", "second")]


async def test_enter_alone_sends_the_example_once(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await chat(pilot)
        await ask(pilot, "")
        assert backend.asked[0].question.startswith("Say hello")
        await press(pilot, "enter")
        assert len(backend.asked) == 1


async def test_escape_stops_the_answer_then_leaves(open_app: Pilots, backend: FakeBackend) -> None:
    backend.hold = asyncio.Event()
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: "Hello from the model." in screen_text(pilot))
        assert lines_with(pilot, "~4 tokens")
        await press(pilot, "escape")
        await until(pilot, lambda: "closed" in backend.calls)
        await until(pilot, lambda: lines_with(pilot, "! stopped"))
        assert lines_with(pilot, "Hello from the model.")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_an_answer_goes_on_while_the_screen_is_left(open_app: Pilots, backend: FakeBackend) -> None:
    backend.hold = asyncio.Event()
    async with open_app() as pilot:
        await chat(pilot)
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: "Hello from the model." in screen_text(pilot))
        await press(pilot, "n", "o", "t", "e", "tab", "q")
        assert isinstance(pilot.app.screen, LaunchScreen)
        backend.hold.set()
        await until(pilot, lambda: "closed" in backend.calls)
        await pilot.resize_terminal(80, 24)
        await press(pilot, "t")
        await settle(pilot)
        assert lines_with(pilot, "Hello from the model.") and lines_with(pilot, ", 4 tokens")
        assert lines_with(pilot, "note"), "what was being written is still there"


async def test_a_fleet_row_and_the_palette_lead_to_the_same_conversation(
    open_app: Pilots, backend: FakeBackend
) -> None:
    backend.view = fleet()
    async with open_app() as pilot:
        await press(pilot, "f")
        await settle(pilot)
        await press(pilot, "t")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        await ask(pilot, "hello")
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, FleetScreen)
        await press(pilot, "escape", "ctrl+p", *"chat with")
        await pilot.pause(0.5)
        await press(pilot, "enter")
        await until(pilot, lambda: isinstance(pilot.app.screen, ChatScreen))
        assert lines_with(pilot, "Hello from the model.")


async def test_reasoning_is_apart_and_not_sent_back(open_app: Pilots, backend: FakeBackend) -> None:
    backend.answer = (f"{THOUGHT}They greet.", "Hello.")
    async with open_app() as pilot:
        await chat(pilot)
        await ask(pilot, "hi")
        assert lines_with(pilot, "  thinks") and lines_with(pilot, "They greet.") and lines_with(pilot, "  answers")
        await press(pilot, "tab", "y")
        assert pilot.app.clipboard == "Hello."
        await press(pilot, "Y")
        assert pilot.app.clipboard == "## User\n\nhi\n\n## alpha\n\nHello.\n"
        await press(pilot, "i")
        await ask(pilot, "and")
        assert "greet" not in str(backend.asked[-1])


async def test_a_lost_connection_keeps_what_came_and_again_asks_anew(open_app: Pilots, backend: FakeBackend) -> None:
    backend.refusal = HostError("the connection was lost", host="spark-1", remedy="Is it switched on?")
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        await ask(pilot, "hi")
        assert lines_with(pilot, "Hello from the model.")
        assert lines_with(pilot, "✗ spark-1: the connection was lost") and lines_with(pilot, "Is it switched on?")
        backend.refusal = None
        await press(pilot, "ctrl+r")
        await until(pilot, lambda: not lines_with(pilot, "was lost"))
        await until(pilot, lambda: not chat_of(pilot).conversation.is_busy)
        assert [asked.question for asked in backend.asked] == ["hi", "hi"]
        assert len(backend.asked[1].messages) == 1


async def test_options_hold_from_the_next_question(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        await press(pilot, "ctrl+o")
        await settle(pilot)
        await press(pilot, *"Be brief.", "enter", *"9", "enter", *"64", "enter")
        assert lines_with(pilot, "✗ The temperature is a number from 0 to 2")
        await press(pilot, "enter", "backspace", *"0.5", "enter", "enter")
        await settle(pilot)
        assert lines_with(pilot, "system prompt, temperature 0.5, at most 64 tokens")
        await ask(pilot, "hi")
        asked = backend.asked[-1]
        assert (asked.temperature, asked.max_tokens) == (0.5, 64)
        assert [message.role for message in asked.messages] == ["system", "user"]
        assert lines_with(pilot, "Be brief.")


async def test_a_new_chat_forgets_after_a_question(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await chat(pilot)
        await ask(pilot, "hi")
        await press(pilot, "ctrl+n")
        await settle(pilot)
        assert isinstance(pilot.app.screen, Confirm)
        await press(pilot, "y")
        await until(pilot, lambda: not lines_with(pilot, "Hello from the model."))
        assert chat_of(pilot).conversation.turns == []


async def test_a_message_of_several_lines(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        before = chat_of(pilot).view.size.height
        await press(pilot, "a", "ctrl+j", "b", "ctrl+j", "c")
        assert chat_of(pilot).view.size.height == before - 2
        shown = screen_text(pilot).splitlines()[-5:-2]
        assert [line.strip("│ ") for line in shown] == ["a", "b", "c"]
        await press(pilot, "enter")
        await until(pilot, lambda: backend.asked)
        assert backend.asked[0].question == "a\nb\nc"
        await until(pilot, lambda: chat_of(pilot).view.size.height == before)


async def test_moving_up_stays_there_while_an_answer_arrives(open_app: Pilots, backend: FakeBackend) -> None:
    backend.answer = tuple(f"line {number}\n" for number in range(100))
    backend.hold = asyncio.Event()
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: lines_with(pilot, "line 99"))
        await press(pilot, *["pageup"] * 9)
        assert lines_with(pilot, "▸ you")
        backend.hold.set()
        await until(pilot, lambda: not chat_of(pilot).conversation.is_busy)
        await pilot.pause(0.2)
        assert lines_with(pilot, "▸ you")
        await press(pilot, *["pagedown"] * 9)
        assert lines_with(pilot, "100 tokens")


async def test_what_an_answer_holds_is_only_text(open_app: Pilots, backend: FakeBackend) -> None:
    backend.answer = ("[bold]x[/bold] [/]", "\n    indented\n", "\ttab", "\n" + "w" * 300)
    async with open_app((80, 24)) as pilot:
        await chat(pilot)
        await ask(pilot, "[red]q")
        assert lines_with(pilot, "[bold]x[/bold] [/]") and lines_with(pilot, "      indented")
        assert lines_with(pilot, "[red]q")
        await press(pilot, "ctrl+y")
        assert pilot.app.clipboard == "".join(backend.answer)


async def test_the_mouse_works_the_footer_and_the_box(open_app: Pilots, backend: FakeBackend) -> None:
    async with open_app() as pilot:
        await chat(pilot)
        await press(pilot, "h", "i", "enter")
        # The footer is drawn anew once the answer has ended.
        await until(pilot, lambda: "stop the answer" not in screen_text(pilot))
        footer = screen_text(pilot).splitlines()[-1]
        await pilot.click("FooterKeys", offset=(footer.index("^y copy"), 0))
        assert pilot.app.clipboard == "Hello from the model."
        await pilot.click("#chat")
        assert pilot.app.focused is chat_of(pilot).view
        await pilot.click("#message")
        assert pilot.app.focused is chat_of(pilot).box


@pytest.mark.parametrize(
    ("offers", "question", "path"),
    [
        ("embedding", "a text to embed", "/v1/embeddings"),
        ("rerank", "a query and texts to score", "/v1/rerank"),
        ("transcription", "half a second of silence", "/v1/audio/transcriptions"),
        ("chat", "Say hello", "/v1/chat/completions"),
        ("completion", "Say hello", "/v1/chat/completions"),
    ],
)
async def test_the_chat_fits_what_the_server_offers(
    open_app: Pilots, backend: FakeBackend, offers: str, question: str, path: str
) -> None:
    async with open_app() as pilot:
        await chat(pilot, serving(offers=offers, wants_key=True))
        assert lines_with(pilot, question)
        await press(pilot, "tab", "s")
        await settle(pilot)
        assert isinstance(pilot.app.screen, SnippetsScreen)
        await press(pilot, "y")
        assert path in pilot.app.clipboard
        assert """-H 'Authorization: Bearer '"${API_KEY}" """ in pilot.app.clipboard
        await press(pilot, "right")
        assert bool(lines_with(pilot, "[Python]")) == (path == "/v1/chat/completions")


@SIZES
async def test_code_for_every_client(open_app: Pilots, backend: FakeBackend, size: tuple[int, int]) -> None:
    backend.view = fleet()
    async with open_app(size) as pilot:
        app_of(pilot).open_launch(serving(wants_key=True))
        await settle(pilot)
        await press(pilot, "s")
        await settle(pilot)
        for words in (
            "chat/completions",
            "from openai import OpenAI",
            "import OpenAI from",
            "open-webui",
            "model_list",
        ):
            assert lines_with(pilot, words)
            await press(pilot, "y", "right")
            assert words in pilot.app.clipboard and "API_KEY" in pilot.app.clipboard
        await press(pilot, "escape")
        assert isinstance(pilot.app.screen, LaunchScreen)


async def test_a_defect_elsewhere_leaves_the_conversation(open_app: Pilots, backend: FakeBackend) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async with open_app() as pilot:
        await chat(pilot)
        await ask(pilot, "hi")
        app_of(pilot).background(broken(), "broken")
        await settle(pilot)
        assert lines_with(pilot, "Hello from the model.")
        await ask(pilot, "still there?")
        assert len(backend.asked[-1].messages) == 3


async def test_leaving_the_app_ends_an_answer(open_app: Pilots, backend: FakeBackend) -> None:
    backend.hold = asyncio.Event()
    async with open_app() as pilot:
        await chat(pilot)
        await press(pilot, "h", "i", "enter")
        await until(pilot, lambda: "Hello from the model." in screen_text(pilot))
    await asyncio.sleep(0)
    assert "closed" in backend.calls
