"""I1: a launch whose hosts cannot be asked, or were not asked since it began, is not said to have ended."""

from __future__ import annotations

import pytest

from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.fleet.model import FleetView, HostStatus
from sparkrun_tui.fleet.world import Whereabouts, World
from sparkrun_tui.remote.transport import LinkState, LinkStatus
from tests.launch.fakes import FakeCluster

HOSTS = ("spark-1", "spark-2")
SURVEY = 500.0


@pytest.fixture
def world() -> World:
    """A cluster that was surveyed, and on which nothing ran."""
    cluster = FakeCluster(*HOSTS)
    rows = []
    for number, name in enumerate(HOSTS, 1):
        rows.append(HostStatus(name, LinkStatus(LinkState.UP, 0.0), facts=cluster[number].facts))
    world = World.of(Cluster("lab", HOSTS))
    world.surveyed(FleetView("lab", SURVEY, tuple(rows), ()))
    return world


def test_what_a_later_survey_did_not_find_is_gone(world: World) -> None:
    assert world.whereabouts("abcd2345", HOSTS, SURVEY - 1) is Whereabouts.GONE


@pytest.mark.parametrize("state", [LinkState.RECONNECTING, LinkState.UNREACHABLE])
def test_a_lost_link_says_nothing(world: World, state: LinkState) -> None:
    world.linked("spark-2", state)
    assert world.whereabouts("abcd2345", HOSTS, SURVEY - 1) is Whereabouts.UNKNOWN
    world.linked("spark-2", LinkState.UP)
    assert world.whereabouts("abcd2345", HOSTS, SURVEY - 1) is Whereabouts.GONE


def test_a_survey_from_before_the_launch_says_nothing(world: World) -> None:
    assert world.whereabouts("abcd2345", HOSTS, SURVEY + 1) is Whereabouts.UNKNOWN
