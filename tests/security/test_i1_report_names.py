"""I1: a report is pasted for everybody to read: it has neither the users of hosts nor addresses of any kind."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.launch.record.events import AnyEvent, LaunchBegan
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.report import report

EVENTS: tuple[AnyEvent, ...] = (
    LaunchBegan(
        launch_id="abcd2345", recipe="tiny", engine="vllm", model="org/tiny", cluster="den",
        hosts=("grace@spark-1.lan",), port=8000, settings={}, time=100.0,
    ),
)  # fmt: skip


def printed(text: str) -> str:
    lines = [LogLine(120.0, "stdout", text)]
    return report(fold_all(EVENTS), EVENTS, {"grace@spark-1.lan": lines}, Redactor([]))


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("user grace is not in the group docker", "grace"),
        ("listening on [2001:db8::7:1]:8000", "2001:db8"),
        ("Bootstrap: Using wlan0:fe80::1c2d:3e4f%wlan0", "fe80::1c2d"),
        ("peer 2001:0db8:0000:0000:0000:ff00:0042:8329 is gone", "8329"),
        ("connect to ::ffff:192.0.2.77 failed", "192.0.2.77"),
    ],
)
def test_names_of_people_and_machines_are_not_in_it(text: str, hidden: str) -> None:
    assert hidden not in printed(text)


@pytest.mark.parametrize("text", ["12:34:56 took 1:02", "on [::]:8000 and ::1", "c10::Error at::Tensor", "aa:bb: cafe"])
def test_what_names_nobody_stays(text: str) -> None:
    assert text in printed(text)
