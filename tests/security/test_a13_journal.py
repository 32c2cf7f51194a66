"""A13: what a launch keeps on disk and in memory is bounded, and a full disk costs no launch."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.units import MIB
from sparkrun_tui.entry import main
from sparkrun_tui.launch.record import event_file, journal, log_files
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.record.events import (
    Diagnosed,
    EngineFact,
    LaunchBegan,
    LaunchStatus,
    MemorySeen,
    Noticed,
    StatusChanged,
)
from sparkrun_tui.launch.record.export import export_logs
from sparkrun_tui.launch.record.fold import fold, fold_all
from sparkrun_tui.launch.record.journal import Journal, launches_dir, log_lines, past_launches, read_log, read_state
from sparkrun_tui.launch.record.logs import DEFAULT_CAPACITY, MOST_CHARACTERS, LogBuffer, LogLine
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.remote.docker import logs as docker_logs
from sparkrun_tui.remote.docker.logs import Unrepeated
from sparkrun_tui.remote.docker.types import Frame
from sparkrun_tui.ui.widgets.log.source import MergedLog
from tests.launch.fakes import SOLO, FakeCluster, FakeContainer, FakeHost
from tests.launch.virtual import virtual_time
from tests.support.docker_things import stamp

SMALL = 256 * 1024
SECOND = 10**9
BEGAN = LaunchBegan(
    launch_id="abc", recipe="a/recipe", engine="vllm", model="m/m", cluster="lab", hosts=("a", "b"), port=1, time=1.0
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LAUNCH_BYTES", SMALL)
    monkeypatch.setattr(log_files, "_CHUNK", 4096)


def lines(start: int, count: int, width: int = 80) -> list[LogLine]:
    return [LogLine(float(number), "stdout", f"{number} " + "x" * width) for number in range(start, start + count)]


def number_of(line: LogLine) -> int:
    return int(line.text.split()[0])


def size_of(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def check_kept(found: list[LogLine], total: int) -> None:
    """The beginning and the end are there, in order, and one line tells exactly how many lack between them."""
    (gap,) = [line for line in found if line.stream == "app"]
    numbers = [number_of(line) for line in found if line.stream != "app"]
    assert numbers[0] == 0 and numbers[-1] == total - 1 and numbers == sorted(set(numbers))
    assert f"… {total - len(numbers):,} lines are left out here" in gap.text
    place = found.index(gap)
    assert number_of(found[place + 1]) - number_of(found[place - 1]) == total - len(numbers) + 1


@pytest.mark.usefixtures("small")
def test_a_flood_keeps_its_beginning_and_its_end() -> None:
    written = Journal(launches_dir() / "abc", Redactor())
    for start in range(0, 20_000, 500):
        written.log("a", lines(start, 500))
        assert size_of(written.folder) < SMALL * 1.2
    written.close()
    check_kept(list(log_lines(written.folder, "a")), 20_000)
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in (written.folder / "hosts").iterdir())


@pytest.mark.usefixtures("small")
def test_hosts_share_the_room_and_a_program_that_comes_later_goes_on() -> None:
    for start in range(0, 12_000, 1000):
        written = Journal(launches_dir() / "abc", Redactor(), hosts=2)
        for host in ("a", "b"):
            written.log(host, lines(start, 1000))
        written.close()
    assert size_of(written.folder) < SMALL * 1.2
    for host in ("a", "b"):
        check_kept(list(log_lines(written.folder, host)), 12_000)


@pytest.mark.usefixtures("small")
def test_two_programs_that_write_one_log_stay_within_bounds() -> None:
    one, two = Journal(launches_dir() / "abc", Redactor()), Journal(launches_dir() / "abc", Redactor())
    for start in range(0, 20_000, 200):
        for written in (one, two):
            written.log("a", lines(start, 200))
            written.flush()
    assert size_of(one.folder) < SMALL * 1.3
    found = list(log_lines(one.folder, "a"))
    numbers = [number_of(line) for line in found if line.stream != "app"]
    assert numbers[0] == 0 and numbers[-1] == 19_999
    assert sum("lines are left out here" in line.text for line in found) == 1


@pytest.mark.usefixtures("small")
def test_the_newest_lines_are_read_from_the_end() -> None:
    written = Journal(launches_dir() / "abc", Redactor())
    written.log("a", lines(0, 20_000))
    written.close()
    assert [number_of(line) for line in read_log(written.folder, "a", 100)] == list(range(19_900, 20_000))
    assert read_log(written.folder, "a", 0) == []
    check_kept(read_log(written.folder, "a"), 20_000)
    again = Journal(launches_dir() / "abc", Redactor())
    again.restart_log("a")
    again.log("a", lines(0, 3))
    again.close()
    assert len(read_log(written.folder, "a")) == 3 and len(list((written.folder / "hosts").iterdir())) == 1


@pytest.mark.usefixtures("small")
def test_what_was_left_out_is_told_by_the_command_and_in_saved_logs(capsys: pytest.CaptureFixture[str]) -> None:
    written = Journal(launches_dir() / "abc", Redactor())
    written.event(BEGAN)
    written.event(StatusChanged(status=LaunchStatus.STOPPED, time=2.0))
    written.log("a", lines(0, 20_000))
    written.close()
    assert main(["logs", "abc", "--host", "a"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith("0 ") and shown[-1].startswith("19999 ")
    assert sum("lines are left out here" in line for line in shown) == 1
    done = export_logs(fold(LaunchState(), BEGAN), {}, Redactor())
    assert (done.folder / "a.log").read_text().count("lines are left out here") == 1


def test_the_bound_is_some_megabytes_whatever_comes() -> None:
    assert log_files.LAUNCH_BYTES == 64 * MIB
    written = Journal(launches_dir() / "abc", Redactor())
    flood = lines(0, 1000, 8000)
    for _ in range(12):
        written.log("a", flood)
    written.close()
    assert 40 * MIB < size_of(written.folder) < 65 * MIB


def test_other_journals_make_room_while_one_grows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LAUNCH_BYTES", SMALL)
    monkeypatch.setattr(journal, "KEEP_BYTES", 2 * SMALL)
    for name in ("old-1", "old-2", "old-3"):
        past = Journal(launches_dir() / name, Redactor())
        past.event(BEGAN)
        past.log("a", lines(0, 1500))
        past.close()
        os.utime(past.folder / "events.jsonl", (1, 1))
    growing = Journal(launches_dir() / "growing", Redactor())
    growing.event(BEGAN)
    for start in range(0, 20_000, 500):
        growing.log("a", lines(start, 500))
        growing.flush()
    assert size_of(launches_dir()) < 2.4 * SMALL
    assert growing.folder.is_dir() and len(past_launches()) < 4
    growing.close()


def test_events_are_thinned_and_tell_the_same_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_file, "MOST_BYTES", 200_000)
    written = Journal(launches_dir() / "abc", Redactor())
    said: list[object] = [BEGAN, StatusChanged(status=LaunchStatus.READY, time=5.0)]
    for number in range(3000):
        said.append(EngineFact(host="a", name="kv_tokens", value=float(number), time=10.0 + number))
        said.append(MemorySeen(host="b", available=number, total=9000, time=10.0 + number))
    said.append(Noticed(level="warning", text="careful", time=9000.0))
    said.append(Diagnosed(host="a", title="t", explanation="e", evidence="v", time=9001.0))
    said.append(StatusChanged(status=LaunchStatus.FAILED, detail="over", time=9002.0))
    for event in said:
        written.event(event)  # type: ignore[arg-type]
    written.close()
    assert (written.folder / "events.jsonl").stat().st_size < 201_000
    assert read_state(written.folder) == fold_all(said)  # type: ignore[arg-type]


def test_lasting_events_are_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [b'{"kind": "status", "detail": "%s"}' % (b"x" * 900) for _ in range(20_000)]
    kept = event_file.thinned([b'{"kind": "began"}', *rows, b"torn", b'{"kind": "status", "detail": "last"}'])
    assert sum(map(len, kept)) < 4 * MIB
    assert kept[0] == b'{"kind": "began"}' and kept[-1].endswith(b'"last"}')


class FullDisk:
    """Writing fails as on a full disk, while `full`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.full = True
        real = os.write

        def write(handle: int, data: bytes | memoryview) -> int:
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return real(handle, data)

        monkeypatch.setattr(log_files.os, "write", write)


