"""Benchmarks: what is asked, the client's run beside a tunnel, and results that are kept and compared."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError, LaunchError, UsageError
from sparkrun_tui.base.reading.decoded import decode_json
from sparkrun_tui.base.secrets import Secret
from sparkrun_tui.launch.bench import words
from sparkrun_tui.launch.bench.benchmark import Benchmark, Status
from sparkrun_tui.launch.bench.comparing import change, compared_data, is_beyond_noise, pairs
from sparkrun_tui.launch.bench.measuring import Server
from sparkrun_tui.launch.bench.options import Options, Typed, options_of, spelled
from sparkrun_tui.launch.bench.result import Measured, MeasuredHost, Point, Result, Spread, from_data, to_data
from sparkrun_tui.launch.bench.store import chosen, keep, kept
from sparkrun_tui.launch.bench.subject import Subject, tokenizer_of
from sparkrun_tui.launch.bench.tunnel import tunnel
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.support.bench_client import install_stand_in
from tests.support.made_cache import hub_here, put_model

MODELS = b'{"data": [{"id": "served-name"}]}'
MEASURED = Measured(
    recipe="tiny",
    model="acme/tiny",
    engine="vllm",
    launch_id="abcd2345",
    recipe_digest="d" * 64,
    overrides={"max_model_len": "4096"},
    image="acme/vllm:1",
    image_digest="sha256:" + "1" * 64,
    hosts=(MeasuredHost("spark-1", "NVIDIA GB10", "580.95.05", 130_663_642_112, "6.14.0"),),
)
RESULT = Result(
    id="abcd2345",
    started=1_800_000_000.0,
    ended=1_800_000_100.0,
    client="llama-benchy 0.4.0",
    measured=MEASURED,
    points=(
        Point(1, 2048, 128, 0, Spread(0.5, 0.01), Spread(20.0, 0.1), Spread(20.0, 0.1), None, Spread(2000.0, 9.0)),
        Point(4, 2048, 128, 0, Spread(0.9, 0.01), Spread(15.0, 0.1), Spread(60.0, 0.5), None, None),
    ),
    runs=3,
)


@pytest.fixture
async def server() -> AsyncIterator[tuple[int, list[str]]]:
    """A server on this machine that knows its models; the headers of its requests."""
    headers: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        headers.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(MODELS) + MODELS)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1], headers
    listening.close()


def subject(port: int, key: str = "") -> Subject:
    secret = Secret(key) if key else None
    return Subject(Server(LocalTransport(), "127.0.0.1", port, "served-name", "acme/tiny", secret), MEASURED)


async def measured(port: int, options: Options, key: str = "") -> Benchmark:
    benchmark = Benchmark("tiny", options)

    async def find() -> Subject:
        return subject(port, key)

    benchmark.start(find)
    await benchmark.finished()
    return benchmark


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        (Typed(), Options()),
        (Typed("1 , 2,2 4", "512", "16", "0,1024", "1"), Options((1, 2, 4), (512,), (16,), (0, 1024), 1)),
    ],
)
def test_lists_are_read_as_people_write_them(typed: Typed, found: Options) -> None:
    assert options_of(typed) == found
    assert options_of(Typed(spelled(found.concurrency))).concurrency == found.concurrency


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (Typed("0"), "--concurrency: `0` is not a whole number from 1 to 512"),
        (Typed("1,x"), "--concurrency: `x` is not"),
        (Typed(prompt="9" * 30), "--prompt: `999"),
        (Typed(runs="21"), "--runs: `21` is not a whole number from 1 to 20"),
        (Typed(",".join(map(str, range(1, 20)))), "19 values are more than 16"),
        (Typed("512", ",".join("123456789"), ",".join("1234"), runs="20"), "requests, more than 20,000"),
        (Typed(tokenizer="--post-run-cmd=x"), "a tokenizer is a repository"),
    ],
)
def test_what_cannot_be_measured_is_refused(typed: Typed, message: str) -> None:
    with pytest.raises(UsageError, match=message.replace("(", r"\(")):
        options_of(typed)


async def test_a_benchmark_is_measured_through_the_link_and_kept(server: tuple[int, list[str]]) -> None:
    place = install_stand_in()
    port, headers = server
    found = await measured(port, Options((1, 2), (64,), (32,), runs=2), "secret-key-of-the-server")
    assert (found.status, found.problem) == (Status.DONE, "")
    result = found.result
    assert result is not None and result.is_complete
    assert [(point.concurrency, point.prompt, point.output) for point in result.points] == [(1, 64, 32), (2, 64, 32)]
    second = result.points[1]
    assert second.decode_total == Spread(40.0, 0.4) and second.first_token == Spread(0.05, 0.0005)
    assert second.between_tokens == pytest.approx(0.05)
    assert (found.progress.done, found.progress.total, found.progress.rate) == (6, 6, 20.0)
    assert kept() == [result]
    assert "Authorization: Bearer secret-key-of-the-server" in headers[0]
    seen = json.loads((place / "seen.json").read_text())
    assert seen["key"] == "secret-key-of-the-server"
    assert "secret" not in seen["argv"] and "secret" not in " ".join(seen["words"])
    assert "secret-key" not in json.dumps(seen["environ"])
    assert seen["environ"]["NO_PROXY"] == "127.0.0.1"


@pytest.mark.parametrize("name", ["a\0--post-run-cmd\0touch canary", "--post-run-cmd=touch canary", "\ud800"])
async def test_no_name_in_a_label_becomes_an_option_of_the_client(server: tuple[int, list[str]], name: str) -> None:
    place = install_stand_in()
    hostile = subject(server[0])
    hostile = replace(hostile, server=replace(hostile.server, model=name))
    benchmark = Benchmark("tiny", Options((1,), (8,), (8,), runs=1))

    async def find() -> Subject:
        return hostile

    benchmark.start(find)
    await benchmark.finished()
    seen = json.loads((place / "seen.json").read_text())
    assert seen["words"][2:4] == [f"--model={name}", f"--served-model-name={name}"]
    assert not [word for word in seen["words"] if word.startswith("--post-run-cmd")]


async def test_a_text_of_ones_own_replaces_the_book(server: tuple[int, list[str]], tmp_path: Path) -> None:
    place = install_stand_in()
    text = tmp_path / "text.txt"
    text.write_text("word " * 200)
    found = await measured(server[0], Options((1,), (8,), (8,), runs=1, text=text))
    assert found.status is Status.DONE
    seen = json.loads((place / "seen.json").read_text())
    assert seen["words"][-2:] == ["--book-url", f"file://{text}"]
    [book] = (Path(seen["environ"]["HOME"]) / ".cache" / "llama-benchy").iterdir()
    assert book.read_text() == "word " * 200
    text.write_text("too short")
    found = await measured(server[0], Options((1,), text=text))
    assert found.status is Status.FAILED and "is too short" in found.problem


async def test_what_was_measured_before_a_stop_is_kept(
    server: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    install_stand_in()
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/wait")
    benchmark = Benchmark("tiny", Options((1, 2), (64,), (32,), runs=2))

    async def find() -> Subject:
        return subject(server[0])

    first = asyncio.Event()

    def tell() -> None:
        if benchmark.progress.done == 2:
            first.set()

    task = asyncio.create_task(benchmark.run(find, tell))
    async with asyncio.timeout(20):
        await first.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert benchmark.status is Status.STOPPED
    [result] = kept()
    assert [point.concurrency for point in result.points] == [1]
    assert result.end == "stopped" and not result.is_complete


async def test_the_client_s_last_words_say_why_it_failed(
    server: tuple[int, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    install_stand_in()
    monkeypatch.setenv("PATH", "/usr/bin:/bin:/refuse")
    found = await measured(server[0], Options((1,)))
    assert found.status is Status.FAILED
    assert "Warmup failed: HTTP 404: " in found.problem and "no such model" in found.problem
    assert "\x1b" not in found.problem
    assert kept() == ()


async def test_a_host_that_cannot_be_asked_is_told() -> None:
    install_stand_in()
    benchmark = Benchmark("tiny", Options((1,)))

    async def find() -> Subject:
        raise LaunchError("tiny is not serving", remedy="Launch it.")

    benchmark.start(find)
    await benchmark.finished()
    assert (benchmark.status, benchmark.problem, benchmark.remedy) == (
        Status.FAILED,
        "tiny is not serving",
        "Launch it.",
    )


async def test_a_tunnel_carries_both_ways_and_bounds_its_connections(server: tuple[int, list[str]]) -> None:
    async with tunnel(LocalTransport(), "127.0.0.1", server[0], most=1) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.1)
        other, refused = await asyncio.open_connection("127.0.0.1", port)
        assert await other.read() == b""
        refused.close()
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        assert (await reader.read()).endswith(MODELS)
        writer.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_a_request_on_a_connection_that_the_server_has_closed_is_sent_again() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if len(asked) != 2:
            # It promises to keep the connection and closes it; the second request meets one that is closing.
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nKeep-Alive: timeout=5\r\n\r\nok")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with tunnel(LocalTransport(), "127.0.0.1", server.sockets[0].getsockname()[1], most=4) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /1 HTTP/1.1\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"ok")).endswith(b"ok")
        writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /3 HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(10):
            assert (await reader.readuntil(b"ok")).endswith(b"ok")
        writer.close()
    server.close()
    assert asked == [b"GET /1 HTTP/1.1\r\n\r\n", b"GET /3 HTTP/1.1\r\n\r\n", b"GET /3 HTTP/1.1\r\n\r\n"]


class Closing(LocalTransport):
    """A host whose server takes each request, answers nothing and ends the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.dialled = 0
        self._asked = asyncio.Event()

    async def open_tcp(self, address: str, port: int) -> Closing:
        self.dialled += 1
        # Far beyond the bound of the tunnel, so that the test ends without it, too.
        if self.dialled > 1000:
            raise HostError("it has been asked for ever")
        return self

    async def read(self, size: int) -> bytes:
        await self._asked.wait()
        await asyncio.sleep(0)
        return b""

    async def write(self, data: bytes) -> None:
        self._asked.set()

    async def close(self) -> None:
        """Nothing is held."""


