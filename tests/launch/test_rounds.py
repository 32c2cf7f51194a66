"""A transfer that fails while the link is up counts as failed after a few rounds; one that lost its link does not."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest

from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchStatus, StepState
from sparkrun_tui.launch.run.parts.host_work import ROUNDS
from sparkrun_tui.remote.failures import TransferLost
from sparkrun_tui.remote.ports.models import Transfer
from tests.launch.fakes import SOLO, FakeCluster
from tests.launch.fakes.moving import FakeImages, FakeModels
from tests.launch.virtual import virtual_time

Moves = Callable[..., AsyncIterator[Transfer]]


def failing(rounds: list[str], before: Callable[[], object] = lambda: None) -> Moves:
    """A transfer that breaks off each time; `rounds` has an entry for each attempt."""

    async def move(self: object, *arguments: object) -> AsyncIterator[Transfer]:
        rounds.append("tried")
        yield Transfer(0, 100)
        before()
        raise TransferLost("the transfer broke off: Connection closed by UNKNOWN port 65535", host="spark-1")

    return move


@pytest.mark.parametrize("phase", [Phase.MODEL, Phase.IMAGE])
@virtual_time
async def test_a_transfer_that_fails_while_the_link_is_up_fails_the_launch(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, phase: Phase
) -> None:
    rounds: list[str] = []
    if phase is Phase.MODEL:
        monkeypatch.setattr(FakeModels, "ship", failing(rounds))
    else:
        cluster[1].images.clear()
        monkeypatch.setattr(FakeImages, "pull", failing(rounds))
    launch = cluster.begin(SOLO)
    state = await launch.wait_ended()
    assert state.status is LaunchStatus.FAILED
    assert len(rounds) == ROUNDS
    cell = state.hosts["spark-1"].cells[phase]
    assert cell.state is StepState.FAILED
    assert f"the transfer broke off: Connection closed by UNKNOWN port 65535 ({ROUNDS} times" in cell.detail
    assert cluster.remaining == [] and cluster[1].lease == ""


@virtual_time
async def test_a_transfer_whose_link_was_lost_goes_on_as_often_as_needed(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[str] = []
    real = FakeModels.ship

    def lose() -> None:
        cluster[1].lose(heal_after=5.0)

    async def ship(self: FakeModels, *arguments: object) -> AsyncIterator[Transfer]:
        move = failing(rounds, lose) if len(rounds) < 2 * ROUNDS else real
        async for moved in move(self, *arguments):
            yield moved

    monkeypatch.setattr(FakeModels, "ship", ship)
    launch = cluster.begin(SOLO)
    assert (await launch.wait_ready()).status is LaunchStatus.READY
    assert len(rounds) == 2 * ROUNDS
    await launch.stop()
