"""I1: what a host calls its GPU is looked up with each estimate, and takes no time however long it is."""

from __future__ import annotations

import time

import pytest

from sparkrun_tui.launch.sizing.sizing import host_memory
from sparkrun_tui.memory.speed.bandwidth import bandwidth_of
from sparkrun_tui.remote.probe.parse import parse


@pytest.mark.parametrize("name", ["H100 ", "A100 ", "GH200 ", "RTX PRO "])
def test_a_long_name_takes_no_time(name: str) -> None:
    text = (
        "epoch=1\n[[meminfo\nMemTotal: 128000000 kB\nMemAvailable: 120000000 kB\n]]\n"
        f"[[gpus\n{name * 20_000}, 580.1, 100, 1, 1, 1\n]]\nepoch_end=2\nend=yes\n"
    )
    facts = parse(text, name="spark-1", taken=1.0, round_trip=0.1)
    assert facts.gpus and len(facts.gpus[0].name) <= 101
    host = host_memory(facts)
    began = time.process_time()
    for _ in range(20):
        bandwidth_of(host)
    assert time.process_time() - began < 0.2
