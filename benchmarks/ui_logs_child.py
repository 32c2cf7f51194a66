"""The app with eight logs that are fed at a given rate: `python -m benchmarks.ui_logs_child RATE [FILE]`.

With FILE it ends after some seconds, and writes there how long each turn of its event loop took, in CPU seconds: a key
waits for the rest of the turn in which it comes. Other work on the machine changes little of that.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from textual.binding import Binding

from benchmarks.quiet import QuietBackend
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.launch.record.events import LaunchBegan
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.widgets.text_pane import TextPane

HOSTS = tuple(f"spark-{number}" for number in range(1, 9))


class Measured(LaunchScreen):
    """The launch screen, and a line that counts a key, so that its answer can be seen."""

    BINDINGS = [Binding("z", "count", "count")]
    count = 0

    def on_mount(self) -> None:
        """Add the line."""
        self.echo = TextPane(lambda width: [[(f"pressed({self.count})", "")]])
        self.echo.styles.height = 1
        self.echo.styles.dock = "bottom"
        self.mount(self.echo)

    def action_count(self) -> None:
        """Count."""
        self.count += 1
        self.echo.repaint()


class Fed(SparkrunApp):
    """The app, and a task that prints."""

    def __init__(self, rate: int) -> None:
        backend: Any = QuietBackend()
        super().__init__(Session(Settings(clusters=(Cluster("lab", HOSTS),)), backend=backend))
        self.rate = rate
        self.buffers = {host: LogBuffer() for host in HOSTS}

    def on_mount(self) -> None:
        """Come after the first screen."""
        self.set_timer(0.5, self.show)

    def show(self) -> None:
        """Show the launch and begin to print."""
        began = LaunchBegan(
            launch_id="bench", recipe="bench", engine="vllm", model="m", cluster="lab", hosts=HOSTS, port=8000
        )
        launch: Any = SimpleNamespace(
            launch_id="bench", state=fold(LaunchState(), began), revision=1, logs=self.buffers, rendered=None
        )
        self.push_screen(Measured(launch))
        self.run_worker(self.feed(), group="feed")

    async def feed(self) -> None:
        """Print `rate` lines a second, spread over all hosts."""
        count, start = 0, time.monotonic()
        while self.rate:
            await asyncio.sleep(0.01)
            share = max((int((time.monotonic() - start) * self.rate) - count) // len(HOSTS), 0)
            now = time.time()
            for host in HOSTS:
                texts = (f"{host} INFO worker printed line {count + n} of a busy start" for n in range(share))
                self.buffers[host].extend([LogLine(now, "stdout", text) for text in texts])
            count += share * len(HOSTS)


_SETTLED, _MEASURED = 5.0, 8.0
"""Seconds before turns are measured, and in which they are."""


def _measure_turns(path: Path) -> None:
    """From now on, time every turn of an event loop in this process; write them once they are enough."""
    turns: list[float] = []
    plain = asyncio.events.Handle._run
    began = time.monotonic() + _SETTLED

    def timed(self: asyncio.events.Handle) -> None:
        before = time.thread_time()
        plain(self)
        turns.append(time.thread_time() - before)
        if time.monotonic() < began:
            turns.clear()
        elif time.monotonic() > began + _MEASURED:
            asyncio.events.Handle._run = plain  # type: ignore[method-assign]
            path.write_text(json.dumps(turns), encoding="ascii")
            sys.exit(0)

    asyncio.events.Handle._run = timed  # type: ignore[method-assign]


if __name__ == "__main__":
    if len(sys.argv) > 2:
        _measure_turns(Path(sys.argv[2]))
    Fed(int(sys.argv[1])).run()
