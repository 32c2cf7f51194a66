"""Whatever a host prints, it is read within bounds of memory and time, and on lines of its own."""

from __future__ import annotations

import ast
import asyncio
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from rich.cells import cell_len

import sparkrun_tui
from sparkrun_tui.base.errors import HostError
from sparkrun_tui.base.reading.decoded import decode_json
from sparkrun_tui.base.text import MAX_LINE, clean_line, log_line
from sparkrun_tui.cli import output
from sparkrun_tui.launch.plan.model_sources import whole_in
from sparkrun_tui.launch.record.log_files import iso_time
from sparkrun_tui.remote.docker.logs import Unrepeated, nanoseconds
from sparkrun_tui.remote.docker.types import DockerError, Frame, event_from, unix_time
from sparkrun_tui.remote.hub.cache import whole
from sparkrun_tui.remote.hub.host_cache import read
from sparkrun_tui.remote.ports.models import ModelRequest
from sparkrun_tui.remote.script.jobs import Jobs
from sparkrun_tui.remote.script.pieces import Pieces
from sparkrun_tui.remote.ssh.link import HostLink
from sparkrun_tui.remote.transfer.rsync import ProgressReader
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from sparkrun_tui.ui.ink import text_of, wrap, wrap_line
from tests.support.scripted import ScriptedTransport

SOURCES = sorted(Path(sparkrun_tui.__file__).parent.rglob("*.py"))
T = TypeVar("T")


def quickly(work: Callable[[], T], seconds: float = 3.0) -> T:
    """What `work` gives; it must not take longer."""
    before = time.process_time()
    given = work()
    assert time.process_time() - before < seconds
    return given