async def test_a_server_that_always_hangs_up_is_not_asked_for_ever() -> None:
    host = Closing()
    async with tunnel(host, "127.0.0.1", 1, most=2) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /v1/models HTTP/1.1\r\n\r\n")
        async with asyncio.timeout(10):
            assert await reader.read() == b""
        writer.close()
    assert host.dialled == 101


class Slow:
    """A connection to a server that answers nothing, ends at once, and takes its time to close."""

    def __init__(self, number: int) -> None:
        self.written = b""
        self.asked = asyncio.Event()
        self.closing = asyncio.Event()
        self.whole = asyncio.Event()
        self._number = number

    async def read(self, size: int) -> bytes:
        if self._number:
            await asyncio.Event().wait()
        await self.asked.wait()
        return b""

    async def write(self, data: bytes) -> None:
        self.written += data
        self.asked.set()
        if len(self.written) >= len(b"first,second"):
            self.whole.set()
        await asyncio.sleep(0)

    async def close(self) -> None:
        if self._number == 0:
            self.closing.set()
            await asyncio.sleep(0.05)


class SlowHost(LocalTransport):
    """Opens such connections."""

    def __init__(self) -> None:
        super().__init__()
        self.opened = [Slow(0), Slow(1)]
        self._left = list(self.opened)

    async def open_tcp(self, address: str, port: int) -> Slow:
        return self._left.pop(0)


