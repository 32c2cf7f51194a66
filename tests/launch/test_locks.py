"""Leases as the real shell of a host keeps them."""

from __future__ import annotations

import json
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.launch import locks
from sparkrun_tui.launch.bus import Bus
from sparkrun_tui.launch.context import Context
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import SGLANG_TWO, FakeCluster, FakeTransport, rendered


class _Shell(FakeTransport):
    """Runs scripts with this machine's `sh`, in a home folder per host."""

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        home = HOMES / self.name
        home.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(  # noqa: ASYNC221
            ["sh", "-c", script],
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        return Result(Outcome.EXITED, done.returncode, done.stdout, done.stderr)


HOMES = Path()


@pytest.fixture(autouse=True)
def homes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.HOMES", tmp_path)


def context(cluster: FakeCluster) -> Context:
    desk = cluster.desk()
    services = replace(desk.services, connector=lambda name: _Shell(cluster.hosts[name]))
    return Context(desk.plan(rendered(SGLANG_TWO), cluster.cluster), services, Bus(lambda: 0.0, Redactor()))


def lease(host: str) -> Path:
    return HOMES / host / ".cache/sparkrun-tui/lock"


async def test_a_lease_is_taken_on_all_hosts_and_given_back(cluster: FakeCluster) -> None:
    mine = context(cluster)
    await locks.acquire(mine)
    owner = json.loads((lease("spark-1") / "owner.json").read_text())
    assert owner["launch"] == mine.plan.launch_id
    await locks.release(mine)
    assert not lease("spark-1").exists() and not lease("spark-2").exists()
    await locks.release(mine)


async def test_asking_again_after_a_lost_reply_keeps_it(cluster: FakeCluster) -> None:
    mine = context(cluster)
    await locks.acquire(mine)
    await locks.acquire(mine)
    await locks.release(mine)


async def test_the_loser_is_told_whose_it_is_and_holds_nothing(cluster: FakeCluster) -> None:
    first, second = context(cluster), context(cluster)
    lease("spark-2").mkdir(parents=True)
    (lease("spark-2") / "owner.json").write_text(json.dumps({"launch": first.plan.launch_id, "user": "ann@desk"}))
    (lease("spark-2") / "renewed").write_text(str(int(time.time())))
    with pytest.raises(LaunchError, match=r"ann@desk") as error:
        await locks.acquire(second)
    assert error.value.host == "spark-2"
    assert not lease("spark-1").exists()
    assert lease("spark-2").exists()


async def test_a_lease_that_was_given_up_is_taken_over(cluster: FakeCluster) -> None:
    lease("spark-1").mkdir(parents=True)
    (lease("spark-1") / "owner.json").write_text(json.dumps({"launch": "gone2345", "user": "ann@desk"}))
    (lease("spark-1") / "renewed").write_text("1000")
    mine = context(cluster)
    await locks.acquire(mine)
    assert mine.bus.state.notices[0].text == "took over the lease of launch gone2345, which was given up"
    await locks.release(mine)


async def test_an_old_lease_whose_launch_still_runs_is_left_to_it(cluster: FakeCluster) -> None:
    lease("spark-1").mkdir(parents=True)
    (lease("spark-1") / "owner.json").write_text(json.dumps({"launch": "alive234", "user": "ann@desk"}))
    (lease("spark-1") / "renewed").write_text("1000")
    mine = context(cluster)
    docker = mine.docker("spark-1")
    identity = await docker.create("x", {"Image": "i", "Labels": {"io.sparkrun-tui.launch": "alive234"}})
    await docker.start(identity)
    with pytest.raises(LaunchError, match="alive234"):
        await locks.acquire(mine)
    await docker.kill(identity)


async def test_a_home_that_cannot_be_written_is_told_with_the_shells_words(cluster: FakeCluster) -> None:
    (HOMES / "spark-1").mkdir()
    (HOMES / "spark-1" / ".cache").write_text("a file in the way")
    with pytest.raises(HostError, match=r"cannot write to ~/\.cache/sparkrun-tui"):
        await locks.acquire(context(cluster))
