"""J2: a report hides what hosts call themselves, and who logs in there, where the cluster has other names."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.launch.record.codec import from_json, to_json
from sparkrun_tui.launch.record.events import AnyEvent, HostNamed, LaunchBegan
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.record.report import report
from sparkrun_tui.launch.run.steps.check import named
from tests.launch.fakes import FakeCluster
from tests.launch.fakes.host import facts
from tests.launch.fakes.recipes import SOLO


def events(*said: AnyEvent) -> tuple[AnyEvent, ...]:
    began = LaunchBegan(
        launch_id="abcd2345", recipe="tiny", engine="vllm", model="org/tiny", cluster="den", hosts=("spark-1",),
        port=8000, settings={}, time=100.0,
    )  # fmt: skip
    return (began, *said)


def printed(text: str, *said: AnyEvent) -> str:
    whole = events(*said)
    return report(fold_all(whole), whole, {"spark-1": [LogLine(120.0, "stdout", text)]}, Redactor([]))


OWN = named("spark-1", facts("spark-1", hostname="graces-dgx.corp.example", user="grace"))


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rank 0 on graces-dgx.corp.example is up", "rank 0 on host-1 is up"),
        ("ray: node graces-dgx joined", "ray: node host-1 joined"),
        ("[W socket.cpp] graces-dgx:29500 refused", "[W socket.cpp] host-1:29500 refused"),
        ("grace: permission denied", "user: permission denied"),
        ("a grace period", "a user period"),
    ],
)
def test_a_host_s_own_name_is_not_in_it(text: str, shown: str) -> None:
    assert shown in printed(text, OWN)
    again = from_json(to_json(OWN))
    assert isinstance(again, HostNamed) and shown in printed(text, again)


def test_names_that_everybody_has_stay() -> None:
    generic = named("spark-1", facts("spark-1", hostname="localhost", user="nvidia"))
    assert "nvidia driver on localhost" in printed("nvidia driver on localhost", generic)


def test_a_name_without_end_is_cut() -> None:
    endless = named("spark-1", facts("spark-1", hostname="x" * 100_000, user="y" * 100_000))
    assert max(map(len, (*endless.names, endless.user))) <= 253


async def test_a_launch_records_them() -> None:
    cluster = FakeCluster("spark-1")
    cluster[1].facts = facts("spark-1", hostname="graces-dgx", user="grace")
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    row = launch.state.hosts["spark-1"]
    assert row.own_names == ("graces-dgx",) and row.user == "grace"
    await launch.stop()
