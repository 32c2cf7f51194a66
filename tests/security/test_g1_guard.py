"""G1: what a host says of its memory guard is bounded, and makes nothing worse than the host's own record."""

from __future__ import annotations

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkrun_tui.base.units import GIB
from sparkrun_tui.launch.diagnosis.diagnose import Diagnosis, ExitInfo, GuardInfo
from sparkrun_tui.launch.record.events import LaunchStatus
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.guard_seen import seen
from sparkrun_tui.launch.record.guard_words import guard_words, nearest, picture
from sparkrun_tui.remote.guard.record import GuardRecord, parse
from sparkrun_tui.ui.paint.launch.phases import guard_line
from tests.launch.fakes import SOLO, FakeCluster
from tests.launch.fakes.guard import FakeGuard
from tests.launch.virtual import virtual_time

ABSURD = ("0", "-1", "999999999999999999", "9" * 500, "nan", "1e999", "[N/A]", "\x1b[2J", "٣", "")
PARTS = ("[host]", "[about]", "[verdict]", "[past]", "[now]", "[end]", "[", "[[x]]")


def answer(value: str = "1048576", time: str = "10.0", floor: str = "4194304") -> str:
    about = f"boot b\nepoch {time}\nbegan {time}\nfloor {floor}"
    sample = f"{time} {value} {value}"
    verdict = f"stop {sample}\nend x"
    host = f"b\n{time} 1"
    return f"[host]\n{host}\n[about]\n{about}\n[verdict]\n{verdict}\n[past]\n{sample}\n[now]\n{sample}\n[end]"


def shown(record: GuardRecord) -> None:
    """Everything that is done with a record on this machine."""
    event = seen(record, "spark-1", 0.0, closing=True)
    state = fold_all([event, event])
    row = nearest(state)
    assert row is not None and row.guard is not None
    assert len(picture(row, 30)) <= 30
    assert "\x1b" not in guard_words(row.guard)
    assert guard_line(state, 80) is not None
    assert record.least is None or record.least.available >= 0
    for sample in record.samples[:3]:
        record.time_of(sample)


@pytest.mark.parametrize(("value", "moment", "floor"), list(product(ABSURD, ABSURD, (*ABSURD, "4194304"))))
def test_absurd_figures_are_none(value: str, moment: str, floor: str) -> None:
    record = parse(answer(value, moment, floor))
    if record is not None:
        assert 0 <= record.floor < 1 << 60
        shown(record)


@given(st.lists(st.one_of(st.sampled_from(PARTS), st.text(max_size=40)), max_size=60))
def test_any_lines_are_read_without_an_exception(lines: list[str]) -> None:
    record = parse("\n".join([*lines, "[end]"]))
    if record is not None:
        shown(record)


def test_an_endless_answer_is_cut_and_an_unfinished_one_is_none() -> None:
    began = time.perf_counter()
    assert parse(answer().replace("[end]", "1 1 1\n" * 2_000_000 + "[end]")) is None
    assert time.perf_counter() - began < 1
    assert parse(answer().removesuffix("[end]")) is None
    long = parse(answer().replace("[now]\n", "[now]\n" + "1 1\n" * 20_000))
    assert long is not None and len(long.recent) <= 2000


@pytest.mark.parametrize("left", [0, GIB, 10**17])
def test_a_record_only_lowers_settings(left: int) -> None:
    values = {"gpu_memory_utilization": "0.85", "max_num_seqs": "64", "max_model_len": "131072"}
    diagnosis = Diagnosis("vllm", values=values, memory_total=120 * GIB)
    found = diagnosis.result({"spark-1": ExitInfo(137, guard=GuardInfo(True, left, 4 * GIB, time=4e10))})
    assert found is not None and found.repairs
    for repair in found.repairs:
        if repair.key in values:
            assert float(repair.value) < float(values[repair.key])


@virtual_time
async def test_a_host_that_makes_up_its_record_spoils_no_launch(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeGuard, "answer", lambda *_: answer("\x1b]0;x\x07", "1e999") + "\n\x1b[31m" * 1000)
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    assert (await launch.stop()).status is LaunchStatus.STOPPED
    assert cluster.remaining == []