async def test_a_request_in_pieces_is_sent_again_once_and_in_order() -> None:
    host = SlowHost()
    async with tunnel(host, "127.0.0.1", 1, most=2) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"first,")
        async with asyncio.timeout(10):
            await host.opened[0].closing.wait()
            writer.write(b"second")
            await host.opened[1].whole.wait()
        await asyncio.sleep(0.05)
        assert host.opened[1].written == b"first,second"
        writer.close()


def test_results_come_back_as_they_were_kept() -> None:
    assert from_data(decode_json(json.dumps(to_data(RESULT)))) == RESULT
    keep(RESULT)
    later = replace(RESULT, id="bcde2345", started=RESULT.started + 60)
    keep(later)
    assert kept() == [later, RESULT]
    assert chosen("abc") == RESULT and chosen("tiny") == later
    with pytest.raises(UsageError, match="there is no benchmark `nothing`"):
        chosen("nothing")
    with pytest.raises(UsageError, match="there is no benchmark"):
        chosen("")


@pytest.mark.parametrize("moment", [-1e17, 9e15, 1e300])
def test_a_kept_result_of_an_impossible_time_is_listed(moment: float) -> None:
    data = {**to_data(RESULT), "started": moment, "ended": moment}
    result = from_data(decode_json(json.dumps(data)))
    assert words.listed_row(result)[0] == RESULT.id and words.as_markdown(result)


