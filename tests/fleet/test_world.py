"""The one picture of a cluster: what surveys, launches and stops make of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.base.units import GIB
from sparkrun_tui.fleet.metrics import Metrics
from sparkrun_tui.fleet.model import FleetView, Health, HostStatus, Workload, WorkloadRank
from sparkrun_tui.fleet.survey import survey
from sparkrun_tui.fleet.world import Seen, Whereabouts, World
from sparkrun_tui.remote.probe.facts import HostFacts
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.launch.fakes import SOLO, FakeCluster, rendered
from tests.launch.virtual import virtual_time

LAUNCH = "abcd2345"


def facts(cluster: FakeCluster, name: str, free: float, taken: float = 100.0) -> HostFacts:
    total = int(121 * GIB)
    available = int(free * GIB)
    found = cluster[int(name[-1])].facts
    return replace(found, name=name, memory_total=total, memory_available=available, taken=taken)


def workload(*hosts: str, launch_id: str = LAUNCH, health: Health = Health.SERVING, name: str = "coder") -> Workload:
    ranks = tuple(
        WorkloadRank(host, f"id{number}", f"c{number}", number, "head", "running", 1.0)
        for number, host in enumerate(hosts)
    )
    return Workload(launch_id, name, "vllm", "acme/coder", "coder", 8000, ranks, len(ranks), health)


def view(*found: HostFacts, workloads: tuple[Workload, ...] = (), down: tuple[str, ...] = ()) -> FleetView:
    up = LinkStatus(LinkState.UP, 1.0)
    hosts = [HostStatus(item.name, up, item) for item in found]
    hosts += [HostStatus(name, LinkStatus(LinkState.UNREACHABLE, 1.0, "no route", "Switch it on.")) for name in down]
    return FleetView("lab", 100.0, tuple(hosts), workloads)


@pytest.fixture
def world(cluster: FakeCluster) -> World:
    return World.of(cluster.cluster)


def test_nothing_is_known_at_first(world: World) -> None:
    assert [host.state for host in world.hosts.values()] == [Seen.UNKNOWN, Seen.UNKNOWN]
    assert not world.facts and world.oldest() is None and world.view is None
    assert world.whereabouts(LAUNCH, ("spark-1",)) is Whereabouts.UNKNOWN


def test_what_a_host_holds_more_than_an_idle_one_is_named_with_its_owner(cluster: FakeCluster, world: World) -> None:
    world.surveyed(
        view(
            facts(cluster, "spark-1", 33),
            facts(cluster, "spark-2", 34),
            workloads=(workload("spark-1", "spark-2"),),
        )
    )
    (holding,) = world.holdings()
    assert (holding.name, holding.hosts, holding.coming) == ("coder", ("spark-1", "spark-2"), False)
    assert holding.held == {"spark-1": 83 * GIB, "spark-2": 82 * GIB}
    assert world.holdings(["spark-2"]) == (holding,)


def test_of_two_workloads_on_one_host_it_is_not_known_who_holds_what(cluster: FakeCluster, world: World) -> None:
    both = (workload("spark-1"), workload("spark-1", launch_id="wxyz2345", name="small"))
    world.surveyed(view(facts(cluster, "spark-1", 33), facts(cluster, "spark-2", 116), workloads=both))
    assert [(holding.name, holding.most) for holding in world.holdings()] == [("coder", None), ("small", None)]
    assert not world.holdings(["spark-2"])


def test_of_two_workloads_the_driver_may_say_who_holds_what(cluster: FakeCluster, world: World) -> None:
    first, second = workload("spark-1"), workload("spark-1", launch_id="wxyz2345", name="small")
    small = replace(second, ranks=(replace(second.ranks[0], container_id="other"),))
    said = replace(facts(cluster, "spark-1", 33), gpu_held={"id0": 70 * GIB, "other": 9 * GIB})
    world.surveyed(view(said, facts(cluster, "spark-2", 116), workloads=(first, small)))
    assert [(holding.name, holding.most) for holding in world.holdings()] == [("coder", 70 * GIB), ("small", 9 * GIB)]


def test_what_ended_holds_nothing(cluster: FakeCluster, world: World) -> None:
    over = (workload("spark-1", health=Health.EXITED),)
    world.surveyed(view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116), workloads=over))
    assert not world.running and not world.holdings()
    assert world.whereabouts(LAUNCH, ("spark-1",)) is Whereabouts.ENDED


def test_verdicts_are_worked_out_again_when_memory_changed_and_not_for_every_reading(
    cluster: FakeCluster, world: World
) -> None:
    world.surveyed(view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116)))
    revision = world.revision
    world.surveyed(view(facts(cluster, "spark-1", 116.2, 101), facts(cluster, "spark-2", 115.8, 101)))
    assert world.revision == revision
    assert world.facts["spark-1"].memory_available == 116 * GIB and world.facts["spark-1"].taken == 101
    world.surveyed(view(facts(cluster, "spark-1", 33, 102), facts(cluster, "spark-2", 116, 102)))
    assert world.revision > revision
    assert world.facts["spark-1"].memory_available == 33 * GIB


def test_a_launch_takes_its_memory_in_the_picture_as_soon_as_it_begins(cluster: FakeCluster, world: World) -> None:
    world.surveyed(view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116)))
    revision = world.revision
    world.launched(LAUNCH, "coder", ("spark-1",), 80 * GIB)
    assert world.revision > revision
    assert world.facts["spark-1"].memory_available == 36 * GIB
    assert world.facts["spark-2"].memory_available == 116 * GIB
    (holding,) = world.holdings()
    assert (holding.coming, holding.held, holding.workload) == (True, {"spark-1": 80 * GIB}, None)
    # While it loads, its hosts have less and less; it is not counted twice.
    world.memory_seen("spark-1", 70 * GIB, 105)
    assert world.facts["spark-1"].memory_available == 36 * GIB
    world.launched("wxyz2345", "small", ("spark-1",), 20 * GIB)
    assert world.facts["spark-1"].memory_available == 16 * GIB
    world.settled("wxyz2345")
    world.settled(LAUNCH)
    assert world.facts["spark-1"].memory_available == 70 * GIB


def test_a_stop_takes_the_workload_out_of_the_picture(cluster: FakeCluster, world: World) -> None:
    world.surveyed(
        view(facts(cluster, "spark-1", 33), facts(cluster, "spark-2", 116), workloads=(workload("spark-1"),))
    )
    revision = world.revision
    world.stopped(LAUNCH)
    assert not world.running and world.revision > revision


def test_of_a_host_that_does_not_answer_nothing_is_known(cluster: FakeCluster, world: World) -> None:
    world.surveyed(view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116)))
    world.surveyed(view(facts(cluster, "spark-1", 116, 105), down=("spark-2",)))
    assert list(world.facts) == ["spark-1"]
    down = world.hosts["spark-2"]
    assert (down.state, down.problem, down.remedy) == (Seen.DOWN, "no route", "Switch it on.")
    assert world.whereabouts(LAUNCH, ("spark-1",)) is Whereabouts.GONE
    assert world.whereabouts(LAUNCH, ("spark-1", "spark-2")) is Whereabouts.UNKNOWN
    assert world.whereabouts(LAUNCH, ("elsewhere",)) is Whereabouts.UNKNOWN
    assert world.whereabouts(LAUNCH, ()) is Whereabouts.UNKNOWN


def test_where_docker_cannot_be_asked_it_is_not_known_what_runs(cluster: FakeCluster, world: World) -> None:
    denied = replace(facts(cluster, "spark-1", 116), docker_access="denied")
    world.surveyed(view(denied, facts(cluster, "spark-2", 116)))
    assert world.whereabouts(LAUNCH, ("spark-1",)) is Whereabouts.UNKNOWN


def test_a_lost_link_of_a_launch_is_seen_at_the_host(cluster: FakeCluster, world: World) -> None:
    world.surveyed(view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116)))
    states = []
    for link in ("reconnecting", "up"):
        world.linked("spark-1", link)
        states.append(world.hosts["spark-1"].state)
    assert states == [Seen.LOST, Seen.UP]
    world.linked("elsewhere", "up")


def test_a_link_that_is_being_made_again_is_seen_whoever_found_it(cluster: FakeCluster, world: World) -> None:
    both = view(facts(cluster, "spark-1", 116), facts(cluster, "spark-2", 116))
    world.asking()
    world.linked("spark-1", "reconnecting")
    assert world.hosts["spark-1"].state is Seen.LOST, "also while it is being asked"
    broken = LinkStatus(LinkState.RECONNECTING, 0.0, "the host ended the connection")
    rows = (replace(both.hosts[0], link=broken), HostStatus("spark-2", broken))
    world.surveyed(replace(both, hosts=rows))
    assert [world.hosts[name].state for name in ("spark-1", "spark-2")] == [Seen.LOST, Seen.LOST]
    assert list(world.facts) == ["spark-1"] and world.hosts["spark-2"].problem
    world.linked("spark-2", "up")
    assert (world.hosts["spark-2"].state, world.hosts["spark-2"].problem) == (Seen.ASKING, "")
    world.surveyed(both)
    assert [world.hosts[name].state for name in ("spark-1", "spark-2")] == [Seen.UP, Seen.UP]


def test_an_older_answer_does_not_replace_a_newer_one(cluster: FakeCluster, world: World) -> None:
    world.up(facts(cluster, "spark-1", 33, 200))
    world.up(facts(cluster, "spark-1", 116, 100))
    assert world.facts["spark-1"].memory_available == 33 * GIB
    assert world.oldest() == 200 and world.oldest(["spark-2"]) is None


def test_rates_are_those_between_two_readings(world: World) -> None:
    world.measured({LAUNCH: Metrics(100.0, generated=1000.0)})
    world.measured({LAUNCH: Metrics(110.0, generated=1500.0)})
    assert world.loads[LAUNCH].tokens_per_second == 50.0


@virtual_time
async def test_a_survey_tells_of_each_host_and_leaves_out_those_it_should(cluster: FakeCluster) -> None:
    launcher = cluster.launcher()
    launch = launcher.launch(launcher.plan(rendered(SOLO), cluster.cluster))
    await launch.wait_ready()
    told: list[str] = []
    found = await survey(
        cluster.cluster, cluster.services, lambda status: told.append(status.name), frozenset({"spark-2"})
    )
    assert told == ["spark-1"]
    world = World.of(cluster.cluster)
    world.surveyed(found)
    assert world.whereabouts(launch.launch_id, ("spark-1",)) is Whereabouts.RUNS
    assert world.hosts["spark-2"].state is Seen.UNKNOWN
    await launch.stop()
    world.surveyed(await survey(cluster.cluster, cluster.services))
    assert world.whereabouts(launch.launch_id, ("spark-1",)) is Whereabouts.GONE
