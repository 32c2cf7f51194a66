"""Conversations with a real HTTP server: streams as servers send them, what breaks them, and what is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sparkrun_tui.base.errors import HostError, UsageError
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.chat import conversation as chat
from sparkrun_tui.launch.chat.conversation import ChatSettings, Conversation, Turn, TurnStatus, as_markdown, settings_of
from sparkrun_tui.launch.chat.pieces import Asked, Figures, Piece
from sparkrun_tui.launch.question import FindKey, Question
from sparkrun_tui.launch.record.events import EndpointUp
from sparkrun_tui.remote.http.client import TransportHttp
from tests.launch.fakes import FakeCluster
from tests.support.scripted import ScriptedTransport
from tests.support.serving import serving

KEY = "canary-key-Zq8vT3"
DONE = b"data: [DONE]\n\n"


def event(**delta: object) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": delta}]}).encode() + b"\n\n"


def end(reason: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {}, "finish_reason": reason}]}).encode() + b"\n\n"


def usage(tokens: int, prompt: int) -> bytes:
    counted = {"choices": [], "usage": {"completion_tokens": tokens, "prompt_tokens": prompt}}
    return b"data: " + json.dumps(counted).encode() + b"\n\n"


def chunked(data: bytes, size: int) -> list[bytes]:
    """HTTP chunks of `size` bytes, whatever they cut, without the last one that ends the body."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    return [b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces]


