"""The memory guard's script, run by real shells on files in place of the kernel's, with a `docker` that notes calls."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sparkrun_tui.base import shell
from sparkrun_tui.base.units import GIB
from sparkrun_tui.remote.guard import script
from sparkrun_tui.remote.guard.guards import Guard
from sparkrun_tui.remote.guard.record import GuardRecord, parse
from sparkrun_tui.remote.local_transport import LocalTransport
from tests.support.site import until

FLOOR = 4 << 20
"""4 GiB in KiB."""
PAUSE = "0.02"
ID = "c0ffee" * 10 + "c0ff"

_DOCKER = """\
#!/bin/sh
echo "$*" >>{calls}
[ ! -e {stuck} ] || exec sleep 100
case $1 in
inspect) cat {answer} ;;
kill) [ -e {deaf} ] || {{ echo "exited 0" >{answer}; rm -rf {process}; }} ;;
esac
"""


def _shells() -> Iterator[tuple[str, ...]]:
    for name in ("dash", "bash"):
        if shutil.which(name):
            yield (name,)
    if shutil.which("busybox"):
        yield ("busybox", "sh")


SHELLS = tuple(_shells())
OTHERS_SYNC = tuple(words for words in SHELLS if words[0] != "busybox")
"""The shells that call the program `sync`; busybox has one inside."""


class Machine:
    """A host of files: what the kernel shows, one container with one process, and the guard that runs on it."""

    def __init__(self, folder: Path, words: tuple[str, ...]) -> None:
        self.folder = folder / "record"
        self.proc = folder / "proc"
        self.tools = folder / "tools"
        self._calls, self._answer = folder / "calls", folder / "answer"
        self.deaf, self.stuck = folder / "deaf", folder / "stuck"
        self.words = words
        self._text = folder / "guard.sh"
        self.process: subprocess.Popen[bytes] | None = None
        for place in (self.folder, self.proc / "self", self.proc / "sys/kernel/random", self.proc / "4711"):
            place.mkdir(parents=True)
        (self.proc / "pressure").mkdir()
        (self.proc / "sys/kernel/random/boot_id").write_text("boot-1\n")
        (self.proc / "4711/stat").write_text(_stat(4711, born=99))
        self.pressure("0.00")
        self.memory(100)
        self.says("running 4711")
        self._calls.touch()
        self.tools.mkdir()
        docker = self.tools / "docker"
        docker.write_text(
            _DOCKER.format(
                calls=self._calls, answer=self._answer, deaf=self.deaf, stuck=self.stuck, process=self.proc / "4711"
            )
        )
        docker.chmod(0o755)

    def memory(self, gib: float) -> None:
        """What is available from now on."""
        _write(self.proc / "uptime", f"{time.monotonic():.2f} 1.00\n")
        _write(
            self.proc / "meminfo", f"MemTotal: 127600748 kB\nMemFree: 1 kB\nMemAvailable: {int(gib * (1 << 20))} kB\n"
        )

    def pressure(self, percent: str) -> None:
        _write(self.proc / "pressure/memory", f"some avg10={percent} avg60=0.00 avg300=0.00 total=1\n")

    def says(self, answer: str) -> None:
        """What Docker says of the container."""
        _write(self._answer, answer + "\n")

    def begin(self, pause: str = PAUSE) -> None:
        text = script.guard(shell.word(str(self.folder)), ID, FLOOR, proc=str(self.proc), pause=pause)
        self.run(text)
        _until(lambda: bool(self.samples()))

    def run(self, text: str) -> None:
        self._text.write_text(text)
        environment = {**os.environ, "PATH": f"{self.tools}:{os.environ['PATH']}"}
        self.process = subprocess.Popen(
            [*self.words, str(self._text)], env=environment, start_new_session=True, stderr=subprocess.PIPE
        )

    def samples(self) -> list[str]:
        return [line for part in ("now.0", "now.1") for line in _lines(self.folder / part)]

    def calls(self) -> list[str]:
        return _lines(self._calls)

    def kills(self) -> list[str]:
        return [call for call in self.calls() if call.startswith("kill")]

    def verdict(self) -> list[str]:
        return _lines(self.folder / "verdict")

    def see(self, count: int = 3) -> None:
        """Wait until the guard has taken more samples."""
        before = self._taken()
        _until(lambda: self._taken() >= before + count)

    def _taken(self) -> int:
        """How many samples it has taken at least, in a test that is too short for its files to be written over."""
        return len(self.samples()) + 10 * len(_lines(self.folder / "past.0"))

    def ended(self) -> int:
        """Its exit code, once it has ended."""
        assert self.process is not None
        return self.process.wait(timeout=20)

    def runs(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def record(self) -> GuardRecord | None:
        text = script.read(shell.word(str(self.folder)), past=1000, recent=1000)
        done = subprocess.run([*self.words], input=text, capture_output=True, text=True, timeout=20, check=True)
        return parse(done.stdout)

    def close(self) -> None:
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            assert self.process.stderr is not None
            self.process.stderr.close()


def _stat(pid: int, born: int, state: str = "S") -> str:
    """A line of /proc/PID/stat, of a program with a name that is hard to read over."""
    return f"{pid} (a ) (b) {state} 1 1 1 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {born} 100 100 0 0\n"


def _write(path: Path, text: str) -> None:
    """Whole or not at all, as the kernel's files are read."""
    new = path.with_name(path.name + ".new")
    new.write_text(text)
    new.replace(path)


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