@pytest.mark.parametrize(
    "piece", ["\x07", "\x1b[31m", "\x9d\x9c", "\r", "\t", "é\x07", "e\u0301\u0301\u0301", "\ud800"]
)
def test_a_line_of_many_megabytes_is_cleaned_as_far_as_it_is_kept(piece: str) -> None:
    line = piece * ((16 << 20) // len(piece)) + "end"
    assert len(quickly(lambda: log_line(line), 1.0)) < 2 * MAX_LINE
    assert len(quickly(lambda: clean_line(line), 1.0)) < 2 * MAX_LINE


def test_what_is_cut_of_a_line_is_counted() -> None:
    assert clean_line("a" * (MAX_LINE + 5)).endswith("a … (5 more characters)")
    assert log_line("a" * (MAX_LINE + 5)).endswith("a … (5 more characters)")
    assert log_line("a" * 1_000_000).endswith(f"a … ({1_000_000 - MAX_LINE:,} more characters)")
    assert log_line("\x1b[1m" * 1000 + "kept") == "kept"


@pytest.mark.parametrize("word", ["é", "é ", "漢", "a", "\u0301"])
def test_a_long_text_is_wrapped_in_time(word: str) -> None:
    text = word * 130_000
    rows = quickly(lambda: wrap(text, 100))
    lines = quickly(lambda: wrap_line([(text, "")], 100))
    assert all(cell_len(row) <= 100 for row in rows)
    assert all(cell_len(text_of(row).rstrip()) <= 100 for row in lines)
    assert "".join(rows).replace(" ", "") == text.replace(" ", "")


def test_progress_without_an_end_of_line_is_not_kept() -> None:
    reader = ProgressReader()
    tracemalloc.start()
    for _ in range(500):
        assert reader.feed(b"x" * 65_536) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20
    assert reader.feed(b"\r     1,234  5% 1MB/s 0:00:01\r 2,345  6% 1MB/s 0:00:01\n") == [1234, 2345]


class _Telling(ScriptedTransport):
    """A host that says that its job runs, and prints what a test gives."""

    printed: bytes = b""
    asked = 0

    async def stream(self, script: str) -> AsyncIterator[tuple[str, bytes]]:
        self.asked += 1
        while self.printed:
            yield "stdout", self.printed
            await asyncio.sleep(0)


async def test_the_last_words_of_a_job_without_end_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparkrun_tui.remote.script.jobs._TELLING", 0.3)
    host = _Telling().on("job-status", "running 0\n")
    host.printed = b"x" * (1 << 20)
    tracemalloc.start()
    assert set(await Jobs(host).last_words("k")) == {"x"}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


async def test_a_job_that_is_said_to_run_for_ever_is_asked_for_ever_less() -> None:
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 6:
            raise HostError("enough")

    host = _Telling().on("job-status", "running 0\n")
    with pytest.raises(HostError, match="enough"):
        async for _ in Jobs(host, sleep=sleep).follow("k"):
            pass
    assert host.asked == 6 and pauses == sorted(pauses) and pauses[0] > 0


async def test_output_byte_by_byte_is_held_back_before_memory_is_full() -> None:
    pieces, held = Pieces(), []
    pieces.hold = held.append
    for _ in range(100_000):
        pieces.push("stdout", b"x")
    assert held == [True]


def test_what_a_cache_lists_is_judged_in_time() -> None:
    count = 30_000
    head = f"commit\t{'a' * 40}\nfile\t1\tconfig.json\nfile\t1\ttokenizer.json\n"
    parts = [f"m-{number:05d}-of-{count:05d}.bin" for number in range(1, count + 1)]
    listing = quickly(lambda: read(head + "".join(f"file\t1\t{name}\n" for name in parts)))
    model = quickly(lambda: whole_in(listing, ModelRequest("org/m")))
    assert model is not None and len(model.files) == count + 2
    assert not whole([*parts[:-1], "config.json", "tokenizer.json"], {}, partial=False)


FAR = ["9999-12-31T23:59:59.5-14:00", "9999-12-31T23:59:59Z", "0002-01-01T00:00:00Z", "1969-12-31T23:59:59Z"]


@pytest.mark.parametrize("stamp", FAR)
def test_a_moment_that_no_calendar_has_is_not_known(stamp: str) -> None:
    assert unix_time(stamp) is None and nanoseconds(stamp.encode()) is None
    (line,) = Unrepeated().add([Frame("stdout", f"{stamp} said\n".encode())])
    assert line.text.endswith("said") and iso_time(line.time)


@pytest.mark.parametrize("moment", [-1, 10**18, 10**19, 10**30, "1", None, [], 1e300])
def test_the_time_of_an_event_is_one_or_none(moment: object) -> None:
    for key in ("time", "timeNano"):
        event = event_from(decode_json(f'{{"Type": "container", "Action": "die", "{key}": {_json(moment)}}}'))
        assert event is not None and 0 <= event.time < 4e10


def _json(value: object) -> str:
    import json

    return json.dumps(value)


WORDS = "gone\nspark-2  up  100.0 GiB of 100.0 GiB\x1b]0;x\x07\r\u2028spark-3 up"


async def test_the_words_with_which_a_host_hangs_up_are_one_line() -> None:
    async def open_() -> str:
        return "link"

    link: HostLink[str] = HostLink("spark-1", open_, lambda error: HostError(str(error)), sleep=asyncio.Event().wait)  # type: ignore[arg-type]
    connection = await link.connection()
    link.lost(connection, OSError(WORDS))
    assert len(link.status.detail.splitlines()) == 1 and "\x1b" not in link.status.detail
    await link.close(lambda _: None)


def test_no_word_of_a_host_passes_for_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    for error in (HostError(WORDS), DockerError(WORDS, status=500)):
        assert len(error.what.splitlines()) == 1 and error.what.isprintable()
    status = LinkStatus(LinkState.UNREACHABLE, 0.0, WORDS, WORDS)
    assert len(status.detail.splitlines()) == 1 and "\x1b" not in status.remedy
    output.table(("HOST", "LINK"), [("spark-1", WORDS)])
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2 and "\x1b" not in printed


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
def test_no_stream_is_collected_without_a_limit(path: Path) -> None:
    """A list of all that an async iterator gives, or text that grows by what comes, is full when memory is."""
    if path.parts[-2:] in _KNOWN_TO_END or "demo" in path.parts:
        return
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ListComp | ast.SetComp | ast.DictComp):
            assert not any(part.is_async for part in node.generators), f"{path}:{node.lineno}"
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "re.split":
            assert "pending" not in ast.unparse(node), f"{path}:{node.lineno}"


_KNOWN_TO_END = {("hub", "downloads.py"), ("commands", "story.py")}
"""The messages of a child of ours, each of them bounded, of which there is one; and a prompt, whose answer is."""
