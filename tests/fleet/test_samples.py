"""The figures over the last minutes: bounded, with gaps where nothing is known, by the times of the answers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.fleet.load import OLD
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.fleet.samples import GAP, KEPT, MOST, Figure, Point, Series
from sparkrun_tui.fleet.world import World
from sparkrun_tui.remote.probe.facts import Gpu, HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.launch.fakes import FakeCluster

LAUNCH = "abcd2345"
SPARK = Gpu("NVIDIA GB10", utilisation=61.0, power_watts=74.0, temperature=63.0, clock_mhz=2405.0)


def series(*points: tuple[float, float | None]) -> Series:
    made = Series()
    for when, value in points:
        made.add(when, value)
    return made


def test_points_are_kept_for_a_while_and_never_too_many() -> None:
    long = series(*((float(second), 1.0) for second in range(0, 3600, 5)))
    assert long.known[0].time >= 3595 - KEPT and long.known[-1] == Point(3595.0, 1.0)
    dense = series(*((second / 10, 1.0) for second in range(5 * MOST)))
    assert len(dense) == MOST


def test_a_point_that_is_not_newer_is_ignored_and_a_clock_that_was_set_back_begins_anew() -> None:
    made = series((1000.0, 1.0), (1000.0, 2.0), (995.0, 3.0))
    assert made.known == [Point(1000.0, 1.0)]
    made.add(1000.0 - GAP - 1, 4.0)
    assert made.known == [Point(1000.0 - GAP - 1, 4.0)]


def test_silence_and_long_pauses_are_gaps() -> None:
    made = series((0.0, 1.0), (10.0, 2.0), (20.0, None), (30.0, 3.0), (30.0 + GAP + 1, 4.0))
    assert made.runs() == [[(0.0, 1.0), (10.0, 2.0)], [(30.0, 3.0)], [(30.0 + GAP + 1, 4.0)]]


def test_columns_have_the_line_between_points_their_mean_and_nothing_in_gaps() -> None:
    made = series((0.0, 0.0), (40.0, 8.0), (50.0, None), (70.0, 6.0), (72.0, 8.0))
    assert made.columns(0.0, 80.0, 8) == [0.0, 3.0, 5.0, 7.0, 8.0, None, None, 7.0]
    assert made.columns(0.0, 40.0, 2) == [0.0, 8.0]
    assert series().columns(0.0, 10.0, 3) == [None, None, None]
    assert series((100.0, 5.0)).columns(0.0, 10.0, 2) == [None, None]


@pytest.fixture
def world(cluster: FakeCluster) -> World:
    return World.of(cluster.cluster)


def facts(cluster: FakeCluster, name: str, taken: float, free: float = 100, *gpus: Gpu) -> HostFacts:
    found = cluster[int(name[-1])].facts
    total, available = int(121 * GIB), int(free * GIB)
    return replace(found, name=name, memory_total=total, memory_available=available, taken=taken, gpus=gpus or (SPARK,))


def serving(name: str = LAUNCH) -> Workload:
    rank = WorkloadRank("spark-1", "id", "coder", 0, "solo", "running", 1.0)
    return Workload(name, "coder", "vllm", "acme/coder", "coder", 8000, (rank,), 1, Health.SERVING)


def view(taken: float, *found: HostFacts, down: str = "", workloads: tuple[Workload, ...] = ()) -> FleetView:
    up = LinkStatus(LinkState.UP, 1.0)
    hosts = [HostStatus(item.name, up, item) for item in found]
    if down:
        hosts.append(HostStatus(down, LinkStatus(LinkState.UNREACHABLE, 1.0, "no route")))
    return FleetView("lab", taken, tuple(hosts), workloads)


def test_a_survey_adds_a_point_to_each_figure_and_a_silent_host_is_a_gap(cluster: FakeCluster, world: World) -> None:
    world.surveyed(view(101, facts(cluster, "spark-1", 100.0)))
    world.surveyed(view(106, down="spark-1"))
    world.surveyed(view(111, facts(cluster, "spark-1", 110.0, 90)))
    memory = world.samples.of_host("spark-1", Figure.MEMORY)
    assert memory.runs() == [[(100.0, 21.0 * GIB)], [(110.0, 31.0 * GIB)]]
    for figure, value in ((Figure.GPU, 61), (Figure.POWER, 74), (Figure.TEMPERATURE, 63), (Figure.CLOCK, 2405)):
        assert world.samples.of_host("spark-1", figure).last == Point(110.0, value)
    # A Spark does not say what of its memory is its GPU's.
    assert world.samples.of_host("spark-1", Figure.GPU_MEMORY).known == []
    assert world.samples.oldest() == 100.0


def test_what_a_launch_measures_is_a_point_of_the_memory_alone(cluster: FakeCluster, world: World) -> None:
    world.surveyed(view(101, facts(cluster, "spark-1", 100.0)))
    world.memory_seen("spark-1", 50 * GIB, 102.0)
    assert world.samples.of_host("spark-1", Figure.MEMORY).last == Point(102.0, 71.0 * GIB)
    assert world.samples.of_host("spark-1", Figure.GPU).last == Point(100.0, 61.0)


def test_several_gpus_are_taken_together_and_one_that_is_silent_makes_a_sum_unknown(
    cluster: FakeCluster, world: World
) -> None:
    one = Gpu("A", "", 80 * GIB, 20.0, 100.0, 50.0, 1500.0, 10 * GIB)
    world.surveyed(view(101, facts(cluster, "spark-1", 100.0, 100, one, replace(one, utilisation=40.0))))
    got = {figure: world.samples.of_host("spark-1", figure).last for figure in Figure}
    assert got[Figure.GPU] == Point(100.0, 30.0) and got[Figure.POWER] == Point(100.0, 200.0)
    assert got[Figure.GPU_MEMORY] == Point(100.0, 20.0 * GIB)
    world.surveyed(view(106, facts(cluster, "spark-1", 105.0, 100, one, replace(one, power_watts=None))))
    assert world.samples.of_host("spark-1", Figure.POWER).last == Point(105.0, None)


def test_rates_are_by_the_times_of_the_readings_and_a_restart_is_a_gap(cluster: FakeCluster, world: World) -> None:
    for when, generated in ((100.0, 500.0), (110.0, 900.0), (120.0, 20.0), (130.0, 120.0)):
        world.surveyed(view(when - 1, facts(cluster, "spark-1", when - 2), workloads=(serving(),)))
        world.measured({LAUNCH: Metrics(when, 2.0, 1.0, 0.25, generated, 10 * generated)})
    rates = world.samples.of_server(LAUNCH, Figure.GENERATED)
    assert rates.runs() == [[(110.0, 40.0)], [(130.0, 10.0)]]
    assert world.samples.of_server(LAUNCH, Figure.PROMPTED).last == Point(130.0, 100.0)
    assert world.samples.of_server(LAUNCH, Figure.KV).last == Point(130.0, 25.0)
    assert len(world.samples.of_server(LAUNCH, Figure.RUNNING).runs()) == 1


def test_a_server_that_does_not_answer_is_a_gap_and_one_that_is_gone_is_forgotten(
    cluster: FakeCluster, world: World
) -> None:
    for when, readings in ((100.0, True), (110.0, False), (120.0, True)):
        world.surveyed(view(when - 1, facts(cluster, "spark-1", when - 2), workloads=(serving(),)))
        world.measured({LAUNCH: Metrics(when, 2.0)} if readings else {})
    assert world.samples.of_server(LAUNCH, Figure.RUNNING).runs() == [[(100.0, 2.0)], [(120.0, 2.0)]]
    world.surveyed(view(130, facts(cluster, "spark-1", 129.0)))
    assert len(world.samples.of_server(LAUNCH, Figure.RUNNING)) == 0


def test_a_gap_and_a_reading_that_is_too_old_for_a_rate_are_the_same() -> None:
    assert GAP == OLD