def test_a_full_disk_is_told_once_and_what_comes_after_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "_FLUSH_EVERY", 0.0)
    bus = Bus(time.time, Redactor(), Journal(launches_dir() / "abc", Redactor()))
    bus.emit(BEGAN)
    bus.log("a", lines(0, 5))
    assert bus.journal is not None
    bus.journal.flush()
    disk = FullDisk(monkeypatch)
    for number in range(5, 10):
        bus.log("a", lines(number, 1))
        bus.emit(StatusChanged(status=LaunchStatus.DEGRADED, detail=str(number)))
    assert [notice.level for notice in bus.state.notices] == ["warning"]
    assert "No space left on device" in bus.state.notices[0].text
    assert bus.state.detail == "9" and len(bus.logs["a"]) == 10, "what is shown goes on"
    disk.full = False
    bus.log("a", lines(10, 2))
    bus.emit(StatusChanged(status=LaunchStatus.STOPPED))
    bus.close()
    kept = list(log_lines(launches_dir() / "abc", "a"))
    assert [number_of(line) for line in kept if line.stream != "app"] == [0, 1, 2, 3, 4, 10, 11]
    assert "5 lines are missing here" in kept[5].text
    assert read_state(launches_dir() / "abc").status is LaunchStatus.STOPPED


@virtual_time
async def test_a_launch_goes_on_without_a_disk(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    FullDisk(monkeypatch)
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("cannot be saved on this machine" in notice.text for notice in state.notices)
    await launch.stop()
    assert launch.state.status is LaunchStatus.STOPPED and cluster.remaining == []


@virtual_time
async def test_a_launch_goes_on_where_no_journal_can_be_made(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    launches_dir().parent.mkdir(parents=True, exist_ok=True)
    launches_dir().write_text("a file stands where the folder should be")
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert any("cannot be saved on this machine" in notice.text for notice in state.notices)
    await launch.stop()


@virtual_time
async def test_a_flood_during_a_launch_is_bounded(cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LAUNCH_BYTES", SMALL)

    async def floods(host: FakeHost, container: FakeContainer) -> int:
        for _ in range(600):
            host.say(container, "x" * 8000)
        host.say(container, "RuntimeError: last words", "stderr")
        return 1

    cluster[1].program = floods
    launch = cluster.begin(SOLO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED and state.diagnosis is not None
    folder = launches_dir() / launch.launch_id
    assert size_of(folder) < SMALL * 1.6
    assert read_log(folder, "spark-1")[-1].text == "RuntimeError: last words"


def test_a_log_in_memory_is_bounded_by_lines_and_by_characters() -> None:
    buffer = LogBuffer()
    merged = MergedLog({"a": buffer})
    for start in range(0, 12_000, 500):
        buffer.extend(lines(start, 500, 8000))
        merged.pull()
        assert sum(len(line.text) for line in buffer.since(0)) < MOST_CHARACTERS * 1.3
    assert number_of(buffer[buffer.end - 1]) == 11_999 and buffer.end == 12_000
    assert buffer[buffer.first].text == lines(buffer.first, 1, 8000)[0].text
    assert sum(len(text) for text in merged.texts(0, merged.end)) < MOST_CHARACTERS * 1.3
    buffer.extend(lines(0, 100_000, 1))
    assert len(buffer) <= DEFAULT_CAPACITY * 1.25


def test_one_line_is_kept_whatever_it_weighs() -> None:
    buffer = LogBuffer()
    buffer.extend([LogLine(0.0, "stdout", "x" * (2 * MOST_CHARACTERS))])
    assert len(buffer) == 1


def frame(text: str, at: int, stream: str = "stdout") -> Frame:
    return Frame(stream, f"{stamp(at)} {text}\n".encode())


@pytest.mark.parametrize("step", [0, 1, 50, 1_000_000])
def test_a_flood_of_frames_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Also when all have one stamp: nothing is lost or doubled after a break, wherever it comes."""
    monkeypatch.setattr(docker_logs, "MOST_REMEMBERED", 100)
    start = 1_700_000_000 * SECOND
    stamps = [start + number * step for number in range(1000)]
    log = [frame(f"line {number}", at, ("stdout", "stderr")[number % 3 == 0]) for number, at in enumerate(stamps)]
    lines_of = Unrepeated()
    seen: list[str] = []
    for cut in (10, 90, 101, 150, 400, 401, 999, 1000):
        since = lines_of.resume()
        whole, _, part = since.partition(".")
        first = int(whole) * SECOND + int(part) if since else 0
        again = [item for item, at in zip(log[:cut], stamps[:cut], strict=True) if at >= first]
        seen += [record.text for record in lines_of.add(again)]
        assert len(lines_of._recent) <= 100
    assert seen == [f"line {number}" for number in range(1000)]
