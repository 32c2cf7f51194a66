"""Leases as the real shell of a host keeps them."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import HostError, LaunchError
from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.launch.record.bus import Bus
from sparkrun_tui.launch.run.parts import owner
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.leases import Leases
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.remote.transport import Outcome, Result
from tests.launch.fakes import SGLANG_TWO, FakeCluster, FakeTransport, rendered


class _Shell(FakeTransport):
    """Runs scripts with this machine's `sh`, in a home folder per host."""

    async def run(self, script: str, *, stdin: bytes = b"", timeout: float = 60.0) -> Result:
        home = HOMES / self.name
        home.mkdir(parents=True, exist_ok=True)
        done = await asyncio.to_thread(
            subprocess.run,
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


@dataclass(frozen=True)
class Holder:
    """One launch that wants leases."""

    given: Given
    bus: Bus
    leases: Leases

    @property
    def launch_id(self) -> str:
        return self.given.plan.launch_id


def holder(cluster: FakeCluster) -> Holder:
    launcher = cluster.launcher()
    services = replace(launcher.services, connector=lambda name: _Shell(cluster.hosts[name]))
    given, bus = Given(launcher.plan(rendered(SGLANG_TWO), cluster.cluster), services), Bus(lambda: 0.0, Redactor())
    return Holder(given, bus, Leases(given, Reporter(bus)))


def lease(host: str) -> Path:
    return HOMES / host / ".cache/sparkrun-tui/lock"


async def test_a_lease_is_taken_on_all_hosts_and_given_back(cluster: FakeCluster) -> None:
    mine = holder(cluster)
    await mine.leases.acquire()
    owner = json.loads((lease("spark-1") / "owner.json").read_text())
    assert owner["launch"] == mine.launch_id
    await mine.leases.release()
    assert not lease("spark-1").exists() and not lease("spark-2").exists()
    await mine.leases.release()


async def test_asking_again_after_a_lost_reply_keeps_it(cluster: FakeCluster) -> None:
    mine = holder(cluster)
    await mine.leases.acquire()
    await mine.leases.acquire()
    await mine.leases.release()


async def test_the_loser_learns_the_owner_and_holds_nothing(cluster: FakeCluster) -> None:
    first, second = holder(cluster), holder(cluster)
    lease("spark-2").mkdir(parents=True)
    (lease("spark-2") / "owner.json").write_text(json.dumps({"launch": first.launch_id, "user": "ann@desk"}))
    (lease("spark-2") / "renewed").write_text(str(int(time.time())))
    held_by = r"by ann@desk \(its lease ends in (2:00|1:5\d) unless it is renewed\)"
    with pytest.raises(LaunchError, match=held_by) as error:
        await second.leases.acquire()
    assert error.value.host == "spark-2"
    assert not lease("spark-1").exists()
    assert lease("spark-2").exists()


async def test_a_lease_that_was_given_up_is_taken_over(cluster: FakeCluster) -> None:
    lease("spark-1").mkdir(parents=True)
    (lease("spark-1") / "owner.json").write_text(json.dumps({"launch": "gone2345", "user": "ann@desk"}))
    (lease("spark-1") / "renewed").write_text("1000")
    mine = holder(cluster)
    await mine.leases.acquire()
    assert mine.bus.state.notices[0].text == "took over the lease of launch gone2345, which has expired"
    await mine.leases.release()


def killed_owner(launch: str, **changes: object) -> str:
    """The owner of a lease whose process on this machine has ended."""
    ended = subprocess.Popen(["true"])
    ended.wait()
    return json.dumps({**owner.describe(launch), "pid": ended.pid, "began": "1", **changes})


def held(host: str, by: str) -> None:
    lease(host).mkdir(parents=True)
    (lease(host) / "owner.json").write_text(by)
    (lease(host) / "renewed").write_text(str(int(time.time())))


async def test_the_lease_of_a_program_killed_here_is_taken_at_once(cluster: FakeCluster) -> None:
    held("spark-1", killed_owner("dead2345"))
    mine = holder(cluster)
    await mine.leases.acquire()
    notice = "took over the lease of launch dead2345, whose program was killed on this machine"
    assert [item.text for item in mine.bus.state.notices] == [notice]
    assert json.loads((lease("spark-1") / "owner.json").read_text())["launch"] == mine.launch_id
    await mine.leases.release()


@pytest.mark.parametrize(
    "changes", [{"user": "ann@desk"}, {"machine": "another boot"}, {"pid": "1"}, {"pid": os.getpid(), "began": ""}]
)
async def test_what_may_live_elsewhere_keeps_its_lease(cluster: FakeCluster, changes: dict[str, object]) -> None:
    held("spark-1", killed_owner("dead2345", **changes))
    with pytest.raises(LaunchError, match="dead2345"):
        await holder(cluster).leases.acquire()


async def test_a_launch_of_this_process_is_alive(cluster: FakeCluster) -> None:
    first, second = holder(cluster), holder(cluster)
    await first.leases.acquire()
    with pytest.raises(LaunchError, match=first.launch_id):
        await second.leases.acquire()
    await first.leases.release()


async def test_a_lease_made_by_a_program_killed_before_it_wrote_its_name_runs_out(cluster: FakeCluster) -> None:
    lease("spark-1").mkdir(parents=True)
    os.utime(lease("spark-1"), (1000, 1000))
    mine = holder(cluster)
    await mine.leases.acquire()
    await mine.leases.release()


async def test_of_many_that_want_one_lease_one_gets_it(cluster: FakeCluster) -> None:
    held("spark-1", killed_owner("dead2345"))
    all_of_us = [holder(cluster) for _ in range(8)]
    results = await asyncio.gather(*(one.leases.acquire() for one in all_of_us), return_exceptions=True)
    winners = [one for one, result in zip(all_of_us, results, strict=True) if result is None]
    assert len(winners) == 1
    # On a busy machine the winner may not have written its name by then: who that is stays unknown.
    assert all(isinstance(result, LaunchError) for result in results if result is not None)
    await winners[0].leases.release()


@pytest.mark.parametrize("by", ["expired", "killed here"])
async def test_a_lease_that_outlived_its_launcher_does_not_lock_a_host_that_serves(
    cluster: FakeCluster, by: str
) -> None:
    if by == "expired":
        held("spark-1", json.dumps({"launch": "alive234", "user": "ann@desk"}))
        (lease("spark-1") / "renewed").write_text("1000")
    else:
        held("spark-1", killed_owner("alive234"))
    mine = holder(cluster)
    docker = mine.given.docker("spark-1")
    identity = await docker.create("x", {"Image": "i", "Labels": {"io.sparkrun-tui.launch": "alive234"}})
    await docker.start(identity)
    await mine.leases.acquire()
    await mine.leases.release()
    await docker.kill(identity)


async def test_a_lease_that_cannot_be_made_is_not_called_held(cluster: FakeCluster) -> None:
    """As in a home that was remounted read-only, or is full, after an earlier launch."""
    lease("spark-1").parent.mkdir(parents=True)
    lease("spark-1").write_text("in the way")
    with pytest.raises(HostError, match=r"cannot write to ~/\.cache/sparkrun-tui: mkdir"):
        await holder(cluster).leases.acquire()


async def test_a_home_that_cannot_be_written_is_reported_with_the_shells_words(cluster: FakeCluster) -> None:
    (HOMES / "spark-1").mkdir()
    (HOMES / "spark-1" / ".cache").write_text("a file in the way")
    with pytest.raises(HostError, match=r"cannot write to ~/\.cache/sparkrun-tui"):
        await holder(cluster).leases.acquire()
