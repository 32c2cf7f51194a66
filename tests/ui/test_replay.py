"""An earlier launch that happens once more in the app: phases and logs move on in its own time."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from sparkrun_tui.base.secrets import Redactor
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.engines.plan import Phase
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged, StepChanged, StepState
from sparkrun_tui.launch.record.journal import Journal, launch_folder
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.ui.model.backend import LocalBackend

from .conftest import Pilots, lines_with, press, settle
from .fakes import FakeBackend


def recorded() -> None:
    """A launch of a minute, a year ago."""
    began = time.time() - 3e7
    journal = Journal(launch_folder("abcd2345"), Redactor(), hosts=1)
    journal.event(
        LaunchBegan(
            launch_id="abcd2345",
            recipe="tiny",
            engine="vllm",
            model="m",
            cluster="den",
            hosts=("spark-1",),
            port=8000,
            time=began,
        )
    )
    journal.event(StepChanged(host="spark-1", phase=Phase.LOAD, state=StepState.RUNNING, time=began + 1))
    journal.log("spark-1", [LogLine(began + 2, "stdout", "the weights come")])
    journal.event(StepChanged(host="spark-1", phase=Phase.LOAD, state=StepState.OK, time=began + 31))
    journal.event(StatusChanged(status=LaunchStatus.STOPPED, time=began + 61))
    journal.close()


async def test_a_replay_moves_on_in_its_own_time(private_home: Path) -> None:
    recorded()
    backend = LocalBackend(Settings())
    (past,) = backend.history()
    launch = await backend.replay(past)
    assert launch.state.status is LaunchStatus.STARTING and launch.revision == 0
    await asyncio.sleep(0.6)
    assert launch.state.hosts["spark-1"].cells[Phase.LOAD].state is StepState.RUNNING
    assert [line.text for line in launch.logs["spark-1"].since(0)] == ["the weights come"]
    await asyncio.sleep(4.0)
    assert launch.state.status is LaunchStatus.STOPPED
    text, path = await backend.report(await backend.recorded(past))
    assert text == await asyncio.to_thread(Path(path).read_text) and "# tiny: stopped" in text
    await backend.close()


async def test_the_screen_counts_in_the_time_of_the_replay(
    open_app: Pilots, backend: FakeBackend, private_home: Path
) -> None:
    recorded()
    real = LocalBackend(Settings())
    (past,) = real.history()
    launch = await real.replay(past)
    async with open_app((100, 30)) as pilot:
        pilot.app.open_launch(launch, past)
        await settle(pilot)
        await asyncio.sleep(5.0)
        await press(pilot, "G")
        await settle(pilot)
        assert lines_with(pilot, "the weights come")
        assert not lines_with(pilot, " d ")
        await press(pilot, "x")
        await settle(pilot)
        assert any("press f to see what runs" in note.message for note in pilot.app._notifications)
    await real.close()
