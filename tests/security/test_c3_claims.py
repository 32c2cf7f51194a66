"""C3: a container that leaves out its rank takes no other's place by it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.fleet.grouping import FoundContainer, group
from sparkrun_tui.fleet.model import Health
from sparkrun_tui.remote.docker.types import ContainerInfo

REAL = {"launch": "abcd2345", "rank": "0", "nodes": "1", "hosts": "spark-1", "port": "8000", "recipe": "r"}


def container(host: str, name: str, state: str = "running", **labels: str) -> FoundContainer:
    given = {f"{LABEL}{key}": value for key, value in {**REAL, **labels}.items()}
    return FoundContainer(host, ContainerInfo(f"id-{name}", name, "image", state, given, started=1.0))


@pytest.mark.parametrize("rank", ["", "-1", "x", "9" * 30])
@pytest.mark.parametrize("host", ["spark-1", "spark-3"])
@pytest.mark.parametrize("first", [True, False])
def test_one_without_a_rank_does_not_serve_for_one_that_ended(rank: str, host: str, first: bool) -> None:
    ours = container("spark-1", "ours", "exited")
    evil = container(host, "evil", rank=rank, port="6666")
    (workload,) = group([evil, ours] if first else [ours, evil])
    assert (workload.health, workload.port) == (Health.UNKNOWN, None)
    assert "one of them is not of this launch" in workload.detail


def test_containers_of_other_tools_carry_no_rank() -> None:
    pair = [container(host, host, rank="", hosts="spark-1,spark-2", nodes="2") for host in ("spark-2", "spark-1")]
    (workload,) = group(pair)
    assert workload.health is Health.STARTING and [rank.host for rank in workload.ranks] == ["spark-1", "spark-2"]
    (workload,) = group([replace(item, host=f"ada@{item.host}") for item in pair])
    assert workload.health is not Health.UNKNOWN and workload.port == 8000
