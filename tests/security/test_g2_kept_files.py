"""Files of the state folder that this program did not write: floods, links, pipes, and words that look like options."""

from __future__ import annotations

import ast
import asyncio
import os
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import asyncssh
import pytest

import sparkrun_tui
from sparkrun_tui.base.disk.files import Busy, update_private
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.launch.record.again import run_again
from sparkrun_tui.launch.record.export import export_logs
from sparkrun_tui.launch.record.journal import Journal, launch_folder, read_events, read_log, read_state
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.remote.ssh.known_hosts import add_entry
from sparkrun_tui.remote.ssh.resolve import Endpoint

PACKAGE = Path(sparkrun_tui.__file__).parent
MIB = 1 << 20


def folder_with(events: bytes, log: bytes = b"") -> Path:
    folder = launch_folder("abcd2345")
    Journal(folder, Redactor()).close()
    (folder / "events.jsonl").write_bytes(events)
    (folder / "hosts" / "spark-1.log").write_bytes(log)
    return folder


@pytest.mark.parametrize(("row", "size"), [(b"\n", 12), (b"{}\n", 4), (b"\n", 40)])
def test_a_flood_of_tiny_events_is_read_in_part(row: bytes, size: int) -> None:
    folder = folder_with(row * (size * MIB // len(row)))
    began = time.process_time()
    assert list(read_events(folder)) == []
    assert time.process_time() - began < 5.0


def test_a_flood_of_tiny_lines_is_read_in_part() -> None:
    folder = folder_with(b"", b"\n" * 30 * MIB + b"2026-01-02T03:04:05.000000Z stdout the end\n")
    tracemalloc.start()
    found = read_log(folder, "spark-1", 100)
    assert tracemalloc.get_traced_memory()[1] < 110 * MIB
    tracemalloc.stop()
    assert found[-1].text == "the end"
    assert len(found) <= 100


def test_the_newest_of_many_lines_are_read() -> None:
    rows = [f"2026-01-02T03:04:05.000000Z stdout line {number}\n" for number in range(3000)]
    folder = folder_with(b"", "".join(rows).encode())
    assert [line.text for line in read_log(folder, "spark-1", 3)] == ["line 2997", "line 2998", "line 2999"]
    assert len(read_log(folder, "spark-1", 3000)) == len(read_log(folder, "spark-1", 5000)) == 3000


def _link(place: Path, victim: Path) -> None:
    place.symlink_to(victim)


def _pipe(place: Path, victim: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize("put", [_link, _pipe])
def test_nothing_is_written_through_a_link_or_into_a_pipe(put: object, tmp_path: Path) -> None:
    assert callable(put)
    victim = tmp_path / "victim"
    victim.write_text("mine")
    folder = folder_with(b"")
    for name in ("events.jsonl", "hosts/spark-1.log"):
        (folder / name).unlink()
        put(folder / name, victim)
    with pytest.raises(OSError):
        Journal(folder, Redactor())
    (folder / "events.jsonl").unlink()
    journal = Journal(folder, Redactor())
    with pytest.raises(OSError):
        journal.log("spark-1", [LogLine(0.0, "stdout", "canary")])
        journal.flush()
    journal.close()
    assert victim.read_text() == "mine"


def test_an_export_writes_through_no_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("mine")
    target = tmp_path / "exports"
    target.mkdir()
    (target / "spark-1.log").symlink_to(victim)
    folder = folder_with(b"")
    with pytest.raises(sparkrun_tui.base.errors.SparkrunError):
        export_logs(read_state(folder), {"spark-1": [LogLine(0.0, "stdout", "canary")]}, Redactor(), target)
    assert victim.read_text() == "mine"


def test_a_pipe_in_the_place_of_the_known_hosts_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "known_hosts")
    with pytest.raises(OSError):
        add_entry(tmp_path / "known_hosts", Endpoint("a", "a"), asyncssh.generate_private_key("ssh-ed25519"))


def test_a_link_that_the_person_made_for_known_hosts_stays_one(tmp_path: Path) -> None:
    (tmp_path / "known_hosts").symlink_to(tmp_path / "dotfiles")
    add_entry(tmp_path / "known_hosts", Endpoint("a", "a"), asyncssh.generate_private_key("ssh-ed25519"))
    assert (tmp_path / "dotfiles").read_text().startswith("a ssh-ed25519 ")
    assert (tmp_path / "known_hosts").is_symlink()


def test_files_are_opened_for_writing_in_one_module() -> None:
    """Elsewhere a link would be followed and a pipe waited for; the two others open for reading."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "os.open":
                found.add(path.relative_to(PACKAGE).as_posix())
    assert found == {"base/disk/files.py", "recipe/format/recipe_file.py", "recipe/bundled_files/sent_files.py"}


@pytest.mark.parametrize("recipe", ["--yes", "-H", "--", "-x.yaml"])
def test_a_name_in_a_journal_is_never_an_option_of_the_pasted_line(recipe: str) -> None:
    line = run_again(recipe, ["spark-1"], {"port": "9000"}, claimed=False)
    assert line is not None
    assert line.split()[2] == f"./{recipe}"


async def save(path: Path) -> None:
    update_private(path, lambda text: "changed")


def test_a_stopped_program_that_holds_a_lock_does_not_stop_the_app(tmp_path: Path) -> None:
    """It holds the lock for as long as it is stopped, and the app saves again and again."""
    path = tmp_path / "file.json"
    program = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom sparkrun_tui.base.disk.files import locked\n"
        "held = locked(Path(sys.argv[1]))\nheld.__enter__()\nos.kill(os.getpid(), signal.SIGSTOP)\n"
    )
    words = [sys.executable, "-c", program, str(path)]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    with subprocess.Popen(words, env=environment) as stopped:
        try:
            os.waitid(os.P_PID, stopped.pid, os.WSTOPPED)
            began = time.monotonic()
            with pytest.raises(Busy):
                asyncio.run(save(path))
            assert time.monotonic() - began < 5.0
            assert not path.exists()
        finally:
            stopped.kill()
    update_private(path, lambda text: "changed")
    assert path.read_text() == "changed"