def _until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


@pytest.fixture(params=SHELLS, ids=" ".join)
def machine(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A host with 100 GiB available."""
    made = Machine(tmp_path, request.param)
    yield made
    made.close()


@pytest.fixture
def victim() -> Iterator[subprocess.Popen[bytes]]:
    """A process that lives for longer than a test."""
    process = subprocess.Popen(["sleep", "100"])
    yield process
    process.kill()
    process.wait()


def test_it_samples_while_there_is_memory_and_touches_nothing(machine: Machine) -> None:
    machine.pressure("2.50")
    machine.begin()
    machine.see(5)
    assert machine.runs() and machine.kills() == [] and machine.verdict() == []
    record = machine.record()
    assert record is not None and record.last is not None
    assert record.floor == 4 * GIB and record.last.available == 100 * GIB
    assert record.last.pressure in (0.0, 2.5)
    assert record.stopped is None and not record.ended


def test_it_stops_the_container_when_too_little_is_left(machine: Machine) -> None:
    machine.begin()
    machine.memory(3.5)
    assert machine.ended() == 0
    assert machine.kills() == [f"kill {ID}"]
    record = machine.record()
    assert record is not None and record.stopped is not None
    assert record.stopped.available == int(3.5 * GIB) and record.ended
    # Three samples in a row were below the floor.
    low = [sample for sample in record.recent if sample.available < record.floor]
    assert len([sample for sample in low if sample.uptime <= record.stopped.uptime]) >= script.ENOUGH


def test_one_sample_below_half_of_the_floor_is_enough(machine: Machine) -> None:
    machine.begin("0.4")
    machine.memory(1.9)
    began = time.monotonic()
    _until(lambda: bool(machine.kills()))
    assert time.monotonic() - began < 0.8
    assert machine.ended() == 0


def test_a_short_dip_stops_nothing(machine: Machine) -> None:
    machine.begin("0.3")
    for _ in range(2):
        before = len(machine.samples())
        machine.memory(3.9)
        _until(lambda before=before: len(machine.samples()) > before)
        machine.memory(50)
        machine.see(2)
    assert machine.runs() and machine.kills() == []


def test_it_ends_when_the_container_has_ended(machine: Machine) -> None:
    machine.begin()
    machine.says("exited 0")
    (machine.proc / "4711/stat").unlink()
    assert machine.ended() == 0
    assert machine.kills() == []
    record = machine.record()
    assert record is not None and record.ended and record.stopped is None


def test_it_ends_when_the_container_is_gone(machine: Machine) -> None:
    machine.begin()
    machine.says("")
    (machine.proc / "4711/stat").unlink()
    assert machine.ended() == 0
    assert machine.verdict()[-1].startswith("end ")


def test_it_goes_on_when_docker_starts_the_container_again(machine: Machine) -> None:
    machine.begin()
    (machine.proc / "4711").rename(machine.proc / "4712")
    machine.says("restarting 0")
    machine.see(8)
    machine.says("running 4712")
    machine.see(12)
    assert machine.runs()
    machine.memory(1)
    _until(lambda: bool(machine.kills()))


def test_another_process_of_the_same_number_is_not_the_container(machine: Machine) -> None:
    machine.begin()
    machine.says("exited 0")
    _write(machine.proc / "4711/stat", _stat(4711, born=100))
    assert machine.ended() == 0


def test_a_process_that_it_may_not_see_is_asked_for_now_and_then(machine: Machine) -> None:
    (machine.proc / "4711/stat").unlink()
    machine.begin("0.01")
    machine.see(70)
    assert machine.runs()
    assert 2 <= len(machine.calls()) <= 8
    machine.memory(3)
    assert machine.ended() == 0
    assert set(machine.kills()) == {f"kill {ID}"}


def test_a_kill_that_fails_is_tried_again_and_the_reason_noted_once(machine: Machine) -> None:
    machine.deaf.touch()
    machine.begin()
    machine.memory(3)
    _until(lambda: len(machine.kills()) > 2)
    assert [line.split()[0] for line in machine.verdict()] == ["stop"]
    machine.deaf.unlink()
    assert machine.ended() == 0


def test_a_docker_that_hangs_is_asked_once_at_a_time_and_the_samples_go_on(machine: Machine) -> None:
    machine.begin()
    machine.stuck.touch()
    machine.memory(1)
    _until(lambda: bool(machine.kills()))
    machine.see(20)
    assert len(machine.kills()) == 1
    assert machine.runs()


def test_where_it_may_it_ends_the_process_itself(machine: Machine, victim: subprocess.Popen[bytes]) -> None:
    """For a Docker that hangs: a process of the same user, whose number and birth are those of the container."""
    (machine.proc / str(victim.pid)).mkdir()
    _write(machine.proc / f"{victim.pid}/stat", _stat(victim.pid, born=5))
    machine.says(f"running {victim.pid}")
    machine.begin()
    machine.stuck.touch()
    machine.memory(1)
    assert victim.wait(timeout=20) == -signal.SIGKILL


def test_its_files_do_not_grow(machine: Machine) -> None:
    text = script.guard(shell.word(str(machine.folder)), ID, FLOOR, proc=str(machine.proc), pause="0.001")
    small = text.replace(f"-ge {script.RECENT} ]", "-ge 12 ]").replace(f"-ge {script.PAST} ]", "-ge 5 ]")
    assert small != text
    machine.run(small)
    most = 0
    deadline = time.monotonic() + 30
    # The second file of the past is begun after fifty samples, and the first one again after another fifty.
    while time.monotonic() < deadline and not (machine.folder / "past.1").exists():
        most = max(most, len(machine.samples()))
        time.sleep(0.005)
    _until(lambda: len(_lines(machine.folder / "past.1")) > 2)
    for name, limit in (("now.0", 12), ("now.1", 12), ("past.0", 5), ("past.1", 5)):
        assert 0 < len(_lines(machine.folder / name)) <= limit
    assert most <= 24


def test_a_kernel_without_pressure_or_a_word_in_place_of_a_number_ends_nothing(machine: Machine) -> None:
    (machine.proc / "pressure/memory").unlink()
    machine.begin()
    record = machine.record()
    assert record is not None and record.last is not None and record.last.pressure is None
    _write(machine.proc / "meminfo", "MemAvailable: -99 kB\n")
    time.sleep(0.3)
    _write(machine.proc / "meminfo", "MemTotal: 1 kB\n")
    time.sleep(0.3)
    (machine.proc / "meminfo").unlink()
    time.sleep(0.3)
    assert machine.runs() and machine.kills() == []
    machine.memory(1)
    assert machine.ended() == 0


@pytest.mark.parametrize("machine", OTHERS_SYNC, indirect=True, ids=" ".join)
def test_its_record_is_written_to_the_disk_again_and_again_and_when_memory_is_low(machine: Machine) -> None:
    synced = machine.folder.with_name("synced")
    sync = machine.tools / "sync"
    sync.write_text(f'#!/bin/sh\necho "$*" >>{synced}\n')
    sync.chmod(0o755)
    machine.begin()
    _until(lambda: len(_lines(synced)) >= 3)
    assert all(str(machine.folder / "now.0") in line for line in _lines(synced))
    machine.deaf.touch()
    before = len(_lines(synced))
    machine.memory(3)
    _until(lambda: len(_lines(synced)) > before)


def test_it_asks_the_kernel_to_be_spared(machine: Machine) -> None:
    machine.begin()
    assert (machine.proc / "self/oom_score_adj").read_text() == "-1000\n"


def test_it_goes_on_where_it_may_not_ask_for_that_or_cannot_write(machine: Machine) -> None:
    (machine.proc / "self/oom_score_adj").mkdir()
    machine.begin()
    shutil.rmtree(machine.folder)
    time.sleep(0.3)
    assert machine.runs()
    machine.memory(1)
    assert machine.ended() == 0
    assert machine.kills() == [f"kill {ID}"]


def test_its_record_is_found_after_a_restart(machine: Machine) -> None:
    machine.begin()
    machine.memory(6)
    machine.see()
    machine.close()
    # The real kernel's id of its boot is another one than that in the record.
    record = machine.record()
    assert record is not None and not record.same_boot and record.silent
    assert record.least is not None and record.least.available == 6 * GIB
    assert record.minute()[-1].available == 6 * GIB


def test_it_takes_little_of_the_processor(tmp_path: Path, victim: subprocess.Popen[bytes]) -> None:
    """Less than one per cent of a core with real files: its own time and that of the processes it starts."""
    machine = Machine(tmp_path, ("sh",))
    machine.proc = Path("/proc")
    machine.says(f"running {victim.pid}")
    before = os.times()
    machine.begin("0.5")
    time.sleep(8)
    victim.kill()
    victim.wait()
    machine.says("exited 0")
    assert machine.ended() == 0
    machine.close()
    after = os.times()
    spent = after.children_user - before.children_user + after.children_system - before.children_system
    assert spent < 0.01 * 10 + 0.05, f"{spent:.3f} s in about 10 s"


async def test_it_is_started_once_read_and_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: subprocess.Popen[bytes]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    machine = Machine(tmp_path, ("sh",))
    monkeypatch.setenv("PATH", f"{machine.tools}:{os.environ['PATH']}")
    machine.says(f"running {victim.pid}")
    guard = Guard(LocalTransport(), "abcd2345")
    assert await guard.read() is None
    await guard.start(ID, 1 << 20)
    await guard.start(ID, 1 << 20)
    place = tmp_path / "home/.local/state/sparkrun-tui/jobs/abcd2345/guard"
    await until(lambda: (place / "now.0").exists())
    record = await guard.read()
    assert record is not None and record.last is not None and record.same_boot and not record.silent
    assert record.floor == 1 << 20
    assert oct(place.stat().st_mode & 0o777) == "0o700"
    assert all(path.stat().st_mode & 0o077 == 0 for path in place.iterdir())
    pid = int((place / "pid").read_text())
    await guard.end()
    assert not place.parent.exists()
    await until(lambda: not Path(f"/proc/{pid}").exists())
    assert await guard.read() is None


async def test_records_that_nobody_came_back_for_are_removed_after_a_month(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = tmp_path / ".local/state/sparkrun-tui/jobs"
    for name, days in (("old22222", 31), ("new22222", 29)):
        (root / name / "guard").mkdir(parents=True)
        file = root / name / "guard/now.0"
        file.write_text("1 1 -\n")
        then = time.time() - days * 86_400
        os.utime(file, (then, then))
    (root / "other").mkdir()
    await LocalTransport().run(script.forget(shell.path_word("~/.local/state/sparkrun-tui/jobs")))
    assert sorted(path.name for path in root.iterdir()) == ["new22222", "other"]


@pytest.mark.parametrize("launch_id", ["", "../../etc", "ABCD2345", "abcd2345/..", "a b"])
def test_only_the_id_of_a_launch_names_a_guard(launch_id: str) -> None:
    with pytest.raises(ValueError, match="not the id of a launch"):
        Guard(LocalTransport(), launch_id)