@dataclass
class Server:
    """A server that answers each request by the next of its answers, or by the last one."""

    answers: list[Sequence[bytes]]
    key: str = ""
    hold: asyncio.Event | None = None
    """What it waits for before the end of an answer."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    """Set once a client has closed its connection."""
    port: int = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = [int(line.split(":")[1]) for line in head.splitlines() if line.lower().startswith("content-length")]
        body = await reader.readexactly(length[0]) if length else b"null"
        self.asked.append((head.split(" ")[1], json.loads(body)))
        sent = [line.partition("Bearer ")[2] for line in head.splitlines() if line.startswith("Authorization")]
        self.keys += sent
        if self.key and sent != [self.key]:
            writer.write(refusal(401, {"error": "Unauthorized"})[0])
            await writer.drain()
            return
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        for piece in answer:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        if self.hold is not None:
            leaving = asyncio.create_task(reader.read())
            waiting = asyncio.create_task(self.hold.wait())
            await asyncio.wait({leaving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if leaving.done():
                self.left.set()
            leaving.cancel()
            waiting.cancel()
        if answer and answer[0].startswith(b"HTTP/1.1 200"):
            writer.write(b"0\r\n\r\n")
            await writer.drain()


def stream(data: bytes, size: int = 7) -> Sequence[bytes]:
    return [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n",
        *chunked(data, size),
    ]


def refusal(status: int, body: object) -> Sequence[bytes]:
    text = json.dumps(body).encode()
    return [b"HTTP/1.1 %d No\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (status, len(text), text)]


@asynccontextmanager
async def server(*answers: Sequence[bytes], key: str = "", hold: asyncio.Event | None = None) -> AsyncIterator[Server]:
    found = Server(list(answers), key, hold)
    async with serving(found.handle) as port:
        found.port = port
        yield found


def source(
    found: Server, *, key: Secret | None = None, find_key: FindKey | None = None, offers: str = "chat"
) -> Callable[[Asked], AsyncIterator[Piece]]:
    cluster = FakeCluster("spark-1")
    services = replace(cluster.services, http=TransportHttp(), connector=lambda _name: ScriptedTransport("spark-1"))
    endpoint = EndpointUp(url=f"http://127.0.0.1:{found.port}/v1", model="tiny", offers=offers)

    def ask(asked: Asked) -> AsyncIterator[Piece]:
        return Question(services, "spark-1", endpoint, asked, key=key, find_key=find_key).pieces()

    return ask


async def answered(found: Server, text: str = "Hi", conversation: Conversation | None = None, **how: Any) -> Turn:
    """The turn once its answer has ended."""
    conversation = conversation or Conversation()
    conversation.ask(text, source(found, **how))
    await conversation.stopped()
    return conversation.turns[-1]


WHOLE = (
    b": ping\n\n"
    + event(role="assistant", content="")
    + event(content="Gr")
    + b"event: message\nid: 3\n"
    + event(content="üß dich 🙂")
    + end("stop")
    + usage(42, 9)
)


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("line_end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [DONE, b"", DONE + b"data: {}\n\n"], ids=["done", "no done", "more behind done"])
async def test_a_stream_in_any_chunks(size: int, line_end: bytes, last: bytes) -> None:
    async with server(stream((WHOLE + last).replace(b"\n", line_end), size)) as found:
        turn = await answered(found)
    assert (turn.answer, turn.status, turn.note) == ("Grüß dich 🙂", TurnStatus.DONE, "")
    assert (turn.figures.tokens, turn.figures.exact, turn.figures.prompt_tokens) == (42, True, 9)
    assert "42 tokens, 9 in the prompt" in turn.figures.words and "~" not in turn.figures.words
    path, body = found.asked[0]
    assert path == "/v1/chat/completions"
    assert body["stream_options"] == {"include_usage": True}
    assert "max_tokens" not in body and "temperature" not in body


async def test_without_usage_the_figures_are_said_to_be_approximate() -> None:
    async with server(stream(event(content="a") + event(content="b") + end("stop") + DONE)) as found:
        turn = await answered(found)
    assert turn.figures.words.startswith("first token after")
    assert "~2 tokens" in turn.figures.words
    assert turn.figures.final_words == f"{turn.figures.words} (approximate: pieces were counted)"


async def test_an_answer_at_its_limit_and_one_that_is_cut_are_said_to_be() -> None:
    async with server(stream(event(content="a") + end("length") + DONE)) as found:
        assert "cut off" in (await answered(found)).note
    async with server(stream(event(content="a"))) as found:
        turn = await answered(found)
        assert (turn.answer, turn.status) == ("a", TurnStatus.DONE)
        assert "without saying that it is complete" in turn.note
    async with server(stream(event(content="a") + end("content_filter\x1b[2J") + DONE)) as found:
        note = (await answered(found)).note
        assert note.startswith("ended with: content_filter") and "\x1b" not in note


@pytest.mark.parametrize(
    "broken",
    [
        b'data: {"error": {"message": "EngineCore encountered an issue", "code": 500}}\n\n',
        b'error: {"code": 500, "message": "EngineCore encountered an issue"}\n\n',
        b'data: {"error": "EngineCore encountered an issue"}\n\n',
    ],
)
async def test_an_error_in_the_middle_keeps_what_came(broken: bytes) -> None:
    async with server(stream(event(content="half an") + broken)) as found:
        turn = await answered(found)
    assert (turn.answer, turn.status) == ("half an", TurnStatus.FAILED)
    assert "EngineCore encountered an issue" in turn.problem and turn.remedy


async def test_a_connection_that_is_lost_keeps_what_came() -> None:
    answer = stream(event(content="half an"))
    async with server([answer[0].replace(b"200 OK", b"206 OK"), *answer[1:]]) as found:
        turn = await answered(found)
    assert (turn.answer, turn.status) == ("half an", TurnStatus.FAILED)
    assert "ended the answer early" in turn.problem


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_reasoning_is_apart_also_in_one_event(name: str) -> None:
    data = event(**{name: "They "}) + event(**{name: "greet.", "content": "Hel"}) + event(content="lo") + end("stop")
    async with server(stream(data + DONE)) as found:
        turn = await answered(found)
    assert (turn.reasoning, turn.answer) == ("They greet.", "Hello")


async def test_stopping_closes_the_request_and_keeps_what_came() -> None:
    hold = asyncio.Event()
    async with server(stream(event(content="half an")), hold=hold) as found:
        conversation = Conversation()
        conversation.ask("Hi", source(found))
        async with asyncio.timeout(10):
            while not conversation.turns[0].answer:  # noqa: ASYNC110 - a conversation is looked at
                await asyncio.sleep(0.01)
            conversation.stop()
            assert not conversation.is_busy
            await found.left.wait()
    turn = conversation.turns[0]
    assert (turn.answer, turn.status, turn.note) == ("half an", TurnStatus.STOPPED, "stopped")


async def test_turns_are_sent_back_with_the_settings() -> None:
    async with server(stream(event(content="A") + end("stop")), stream(event(content="B") + end("stop"))) as found:
        conversation = Conversation()
        conversation.set_up(settings_of("Be brief.", "0.5", "1,000"))
        await answered(found, "one", conversation)
        await answered(found, "two", conversation)
        conversation.retry(source(found))
        await conversation.stopped()
    body = found.asked[1][1]
    assert [(message["role"], message["content"]) for message in body["messages"]] == [
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "A"),
        ("user", "two"),
    ]
    assert (body["temperature"], body["max_tokens"]) == (0.5, 1000)
    assert found.asked[2][1] == body, "asking again sends the same"
    assert [turn.answer for turn in conversation.turns] == ["A", "B"]
    told = "## System\n\nBe brief.\n\n## User\n\none\n\n## tiny\n\nA\n\n## User\n\ntwo\n\n## tiny\n\nB\n"
    assert as_markdown(conversation, "tiny") == told


REFUSALS = [
    (400, {"error": {"message": "This model's maximum context length is 4096 tokens."}}, "does not fit", "new conv"),
    (400, {"message": "The input (9 tokens) is longer than the model's context length."}, "does not fit", "new conv"),
    (400, {"error": {"type": "exceed_context_size_error", "message": "exceeds the context size"}}, "not fit", ""),
    (429, {"detail": "too many"}, "no more requests now (429: too many)", "in a moment"),
    (500, {"error": {"message": "boom"}}, "the server failed (500: boom)", "log"),
    (400, {"error": {"message": "temperature must be a number"}}, "temperature must be a number", ""),
    (418, "tea", "refuses the question (418: tea)", ""),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "problem", "remedy"), REFUSALS)
async def test_refusals_are_told_in_words(status: int, body: object, problem: str, remedy: str) -> None:
    async with server(refusal(status, body)) as found:
        turn = await answered(found)
    assert turn.status is TurnStatus.FAILED and turn.answer == ""
    assert problem in turn.problem and remedy in turn.remedy
    assert [path for path, _ in found.asked] == ["/v1/chat/completions"], "no other way was tried"


async def test_a_model_that_is_not_known_is_told_with_those_that_are() -> None:
    unknown = refusal(404, {"error": {"message": "The model `tiny` does not exist.", "code": 404}})
    listed = refusal(200, {"data": [{"id": "large"}, {"id": "x\x1b[2J"}]})
    async with server(unknown, listed) as found:
        turn = await answered(found)
    assert "does not know the model tiny" in turn.problem
    assert "It serves: large" in turn.remedy and "\x1b" not in turn.remedy


async def test_a_model_without_a_chat_template_gets_plain_text() -> None:
    refused = refusal(400, {"error": {"message": "default chat template is no longer allowed"}})
    plain = stream(b'data: {"choices": [{"text": "4", "finish_reason": "stop"}]}\n\n' + DONE)
    async with server(refused, plain) as found:
        conversation = Conversation()
        conversation.set_up(ChatSettings("Count."))
        turn = await answered(found, "1 2 3", conversation)
    assert (turn.answer, turn.offer) == ("4", "completion")
    path, body = found.asked[1]
    assert path == "/v1/completions" and body["prompt"] == "System: Count.\n\nUser: 1 2 3\n\nAssistant:"


async def test_a_key_that_is_wanted_is_found_and_never_shown() -> None:
    answer = stream(event(content=f"it is {KEY}") + end("stop") + DONE, 3)

    async def find() -> Secret:
        return Secret(KEY)

    async with server(answer, key=KEY) as found:
        turn = await answered(found, find_key=find)
        assert turn.status is TurnStatus.DONE and KEY not in turn.answer and turn.answer.startswith("it is ")
        assert found.keys == [KEY]
        turn = await answered(found)
    assert "wants an API key, which is not known here" in turn.problem
    assert KEY not in repr(turn.problem)


@pytest.mark.parametrize("status", [400, 401, 500])
async def test_a_refusal_that_repeats_the_key_shows_it_nowhere(status: int) -> None:
    async with server(refusal(status, {"error": {"message": f"bad {KEY}"}})) as found:
        with pytest.raises(HostError, match="bad") as refused:
            async for _ in source(found, key=Secret(KEY))(Asked.once("Hi")):
                pass
    error: BaseException | None = refused.value
    while error is not None:
        assert KEY not in f"{error!r} {vars(error)}"
        error = error.__cause__


async def test_what_steers_a_terminal_is_taken_out_and_tabs_stay() -> None:
    async with server(stream(event(content="a\x1b[2Jb\u202ec\n\tx\r\n") + end("stop"))) as found:
        turn = await answered(found, "q\x1b]0;x\x07\n\ty")
    assert turn.answer == "abc\n\tx\n"
    assert turn.question == "q\n\ty"


async def test_what_cannot_be_asked_is_said_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    hold = asyncio.Event()
    async with server(stream(event(content="a")), hold=hold) as found:
        conversation = Conversation()
        ask = source(found)
        with pytest.raises(UsageError, match="Nothing was asked yet"):
            conversation.retry(ask)
        for text in ("", " \n ", "x" * (chat.MOST_QUESTION + 1)):
            with pytest.raises(UsageError):
                conversation.ask(text, ask)
        conversation.ask("Hi", ask)
        with pytest.raises(UsageError, match="An answer is arriving"):
            conversation.ask("and", ask)
        with pytest.raises(UsageError, match="An answer is arriving"):
            conversation.retry(ask)
        conversation.clear()
        assert conversation.turns == [] and not conversation.is_busy
        monkeypatch.setattr(chat, "MOST_TURNS", 1)
        conversation.ask("Hi", ask)
        conversation.stop()
        with pytest.raises(UsageError, match="too long"):
            conversation.ask("and", ask)


@pytest.mark.parametrize("typed", [("", "x", ""), ("", "-1", ""), ("", "2.1", ""), ("", "nan", ""), ("", "", "0")])
def test_settings_that_no_server_takes_are_refused(typed: tuple[str, str, str]) -> None:
    with pytest.raises(UsageError):
        settings_of(*typed)


def test_empty_settings_are_the_servers_own() -> None:
    assert settings_of("", " ", "") == ChatSettings()
    assert settings_of("", "0", "16") == ChatSettings("", 0.0, 16)


async def test_a_defect_is_a_failed_turn() -> None:
    async def broken(asked: Asked) -> AsyncIterator[Piece]:
        yield Piece("a")
        raise ZeroDivisionError

    conversation = Conversation()
    conversation.ask("Hi", broken)
    await conversation.stopped()
    turn = conversation.turns[0]
    assert turn.status is TurnStatus.FAILED and turn.answer == "a" and "ZeroDivisionError" in turn.problem


async def test_an_endless_answer_is_cut_in_little_time() -> None:
    async def endless(asked: Asked) -> AsyncIterator[Piece]:
        while True:
            yield Piece("x")

    conversation = Conversation()
    conversation.ask("Hi", endless)
    async with asyncio.timeout(60):
        await conversation.stopped()
    turn = conversation.turns[0]
    assert turn.status is TurnStatus.FAILED and "longer than 400,000 characters" in turn.problem
    assert len(turn.answer) == chat.MOST_ANSWER + 1


def test_rates() -> None:
    assert Figures().words == "" and Figures().rate is None
    assert Figures(11, True, 1.0, 2.0).rate == 5.0
    assert Figures(10, True, 1.9, 0.1).rate == 5.0, "all came at once: the whole time counts"
