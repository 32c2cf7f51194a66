"""Faults at every point of a launch: no step runs before its needs, every begun step ends, and nothing is left."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.record.fold import FINAL
from sparkrun_tui.launch.run.launch import Launch
from tests.launch.fakes import RAY_TWO, SGLANG_TWO, FakeCluster, FakeContainer, FakeHost, rendered
from tests.launch.virtual import VirtualLoop

_verbs = st.sampled_from(["pull", "ship", "create", "upload", "start", "exec"])
_moments = st.floats(0.0, 20.0)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    text=st.sampled_from([SGLANG_TWO, RAY_TWO]),
    count=st.integers(2, 4),
    cold=st.booleans(),
    refused=st.lists(st.tuples(st.integers(0, 3), _verbs), max_size=2),
    replies=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["create", "start", "exec"])), max_size=3),
    cuts=st.lists(st.tuples(st.integers(0, 3), _moments, st.floats(0.1, 60.0)), max_size=4),
    deaths=st.lists(st.tuples(st.integers(0, 3), _moments), max_size=1),
    cancel=st.none() | _moments,
)
def test_order_and_ends(text: str, count: int, cold: bool, cancel: float | None, **faults: Any) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(_story(text, count, cold, cancel, **faults))


async def _story(
    text: str,
    count: int,
    cold: bool,
    cancel: float | None,
    refused: list[tuple[int, str]],
    replies: list[tuple[int, str]],
    cuts: list[tuple[int, float, float]],
    deaths: list[tuple[int, float]],
) -> None:
    cluster = FakeCluster(*(f"spark-{number + 1}" for number in range(count)))
    hosts = list(cluster.hosts.values())
    trace: list[tuple[int, str]] = []
    for number, host in enumerate(hosts):
        host.actions = _Traced(trace, number)  # type: ignore[assignment]
        if cold:
            host.images.clear()
        if text is RAY_TWO:
            host.program = _idle
    for number, verb in refused:
        hosts[number % count].refuse[verb] = "refused"
    for number, verb in replies:
        hosts[number % count].lose_during[verb] = 1
    background = [asyncio.create_task(_cut(hosts[n % count], at, length)) for n, at, length in cuts]
    background += [asyncio.create_task(_kill(hosts[n % count], at)) for n, at in deaths]
    launcher = cluster.launcher()
    recipe = rendered(text.replace("min_nodes: 2", f"min_nodes: {count}"), tensor_parallel=str(count))
    launch = launcher.launch(launcher.plan(recipe, cluster.cluster))
    if cancel is not None:
        await asyncio.sleep(cancel)
        launch.cancel()
        state = await launch.wait_ended()
    else:
        state = await launch.wait_ready()
        await asyncio.sleep(80)
        state = await launch.stop()
    await asyncio.gather(*background)

    await _check_end(cluster, launch)
    _check_order(trace, count, cold, text)
    if cancel is None and not (refused or cuts or deaths):
        assert state.status is LaunchStatus.STOPPED


async def _check_end(cluster: FakeCluster, launch: Launch) -> None:
    """Every step has ended, nothing is left on hosts that could be asked, and no task of the launch still runs."""
    state = launch.state
    assert state.status in FINAL
    running = [cell for row in state.hosts.values() for cell in row.cells.values() if cell.state is StepState.RUNNING]
    assert running == [], "every step that began has ended"
    if not any("may be left" in notice.text for notice in state.notices):
        assert cluster.remaining == []
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    await asyncio.sleep(0.01)
    assert [task for task in others if not task.done() and task.get_name().startswith(("launch", "log", "lease"))] == []


def _check_order(trace: list[tuple[int, str]], count: int, cold: bool, text: str) -> None:
    """On the shared time line: images and models everywhere, then containers, workers after the head, then the exec."""
    first = {verb: [at for at, (_, action) in enumerate(trace) if action.startswith(verb)] for verb in
             ("pull", "ship", "create", "start", "exec")}  # fmt: skip
    if first["create"]:
        before = [action.split()[0] for _, action in trace[: first["create"][0]]]
        assert before.count("ship") == count
        if cold:
            assert before.count("pull") == count
    for number in range(count):
        mine = [action.split()[0] for host, action in trace if host == number]
        if "start" in mine:
            assert mine.index("create") < mine.index("upload") < mine.index("start")
        assert mine.count("create") <= 1 and mine.count("exec") <= 1
    if text is RAY_TWO and first["create"]:
        assert trace[first["create"][0]][0] == 0, "the head is made before any worker"
        if first["exec"]:
            assert len({host for host, action in trace[: first["exec"][0]] if action.startswith("start")}) == count


class _Traced(list[str]):
    """A host's actions, also on the time line of all hosts."""

    def __init__(self, trace: list[tuple[int, str]], number: int) -> None:
        super().__init__()
        self._trace = trace
        self._number = number

    def append(self, action: str) -> None:
        super().append(action)
        self._trace.append((self._number, action))


async def _idle(host: FakeHost, container: FakeContainer) -> int:
    await asyncio.sleep(10_000_000)
    return 0


async def _cut(host: FakeHost, at: float, length: float) -> None:
    await asyncio.sleep(at)
    host.lose(heal_after=length)
    await asyncio.sleep(length)
    host.heal()


async def _kill(host: FakeHost, at: float) -> None:
    await asyncio.sleep(at)
    for container in list(host.containers.values()):
        host.end(container, 137)
