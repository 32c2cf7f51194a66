"""The report of a launch as Markdown: what is in it, and whose names are not; and a launch that is shown once more."""

from __future__ import annotations

import re
import stat
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record import report as reporting
from sparkrun_tui.launch.record.events import (
    AnyEvent,
    Diagnosed,
    LaunchBegan,
    LaunchStatus,
    Noticed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.journal import Journal, launch_folder
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.replay import moments, timed
from sparkrun_tui.launch.record.report import report, save_report
from tests.launch.fakes import SOLO, FakeCluster
from tests.launch.virtual import virtual_time

EVENTS: tuple[AnyEvent, ...] = (
    LaunchBegan(
        launch_id="abcd2345",
        recipe="tiny",
        engine="vllm",
        model="org/tiny",
        cluster="den",
        hosts=("ada@spark-1.lan", "spark-2"),
        port=8000,
        settings={"max_model_len": "4096"},
        time=100.0,
    ),
    StepChanged(host="ada@spark-1.lan", phase=Phase.LOAD, state=StepState.RUNNING, time=110.0),
    StepChanged(host="ada@spark-1.lan", phase=Phase.LOAD, state=StepState.FAILED, detail="exit 1 | x", time=170.0),
    Noticed(level="warning", text="spark-2 at 192.168.7.12 is <b>slow</b> ![x](http://evil) @maintainer", time=171.0),
    Diagnosed(
        host="spark-2",
        title="Too little memory",
        explanation="see /home/ada/notes",
        evidence="ValueError: 192.168.7.12 and 10.0.0.3, then 192.168.7.12",
        repairs=(Repair("shorter", "it fits", "max_model_len", "2048"),),
        time=172.0,
    ),
    StatusChanged(status=LaunchStatus.FAILED, detail="the ranks on den ended", time=173.0),
)
LINES = [
    LogLine(120.0 + n, "stdout", f"line {n} of /home/ada/x on spark-1.lan ~~~ key sk-1234567890abcdefghij")
    for n in range(90)
]


def made() -> str:
    state = fold_all(EVENTS)
    return report(state, EVENTS, {"ada@spark-1.lan": LINES, "spark-2": []}, Redactor(["hunter22"]))


def test_a_report_says_what_why_and_when() -> None:
    text = made()
    assert text.startswith("# tiny: failed\n\nthe ranks on the cluster ended\n")
    for words in (
        "| engine | vllm |",
        "| hosts | 2 |",
        "| override max\\_model\\_len | 4096 |",
        "| started | 1970-01-01 00:01 UTC |",
    ):
        assert words in text
    assert "## Why" in text and "host-2: Too little memory" in text and "try: -o max_model_len=2048  it fits" in text
    assert "| host-1 | FAILED 1:00 exit 1 \\| x |" in text
    assert "  1:13  failed: the ranks on the cluster ended" in text
    assert "line 89 of" in text and "line 29 of" not in text


def test_no_name_of_a_host_user_or_address_is_in_it() -> None:
    text = made()
    for name in ("spark-1", "spark-2", "ada", "den", "192.168.7.12", "10.0.0.3", "sk-1234567890"):
        assert not re.search(rf"(?<![\w]){re.escape(name)}", text), name
    assert "address-1 and address-2, then address-1" in text
    assert "host-2 at address-1 is" in text and "see ~/notes" in text


def test_markup_of_others_is_shown_as_typed() -> None:
    text = made()
    assert "\\<b\\>slow\\</b\\> \\!\\[x\\](http://evil) @\u200bmaintainer" in text
    # The fence is longer than any run in what it holds.
    fences = [line for line in text.splitlines() if line.startswith("~~~~")]
    assert fences == ["~~~~text", "~~~~"]


def test_many_events_are_cut_in_the_middle() -> None:
    steps = [Noticed(level="note", text=f"note {n}", time=200.0 + n) for n in range(500)]
    text = report(fold_all(EVENTS), (*EVENTS, *steps), {}, str)
    assert "note 499" in text and "note 250" not in text and "more …" in text


def test_it_is_saved_for_its_owner_alone(private_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save_report(fold_all(EVENTS), "# x\n", now=0.0)
    assert path.read_text() == "# x\n" and path.suffix == ".md"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and stat.S_IMODE(path.parent.stat().st_mode) == 0o700

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reporting, "write_private", full)
    with pytest.raises(SparkrunError, match="No space left"):
        save_report(fold_all(EVENTS), "x")


def test_a_replay_has_all_in_order_with_short_pauses(private_home: Path) -> None:
    journal = Journal(launch_folder("abcd2345"), Redactor(), hosts=2)
    for event in EVENTS:
        journal.event(event)
    journal.log("spark-2", [LogLine(115.0, "stdout", "early"), LogLine(9_000.0, "stdout", "late")])
    journal.close()
    hosts = ("ada@spark-1.lan", "spark-2")
    found = list(timed(moments(journal.folder, hosts), speed=10.0, longest=2.0))
    assert [moment.line.text for _, moment in found if moment.line] == ["early", "late"]
    assert [type(moment.event) for _, moment in found if moment.event] == [type(event) for event in EVENTS]
    assert [moment.time for _, moment in found] == sorted(moment.time for _, moment in found)
    assert [round(pause, 2) for pause, _ in found] == [0.0, 1.0, 0.5, 2.0, 0.1, 0.1, 0.1, 2.0]
    assert fold_all(moment.event for _, moment in found if moment.event) == fold_all(EVENTS)
    assert {pause for pause, _ in timed(moments(journal.folder, ()), speed=0)} == {0.0}


@virtual_time
async def test_a_real_launch_is_reported_from_its_journal(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    await launch.stop()
    folder = launch_folder(launch.launch_id)
    shown = [moment.event for _, moment in timed(moments(folder, tuple(launch.state.hosts))) if moment.event]
    assert fold_all(shown).status is LaunchStatus.STOPPED
    text = report(launch.state, shown, {}, str)
    assert "host-1: check ok" in text and "spark-1" not in text