def test_two_results_are_compared_by_combination() -> None:
    faster = Point(1, 2048, 128, 0, None, Spread(22.0, 0.1), Spread(22.0, 0.1))
    more = Point(8, 2048, 128, 0, None, Spread(9.0, 0.1), Spread(72.0, 0.1))
    other = replace(
        RESULT,
        id="bcde2345",
        measured=replace(MEASURED, overrides={}, image_digest="sha256:" + "2" * 64),
        points=(faster, more),
    )
    found = pairs(RESULT, other)
    assert [(pair.combination[-1], pair.first is None, pair.second is None) for pair in found] == [
        (1, False, False),
        (4, False, True),
        (8, True, False),
    ]
    assert change(RESULT.points[0].decode, faster.decode) == pytest.approx(0.1)
    assert is_beyond_noise(RESULT.points[0].decode, faster.decode)
    assert not is_beyond_noise(Spread(20.0, 2.0), Spread(21.0, 2.0))
    assert words.compared(RESULT, other)[0][-3:] == ("+10.0%", "20.0 → 22.0", "+10.0%")
    assert words.differing(RESULT, other) == [
        ("max_model_len", "4096", "-"),
        ("image's content", "sha256:" + "1" * 12, "sha256:" + "2" * 12),
    ]
    data = compared_data(RESULT, other)
    assert data["changes"][0]["decode_change"] == pytest.approx(0.1)
    assert data["changes"][1]["decode_change"] is None


def test_bars_are_as_long_as_the_rates() -> None:
    rows = words.chart(RESULT.points, 30)
    assert [(label, len(bar), figure) for label, bar, figure in rows] == [
        ("1 at once, 2,048 / 128", 10, "20.0 tokens/s"),
        ("4 at once, 2,048 / 128", 30, "60.0 tokens/s"),
    ]
    assert words.bar(0.0, 10, 5) == "" and words.bar(0.001, 10, 5) == "▏"


def test_tokens_are_counted_by_the_file_that_lies_here() -> None:
    assert tokenizer_of("acme/tiny") == "acme/tiny"
    assert tokenizer_of("acme/tiny-GGUF:Q4_K_M") == "acme/tiny-GGUF"
    assert [tokenizer_of(path) for path in ("/dev/zero", "../tiny/x", "~/x", "tiny", "")] == [""] * 5
    snapshot = put_model(hub_here(), "acme/tiny")
    assert tokenizer_of("acme/tiny") == "acme/tiny"
    outside = snapshot.parents[3] / "outside.json"
    outside.write_text("{}")
    (snapshot / "tokenizer.json").symlink_to(outside)
    assert tokenizer_of("acme/tiny") == "acme/tiny"
    (snapshot / "tokenizer.json").unlink()
    (snapshot / "tokenizer.json").write_text("{}")
    assert tokenizer_of("acme/tiny") == str(snapshot / "tokenizer.json")
