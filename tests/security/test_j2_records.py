"""J2: records of launches are not removed under another program that writes them, and no record hides the others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparkrun_tui.base.disk.files import claim
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.entry import main
from sparkrun_tui.launch.record import journal
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, Noticed
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.report import report


def record(launch_id: str, *, time: float = 100.0, age: float = 0.0) -> Path:
    folder = journal.launch_folder(launch_id)
    writer = journal.Journal(folder, Redactor([]))
    writer.event(
        LaunchBegan(
            launch_id=launch_id,
            recipe="tiny",
            engine="vllm",
            model="org/m",
            cluster="lab",
            hosts=("spark-1",),
            port=8000,
            time=time,
        )
    )
    writer.close()
    then = os.stat(folder / "events.jsonl").st_mtime - age
    os.utime(folder / "events.jsonl", (then, then))
    return folder


def test_a_record_that_another_terminal_writes_is_not_deleted() -> None:
    folder = record("abcd2345")
    other = claim(folder / "writer.lock")
    assert other is not None
    with pytest.raises(LaunchError, match="another terminal"):
        journal.remove(folder)
    assert (folder / "events.jsonl").is_file()
    other.release()
    journal.remove(folder)
    assert not folder.exists()


def test_a_launch_that_serves_for_weeks_keeps_its_record() -> None:
    folder = record("abcd2345", age=1e6)
    other = claim(folder / "writer.lock")
    ended = record("abcd2346", age=1e5)
    for letter in "abcdefghjkmnpqrstuvwxyz"[: journal.KEEP_LAUNCHES]:
        record(f"bbcd234{letter}")
    assert journal.prune() == [ended.name]
    assert (folder / "events.jsonl").is_file() and not ended.exists()
    assert other is not None
    other.release()
    assert journal.prune() == [folder.name]


def test_a_launch_that_another_terminal_watches_is_not_noted_as_gone() -> None:
    folder = record("abcd2345")
    other = claim(folder / "writer.lock")
    assert journal.note_gone(folder).status is LaunchStatus.STARTING
    assert other is not None
    other.release()
    assert journal.note_gone(folder).status is LaunchStatus.STOPPED


@pytest.mark.parametrize("moment", [1e17, -1e17, 253_402_300_800.0, -1.0])
def test_a_moment_that_no_calendar_has_costs_its_event(moment: float, capsys: pytest.CaptureFixture[str]) -> None:
    record("abcd2345")
    damaged = record("abcd2346")
    rows = (damaged / "events.jsonl").read_text().splitlines()
    later = {**json.loads(rows[0]), "launch_id": "abcd2346", "recipe": "odd", "time": moment}
    (damaged / "events.jsonl").write_text("\n".join([json.dumps(later), *rows]) + "\n")
    assert main(["history"]) == 0
    shown = capsys.readouterr().out
    assert "abcd2345" in shown and "abcd2346" in shown and "odd" not in shown


def test_a_report_has_no_escapes_of_a_record() -> None:
    notice = Noticed(level="error\x1b]0;x\x07\ud800", text="full", time=1.0)
    text = report(fold_all([notice]), [notice], {}, Redactor([]))
    assert "- error: full" in text
    assert text.replace("\n", "").replace("\u200b", "").isprintable()
