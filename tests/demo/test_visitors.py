"""The simulated users and the simulated GPU: figures that one believes, the same every time."""

from __future__ import annotations

from typing import cast

import pytest

from sparkrun_tui.demo.clock import Clock
from sparkrun_tui.demo.container import Container
from sparkrun_tui.demo.engines.visitors import MOST_RUNNING, STEP, TOKEN_SECONDS, Visitors
from sparkrun_tui.demo.gpu import GpuNow
from sparkrun_tui.demo.host import IDLE_HEAT, Host
from sparkrun_tui.remote.probe.parse import parse


class _Clock:
    """A clock that the test sets."""

    def __init__(self) -> None:
        self.time = 1_000.0

    def now(self) -> float:
        return self.time


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def host(clock: _Clock) -> Host:
    return Host("spark-1", 1, cast(Clock, clock), 4 << 30)


def add(host: Host, *, serving: bool, busy: float) -> Container:
    made = Container("coder", {}, host.clock, state="running", memory=80 << 30)
    made.serving, made.busy = serving, busy
    host.containers[made.id] = made
    return made


def test_somebody_is_always_there_and_the_load_comes_in_waves() -> None:
    visitors = Visitors()
    rates = []
    for _ in range(600):
        before = visitors.generated
        visitors.step(STEP)
        rates.append((visitors.generated - before) / STEP)
        assert visitors.running + visitors.waiting >= 1
        assert visitors.running <= MOST_RUNNING and visitors.held >= 0
        assert 0 < visitors.busy < 1
    assert visitors.prompted > 0
    minutes = [sum(rates[first : first + 40]) / 40 for first in range(0, 600, 40)]
    assert min(minutes) > 0, "in any 20 seconds something is generated"
    assert max(minutes) > 2 * min(minutes)
    assert max(rates) <= MOST_RUNNING / TOKEN_SECONDS


def test_the_visitors_are_the_same_every_time() -> None:
    one, other = Visitors(), Visitors()
    for _ in range(200):
        one.step(STEP)
        other.step(STEP)
    assert (one.generated, one.held, one.running) == (other.generated, other.held, other.running)


def test_the_gpu_follows_what_its_containers_do(host: Host, clock: _Clock) -> None:
    idle = GpuNow.of(host)
    assert (idle.load, round(idle.heat), idle.clock) == (0.0, IDLE_HEAT, 208.0)
    container = add(host, serving=False, busy=0.0)
    clock.time += 5
    loading = GpuNow.of(host)
    assert loading.load == 83.0 and loading.power > 50 and loading.heat < 50, "it warms up slowly"
    container.serving, container.busy = True, 0.9
    clock.time += 300
    serving = GpuNow.of(host)
    assert 80 < serving.load <= 98 and serving.heat > 60 and 2_000 < serving.clock < 3_003
    container.busy = 0.0
    clock.time += 1
    assert GpuNow.of(host).load == 0.0


def test_the_probe_reads_the_simulated_gpu(host: Host) -> None:
    from sparkrun_tui.demo.probe import answer

    facts = parse(answer(host, ()), name="spark-1", taken=1_000.0, round_trip=0.1)
    (gpu,) = facts.gpus
    assert (gpu.memory_total, gpu.memory_used, gpu.utilisation, gpu.clock_mhz) == (None, None, 0.0, 208.0)
    assert facts.unified_memory
