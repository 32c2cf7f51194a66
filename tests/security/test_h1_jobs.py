"""H1: a job ends its own processes, and no process that has got the number of one of them since."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sparkrun_tui.remote.guard.guards import Guard
from sparkrun_tui.remote.local_transport import LocalTransport
from sparkrun_tui.remote.script.jobs import Jobs, JobState
from tests.support.site import until
from tests.support.ssh_server import alive

LAUNCH = "abcd2345"


@pytest.fixture
async def other() -> AsyncIterator[subprocess.Popen[bytes]]:
    """A process of the same user, in a group of its own, that has nothing to do with any job."""
    process = subprocess.Popen(["sleep", "100"], start_new_session=True)  # noqa: ASYNC220
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def left_behind(folder: Path, text: str) -> None:
    """The folder of a job that was killed, as after a restart of its host: no exit code, and an old number."""
    folder.mkdir(parents=True)
    (folder / "boot").write_text(Path("/proc/sys/kernel/random/boot_id").read_text())
    (folder / "pid").write_text(text)
    (folder / "out").write_text("its last words\n")
    (folder / "script").write_text("true\n")


async def test_an_old_number_is_not_taken_for_the_job(tmp_path: Path, other: subprocess.Popen[bytes]) -> None:
    jobs = Jobs(LocalTransport(), str(tmp_path))
    left_behind(tmp_path / "l1/pull", f"{other.pid}\n")
    assert (await jobs.status("l1/pull")).state is JobState.DIED
    async with asyncio.timeout(10):
        assert b"".join([data async for data in jobs.follow("l1/pull")]) == b"its last words\n"
        assert await jobs.last_words("l1/pull") == "its last words"
        assert (await jobs.wait("l1/pull")).state is JobState.DIED
    await jobs.cancel("l1/pull")
    await jobs.end("l1/pull")
    assert alive(other.pid)
    assert not (tmp_path / "l1").exists()


@pytest.mark.parametrize("text", ["", "0", "1", "-1", "1 1", "x", "\n", "$(kill 1)", "9" * 400, "{pid}\n2", " {pid}"])
async def test_what_is_no_number_ends_nothing(tmp_path: Path, text: str, other: subprocess.Popen[bytes]) -> None:
    jobs = Jobs(LocalTransport(), str(tmp_path))
    left_behind(tmp_path / "l1/pull", text.replace("{pid}", str(other.pid)))
    assert (await jobs.status("l1/pull")).state is JobState.DIED
    await jobs.end("l1/pull")
    assert alive(other.pid)


async def test_the_record_of_an_old_guard_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, other: subprocess.Popen[bytes]
) -> None:
    """A guard's record outlives the restart of a frozen host, and with it the number of its process."""
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".local/state/sparkrun-tui/jobs" / LAUNCH / "guard"
    left_behind(folder, f"{other.pid}\n")
    await Guard(LocalTransport(), LAUNCH).end()
    assert not folder.exists()
    assert alive(other.pid)


async def test_what_the_first_process_left_behind_is_ended(tmp_path: Path) -> None:
    jobs = Jobs(LocalTransport(), str(tmp_path / "it's"))
    await jobs.start("l1/long", "echo $$; sleep 100; sleep 100")
    out, first = tmp_path / "it's/l1/long/out", tmp_path / "it's/l1/long/pid"
    await until(lambda: out.read_text().strip() != "")
    script = int(out.read_text())
    assert (await jobs.status("l1/long")).state is JobState.RUNNING
    os.kill(int(first.read_text()), signal.SIGKILL)
    await until(lambda: not alive(int(first.read_text())))
    assert alive(script)
    assert (await jobs.status("l1/long")).state is JobState.DIED
    await jobs.cancel("l1/long")
    await until(lambda: not alive(script))
