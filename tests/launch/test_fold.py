"""The fold over events: total, the same whenever it is done again, and true to what events say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.engines.logs.causes import Repair
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.codec import from_json, to_json
from sparkrun_tui.launch.record.events import (
    AnyEvent,
    Diagnosed,
    EndpointUp,
    EngineFact,
    LaunchBegan,
    LaunchStatus,
    LinkChanged,
    MemorySeen,
    Noticed,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.launch.record.fold import FINAL, MAX_NOTICES, MEMORY_READINGS, fold, fold_all
from sparkrun_tui.launch.record.journal import Journal, past_launches, prune, read_events, read_log, read_state
from sparkrun_tui.launch.record.logs import LogLine

_text = st.text(st.characters(blacklist_categories=("Cs",)), max_size=12)
_hosts = st.sampled_from(["a", "b", "c"])
_numbers = st.floats(0, 1e12, allow_nan=False)
_when = {"seq": st.integers(0, 1000), "time": st.floats(1, 1e10, allow_nan=False)}
_events: st.SearchStrategy[AnyEvent] = st.one_of(
    st.builds(
        LaunchBegan,
        **_when,
        launch_id=_text,
        recipe=_text,
        engine=_text,
        model=_text,
        cluster=_text,
        hosts=st.permutations(["a", "b"]).map(tuple),
        port=st.integers(1, 65535),
        settings=st.dictionaries(_text, _text, max_size=3),
    ),
    st.builds(StatusChanged, **_when, status=st.sampled_from(LaunchStatus), detail=_text),
    st.builds(
        StepChanged, **_when, host=_hosts, phase=st.sampled_from(Phase), state=st.sampled_from(StepState), detail=_text
    ),
    st.builds(
        Progressed,
        **_when,
        host=_hosts,
        phase=st.sampled_from(Phase),
        done=_numbers,
        total=st.none() | _numbers,
        rate=st.none() | _numbers,
    ),
    st.builds(LinkChanged, **_when, host=_hosts, state=_text, detail=_text),
    st.builds(MemorySeen, **_when, host=_hosts, available=st.integers(0, 1 << 40), total=st.integers(0, 1 << 40)),
    st.builds(EngineFact, **_when, host=_hosts, name=_text, value=_numbers),
    st.builds(Noticed, **_when, level=_text, text=_text, host=_hosts),
    st.builds(EndpointUp, **_when, url=_text, model=_text),
    st.builds(
        Diagnosed,
        **_when,
        host=_hosts,
        title=_text,
        explanation=_text,
        evidence=_text,
        repairs=st.lists(st.builds(Repair, title=_text, why=_text, key=_text, value=_text), max_size=2).map(tuple),
    ),
)
streams = st.lists(_events, max_size=40)


@given(streams, st.integers(0, 40))
def test_folding_in_two_parts_is_folding_at_once(events: list[AnyEvent], cut: int) -> None:
    assert fold_all(events[cut:], fold_all(events[:cut])) == fold_all(events)


@given(streams)
def test_a_final_status_stays(events: list[AnyEvent]) -> None:
    state = fold_all(events)
    if state.status in FINAL:
        again = fold(state, StatusChanged(status=LaunchStatus.READY, time=1.0))
        assert again == state


@given(streams)
def test_a_step_that_has_ended_has_a_time_and_one_that_has_not_has_none(events: list[AnyEvent]) -> None:
    ended = {StepState.OK, StepState.SKIPPED, StepState.FAILED, StepState.CANCELLED}
    for row in fold_all(events).hosts.values():
        for cell in row.cells.values():
            assert (cell.ended is not None) == (cell.state in ended)


@given(streams)
def test_the_first_diagnosis_is_kept(events: list[AnyEvent]) -> None:
    first = next((event for event in events if isinstance(event, Diagnosed)), None)
    assert fold_all(events).diagnosis == first


@given(_events)
def test_every_event_survives_json(event: AnyEvent) -> None:
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


def test_readings_and_notices_are_bounded() -> None:
    events: list[AnyEvent] = [MemorySeen(host="a", available=number, total=9, time=1.0) for number in range(500)]
    events += [Noticed(level="note", text=str(number), time=1.0) for number in range(500)]
    state = fold_all(events)
    assert state.hosts["a"].memory == tuple(range(500 - MEMORY_READINGS, 500))
    assert [notice.text for notice in state.notices] == [str(number) for number in range(500 - MAX_NOTICES, 500)]


def test_late_progress_does_not_wake_a_step_that_has_ended() -> None:
    done = fold_all([StepChanged(host="a", phase=Phase.LOAD, state=StepState.OK, time=1.0)])
    late = fold(done, Progressed(host="a", phase=Phase.LOAD, done=40.0, total=100.0, unit="%", time=2.0))
    assert late == done


def test_progress_before_any_step_shows_it_running() -> None:
    state = fold_all([Progressed(host="a", phase=Phase.IMAGE, done=5.0, total=10.0, time=3.0)])
    cell = state.hosts["a"].cells[Phase.IMAGE]
    assert (cell.state, cell.started, cell.done) == (StepState.RUNNING, 3.0, 5.0)


def test_of_two_that_watch_a_launch_one_writes_its_journal(tmp_path: Path) -> None:
    first = Journal(tmp_path / "launches" / "x", Redactor())
    second = Journal(tmp_path / "launches" / "x", Redactor())
    for number in range(100):
        for journal in (first, second):
            journal.log("a", [LogLine(float(number), "stdout", f"line {number}")])
            journal.event(Noticed(level="note", text=str(number), time=1.0))
    first.close()
    second.log("a", [LogLine(1000.0, "stdout", "never written here")])
    second.event(Noticed(level="note", text="the last", time=1.0))
    second.close()
    assert [line.text for line in read_log(first.folder, "a")] == [f"line {number}" for number in range(100)]
    texts = [event.text for event in read_events(first.folder) if isinstance(event, Noticed)]
    assert texts == [*map(str, range(100)), "the last"]


def test_unknown_kinds_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "launches" / "x", Redactor())
    journal.event(Noticed(level="note", text="kept", time=1.0))
    journal.close()
    with (journal.folder / "events.jsonl").open("a") as file:
        file.write('{"kind": "from-the-future", "a": 1}\n{"kind": "step", "phase": "nonsense"}\n{"kind": "noti\n\n[]\n')
    assert [event.text for event in read_events(journal.folder) if isinstance(event, Noticed)] == ["kept"]


def test_lines_are_on_disk_while_the_program_runs(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "launches" / "x", Redactor())
    journal.log("a", [LogLine(1.0, "stdout", "first")])
    assert [line.text for line in read_log(journal.folder, "a")] == ["first"], "a killed program has written it"
    journal.log("a", [LogLine(2.0, "stdout", "second")])
    journal.event(StatusChanged(time=3.0, status=LaunchStatus.FAILED))
    assert [line.text for line in read_log(journal.folder, "a")] == ["first", "second"]
    journal.close()


@given(streams)
def test_the_journal_gives_the_state_again(events: list[AnyEvent]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder) / "launches" / "x", Redactor())
        # Progress is thinned on disk, so it is left out of the comparison.
        kept = [event for event in events if not isinstance(event, Progressed)]
        for event in kept:
            journal.event(event)
        journal.close()
        assert read_state(journal.folder) == fold_all(kept)


def test_log_lines_come_back_as_they_were(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "launches" / "x", Redactor())
    lines = [
        LogLine(1_700_000_000.25, "stdout", "one  two"),
        LogLine(1_700_000_001.5, "stderr", ""),
        LogLine(2.0, "app", "é"),
    ]
    journal.log("me@host:22", lines)
    journal.close()
    assert read_log(journal.folder, "me@host:22") == lines


def test_old_launches_go_first_and_the_running_one_stays(tmp_path: Path) -> None:
    import os

    root = tmp_path / "launches"
    for number in range(25):
        journal = Journal(root / f"launch-{number:02}", Redactor())
        journal.event(LaunchBegan(
            launch_id=f"launch-{number:02}", recipe="r", engine="e", model="m", cluster="c", hosts=("a",), port=1,
            time=float(number + 1),
        ))  # fmt: skip
        journal.close()
        os.utime(journal.folder / "events.jsonl", (number, number))
    removed = prune(keep=("launch-00",), folder=root)
    assert sorted(removed) == [f"launch-{number:02}" for number in range(1, 5)]
    left = past_launches(root)
    assert [past.state.launch_id for past in left][:2] == ["launch-24", "launch-23"]
    assert (root / "launch-00").is_dir()


def test_a_step_started_again_counts_its_time_anew() -> None:
    events: list[AnyEvent] = [
        StepChanged(host="a", phase=Phase.IMAGE, state=StepState.RUNNING, time=1.0),
        StepChanged(host="a", phase=Phase.IMAGE, state=StepState.UNKNOWN, time=5.0),
        StepChanged(host="a", phase=Phase.IMAGE, state=StepState.RUNNING, time=9.0),
        StepChanged(host="a", phase=Phase.IMAGE, state=StepState.OK, time=12.0),
    ]
    cell = fold_all(events).hosts["a"].cells[Phase.IMAGE]
    assert (cell.started, cell.ended) == (1.0, 12.0)
    again = fold_all([*events, replace(events[0], time=20.0)]).hosts["a"].cells[Phase.IMAGE]
    assert (again.started, again.ended) == (20.0, None)
