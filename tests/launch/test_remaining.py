"""The time that is left of a launch: from rates, from shares, and from the last time."""

from __future__ import annotations

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import (
    LaunchBegan,
    LaunchStatus,
    Progressed,
    StatusChanged,
    StepChanged,
    StepState,
)
from sparkrun_tui.launch.record.fold import fold_all
from sparkrun_tui.launch.record.remaining import Remaining, remaining
from sparkrun_tui.launch.record.state import LaunchState

BEFORE = {Phase.IMAGE: 100.0, Phase.MODEL: 200.0, Phase.START: 2.0, Phase.LOAD: 60.0, Phase.COMPILE: 40.0}
BEFORE_ALL = BEFORE | {Phase.CHECK: 1.0, Phase.GRAPHS: 20.0, Phase.READY: 5.0}


def after(*events: StepChanged | Progressed | StatusChanged) -> LaunchState:
    """A launch on two hosts that began at 0, after these events."""
    began = LaunchBegan(
        time=0.0,
        launch_id="l",
        recipe="r",
        engine="vllm",
        model="m",
        cluster="c",
        hosts=("a", "b"),
        port=1,
        settings={},
    )
    return fold_all([began, *events])


def step(host: str, phase: Phase, state: StepState, at: float) -> StepChanged:
    """A phase that changed."""
    return StepChanged(time=at, host=host, phase=phase, state=state)


def test_the_slowest_host_counts_and_image_and_model_are_brought_side_by_side() -> None:
    state = after(
        step("a", Phase.CHECK, StepState.OK, 1.0),
        step("b", Phase.CHECK, StepState.OK, 1.0),
        step("a", Phase.IMAGE, StepState.SKIPPED, 1.0),
        step("a", Phase.MODEL, StepState.SKIPPED, 1.0),
        Progressed(time=10.0, host="b", phase=Phase.IMAGE, done=50, total=100, rate=1.0, unit="B"),
        Progressed(time=10.0, host="b", phase=Phase.MODEL, done=100, total=400, rate=3.0, unit="B"),
    )
    assert remaining(state, BEFORE_ALL, 10.0) == Remaining(100.0 + 2 + 60 + 40 + 20 + 5, True)


def test_what_is_not_known_is_said_to_be_missing() -> None:
    state = after(Progressed(time=10.0, host="a", phase=Phase.MODEL, done=100, total=400, rate=3.0, unit="B"))
    assert remaining(state, {}, 10.0) == Remaining(100.0, False)


def test_without_a_rate_the_share_and_the_time_so_far_count() -> None:
    state = after(
        step("a", Phase.LOAD, StepState.RUNNING, 10.0),
        Progressed(time=30.0, host="a", phase=Phase.LOAD, done=1, total=4, rate=None, unit="shards"),
    )
    found = remaining(state, {}, 30.0)
    assert found is not None and found.seconds == 60.0


def test_a_phase_that_takes_longer_than_the_last_time_has_nothing_left() -> None:
    state = after(step("a", Phase.READY, StepState.RUNNING, 10.0), step("b", Phase.READY, StepState.RUNNING, 10.0))
    assert remaining(state, BEFORE_ALL, 12.0) == Remaining(3.0, True)
    assert remaining(state, BEFORE_ALL, 90.0) is None


def test_nothing_is_left_of_a_launch_that_serves() -> None:
    assert remaining(after(StatusChanged(time=9.0, status=LaunchStatus.READY)), BEFORE_ALL, 10.0) is None
    assert remaining(LaunchState(), BEFORE_ALL, 10.0) is None
