"""What is said of a start that prints nothing: loading, compiling, waiting for a rank, hung, with a way to stop it."""

from __future__ import annotations

import asyncio

import pytest

from sparkrun_tui.base.units import MIB
from sparkrun_tui.engines.logs.waits import Wait, wait_in
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import STOP, LaunchStatus, Noticed, StepChanged
from sparkrun_tui.launch.run.launch import Launch
from sparkrun_tui.launch.run.silence import RankSeen, Verdict, judge
from sparkrun_tui.remote.probe.activity import Activity
from tests.launch.fakes import SGLANG_TWO, SOLO, FakeCluster, FakeContainer, FakeHost
from tests.launch.virtual import virtual_time
from tests.support.counters import counters

IDLE = Activity(0.0, 0.0, 0.0, 0.0)
READING = Activity(0.2, 212 * MIB, 0.0, 0.0)
SPINNING = Activity(1.0, 0.0, 0.0, 99.0)
NVCC = Activity(4.0, 0.0, 0.0, 0.0, ("nvcc", "cicc"))


def rank(number: int, activity: Activity | None, phase: Phase | None = Phase.LOAD, **more: object) -> RankSeen:
    return RankSeen(number, f"spark-{number + 1}", phase, activity=activity, **more)


@pytest.mark.parametrize(
    ("ranks", "verdict", "behind", "words"),
    [
        ([rank(0, READING)], Verdict.LOADING, None, "loading (212.0 MiB/s from its disk) on spark-1"),
        ([rank(0, NVCC, Phase.START)], Verdict.COMPILING, None, "compiling (nvcc, cicc) on spark-1"),
        ([rank(0, SPINNING, Phase.GRAPHS)], Verdict.COMPILING, None, "compiling (1.0 cores busy, GPU 99 %)"),
        ([rank(0, SPINNING, Phase.START)], Verdict.WORKING, None, "working"),
        ([rank(0, None)], Verdict.QUIET, None, "not known"),
        ([rank(0, IDLE, last="Loading x")], Verdict.QUIET, None, 'nothing moves on spark-1; its last line: "Loading'),
        (
            [rank(0, IDLE), rank(1, READING)],
            Verdict.WAITING,
            1,
            "rank 0 on spark-1 waits for rank 1 on spark-2, which is loading (212.0 MiB/s from its disk)",
        ),
        ([rank(0, NVCC, Phase.COMPILE), rank(1, IDLE, Phase.COMPILE)], Verdict.WAITING, 0, "waits for rank 0"),
        ([rank(0, READING), rank(1, READING, Phase.START)], Verdict.LOADING, 1, "rank 1 on spark-2 is behind: loading"),
        ([rank(0, IDLE), rank(1, IDLE, None, began=False)], Verdict.WAITING, 1, "rank 1 on spark-2 is behind"),
        (
            [rank(0, IDLE, Phase.START, wait=Wait("the port of the first rank does not answer")), rank(1, IDLE)],
            Verdict.WAITING,
            0,
            "the port of the first rank does not answer",
        ),
    ],
)  # fmt: skip
def test_the_verdict_names_what_is_done_and_who_is_behind(
    ranks: list[RankSeen], verdict: Verdict, behind: int | None, words: str
) -> None:
    found = judge(ranks)
    assert (found.verdict, found.behind, found.stop) == (verdict, behind, False)
    assert words in found.text


def test_what_does_not_move_for_long_is_hung_and_can_be_stopped() -> None:
    found = judge([rank(0, IDLE), rank(1, IDLE, Phase.START)], idle_for=150.0)
    assert (found.verdict, found.behind, found.stop) == (Verdict.HUNG, 1, True)
    assert "hung: CPU, GPU, network and disk of spark-1 and spark-2 have done nothing for 2:30" in found.text
    assert "rank 1 on spark-2 is behind" in found.text
    # What is busy is never hung.
    assert not judge([rank(0, IDLE), rank(1, READING)], idle_for=900.0).stop


@pytest.mark.parametrize(
    ("line", "words", "hopeless"),
    [
        (
            "(autoscaler +15s) Error: No available node types can fulfill resource request {'GPU': 1.0}.",
            "Ray has no host",
            True,
        ),
        (
            "INFO 01-01 [ray_utils.py:1] Waiting for creating a placement group of specs for 10 seconds.",
            "placed",
            False,
        ),
        ("(APIServer pid=1) INFO Waiting for 1 local, 0 remote core engine proc(s) to start.", "the engine", False),
        ("INFO No available shared memory broadcast block found in 60 seconds.", "a rank waits", False),
        ("[W] [c10d] The client socket has timed out after 600s while trying to connect", "first rank", False),
    ],
)
def test_lines_that_are_said_again_and_again_are_no_news(line: str, words: str, hopeless: bool) -> None:
    wait = wait_in(line)
    assert wait is not None and words in wait.words and wait.hopeless is hopeless


