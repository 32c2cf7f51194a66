"""Logs saved as files: complete, in order, without secrets and escape sequences, readable only by their owner."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import MASK, Redactor
from sparkrun_tui.launch.record.events import LaunchBegan
from sparkrun_tui.launch.record.export import ALL, export_logs
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.journal import Journal, launches_dir
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.state import LaunchState

HOSTS = ("spark-1", "spark-2")
BEGAN = LaunchBegan(
    launch_id="abc", recipe="a/recipe", engine="vllm", model="some/model", cluster="lab", hosts=HOSTS, port=1, time=10.0
)
STATE = fold(LaunchState(), BEGAN)


def lines(*texts: str, start: float = 100.0, stream: str = "stdout") -> list[LogLine]:
    return [LogLine(start + number, stream, text) for number, text in enumerate(texts)]


def rows(path: Path) -> list[str]:
    """The lines of a file below its heading, without stamps."""
    text = path.read_text().splitlines()
    assert text[0].startswith("# a/recipe (vllm, some/model), launch abc on lab")
    return [row.partition(" ")[2] for row in text[1:]]


@pytest.fixture
def journal() -> Journal:
    return Journal(launches_dir() / "abc", Redactor())


def test_the_disk_has_the_beginning_and_memory_the_end(journal: Journal) -> None:
    said = lines(*(f"line {number}" for number in range(500)))
    journal.log("spark-1", said[:400])
    journal.close()
    done = export_logs(STATE, {"spark-1": said[300:]}, Redactor())
    assert rows(done.folder / "spark-1.log") == [f"stdout line {number}" for number in range(500)]
    assert done.lines == 500


def test_a_line_that_is_half_on_disk_is_taken_from_memory(journal: Journal) -> None:
    said = lines("one", "two", "three")
    journal.log("spark-1", said[:2])
    journal.close()
    with (journal.folder / "hosts" / "spark-1.log").open("a") as file:
        file.write("1970-01-01T00:01:42.000000Z stdout thr")
    done = export_logs(STATE, {"spark-1": said}, Redactor())
    assert rows(done.folder / "spark-1.log") == ["stdout one", "stdout two", "stdout three"]


def test_without_a_journal_memory_is_all_there_is() -> None:
    done = export_logs(STATE, {"spark-2": lines("only here")}, Redactor())
    assert rows(done.folder / "spark-2.log") == ["stdout only here"]
    assert rows(done.folder / "spark-1.log") == []


def test_all_hosts_stand_in_one_file_in_order_of_time(journal: Journal) -> None:
    journal.log("spark-1", lines("a", "c", start=100.0))
    journal.close()
    done = export_logs(STATE, {"spark-2": lines("b", "d", start=100.5)}, Redactor())
    assert rows(done.folder / ALL) == ["spark-1 stdout a", "spark-2 stdout b", "spark-1 stdout c", "spark-2 stdout d"]
    assert [path.name for path in done.files] == ["spark-1.log", "spark-2.log", ALL]


def test_secrets_are_masked_and_escapes_are_removed_from_any_file(journal: Journal) -> None:
    journal.close()
    (journal.folder / "hosts" / "spark-1.log").write_text(
        "1970-01-01T00:01:40.000000Z stdout token sesame-open-up \x1b]0;owned\x07\x1b[31mred\n"
        "not a line of ours \x1b[2J\n"
    )
    done = export_logs(STATE, {"spark-1": lines("hf_" + "a" * 30, start=200.0)}, Redactor(["sesame-open-up"]))
    assert rows(done.folder / "spark-1.log") == [
        f"stdout token {MASK} red",
        "app not a line of ours ",
        f"stdout {MASK}",
    ]


def test_files_are_the_users_own_and_a_name_cannot_leave_the_folder() -> None:
    state = fold(LaunchState(), BEGAN)
    done = export_logs(state, {"../../etc/x": lines("odd host")}, Redactor())
    assert stat.S_IMODE(done.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in done.files} == {0o600}
    assert all(path.parent == done.folder for path in done.files)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SparkrunError, match="cannot be saved"):
        export_logs(STATE, {}, Redactor(), folder=tmp_path / "file" / "logs")