def test_other_lines_are_news() -> None:
    for line in ("Loading safetensors checkpoint shards: 20% Completed | 1/5", "Waiting for application startup.", ""):
        assert wait_in(line) is None


# In a launch.


def notices(launch: Launch) -> list[Noticed]:
    return [notice for notice in launch.state.notices if notice.text.startswith("no news for")]


async def silent(host: FakeHost, container: FakeContainer) -> int:
    """An engine that begins to load, prints nothing for long, then serves."""
    host.say(container, "INFO 01-01 00:00:00 [x.py:1] Starting to load model org/tiny...")
    await asyncio.sleep(400)
    host.say(container, "INFO 01-01 00:06:40 [x.py:1] Loading weights took 400.00 seconds")
    if int(container.info.labels["io.sparkrun-tui.rank"]) == 0:
        host.open(int(container.info.labels["io.sparkrun-tui.port"]), container.info.labels["io.sparkrun-tui.served"])
    await asyncio.sleep(1e6)
    return 0


@virtual_time
async def test_a_silent_load_is_said_to_load_once(cluster: FakeCluster) -> None:
    cluster[1].program, cluster[1].activity = silent, counters(disk=212)
    launch = cluster.begin(SOLO)
    state = await launch.wait_ready()
    assert state.status is LaunchStatus.READY
    (notice,) = notices(launch)
    assert notice.text.startswith("no news for 1:3") and "loading (212.0 MiB/s from its disk) on spark-1" in notice.text
    assert (notice.level, notice.offers) == ("note", "")
    await launch.stop()
    details = [event.detail async for event in launch.events() if isinstance(event, StepChanged)]
    assert any(detail.startswith("loading, no news for ") for detail in details)


@virtual_time
async def test_the_rank_that_is_behind_is_named(cluster: FakeCluster) -> None:
    for number, moved in ((1, counters(cores=0.0)), (2, counters(disk=212))):
        cluster[number].program, cluster[number].activity = silent, moved
    launch = cluster.begin(SGLANG_TWO)
    await launch.wait_ready()
    (notice,) = notices(launch)
    assert "rank 0 on spark-1 waits for rank 1 on spark-2, which is loading" in notice.text
    assert notice.host == "spark-2"
    await launch.stop()


@virtual_time
async def test_a_hung_start_offers_to_stop_and_is_stopped(cluster: FakeCluster) -> None:
    async def hang(host: FakeHost, container: FakeContainer) -> int:
        host.say(container, "INFO 01-01 00:00:00 [x.py:1] Starting to load model org/tiny...")
        await asyncio.sleep(1e6)
        return 0

    cluster[1].program, cluster[1].activity = hang, counters()
    launch = cluster.begin(SOLO)
    await asyncio.sleep(400)
    assert launch.state.notices[-1].offers == STOP
    quiet, hung = notices(launch)
    assert "nothing moves on spark-1; its last line:" in quiet.text
    assert "hung: CPU, GPU, network and disk of spark-1" in hung.text and hung.level == "warning"
    assert f"To stop it: sparkrun-tui stop {launch.launch_id}" in hung.text
    assert launch.state.status is LaunchStatus.STARTING
    launch.cancel()
    assert (await launch.wait_ended()).status is LaunchStatus.CANCELLED
    assert cluster.remaining == []


@virtual_time
async def test_ray_that_waits_for_gpus_is_no_sign_of_life(cluster: FakeCluster) -> None:
    async def starve(host: FakeHost, container: FakeContainer) -> int:
        while True:
            host.say(
                container, "(autoscaler +15s) Error: No available node types can fulfill resource request {'GPU': 1}"
            )
            await asyncio.sleep(15)

    cluster[1].program, cluster[1].activity = starve, counters(cores=1.0)
    launch = cluster.begin(SOLO)
    await asyncio.sleep(200)
    (notice,) = notices(launch)
    assert "Ray has no host with the GPUs that are asked for" in notice.text and notice.offers == STOP
    await launch.stop()


@virtual_time
async def test_a_start_that_prints_is_left_alone(cluster: FakeCluster) -> None:
    launch = cluster.begin(SOLO)
    await launch.wait_ready()
    assert notices(launch) == []
    await launch.stop()
