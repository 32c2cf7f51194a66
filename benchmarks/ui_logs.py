"""Eight hosts print thousands of lines a second: how long a key takes, what it costs, beside a minimal app at rest."""

from __future__ import annotations

import asyncio
import os
import random
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.pty_drive import Terminal, percentile
from benchmarks.table import Row

HOSTS = tuple(f"spark-{number}" for number in range(1, 9))
_SECONDS = 8.0
_KEYS = 40


def child(rate: int) -> None:
    """The app in the child process: one launch screen, and a task that prints `rate` lines a second in all."""
    from textual.binding import Binding

    from benchmarks.quiet import QuietBackend
    from sparkrun_tui.base.settings import Cluster, Settings
    from sparkrun_tui.launch.events import LaunchBegan
    from sparkrun_tui.launch.fold import fold
    from sparkrun_tui.launch.logs import LogBuffer, LogLine
    from sparkrun_tui.launch.state import LaunchState
    from sparkrun_tui.ui.app import SparkrunApp
    from sparkrun_tui.ui.screens.launch import LaunchScreen
    from sparkrun_tui.ui.session import Session
    from sparkrun_tui.ui.widgets.text_pane import TextPane

    buffers = {host: LogBuffer() for host in HOSTS}
    began = LaunchBegan(
        launch_id="bench", recipe="bench", engine="vllm", model="m", cluster="lab", hosts=HOSTS, port=8000
    )
    launch: Any = SimpleNamespace(
        launch_id="bench", state=fold(LaunchState(), began), revision=1, logs=buffers, rendered=None
    )

    class Measured(LaunchScreen):
        BINDINGS = [Binding("z", "count", "count")]
        count = 0

        def on_mount(self) -> None:
            self.echo = TextPane(lambda width: [[(f"pressed({self.count})", "")]])
            self.echo.styles.height = 1
            self.echo.styles.dock = "bottom"
            self.mount(self.echo)

        def action_count(self) -> None:
            self.count += 1
            self.echo.repaint()

    class Fed(SparkrunApp):
        def on_mount(self) -> None:
            self.set_timer(0.5, self.show)

        def show(self) -> None:
            self.push_screen(Measured(launch))
            self.run_worker(feed(), group="feed")

    async def feed() -> None:
        count = 0
        start = time.monotonic()
        while rate:
            await asyncio.sleep(0.01)
            due = int((time.monotonic() - start) * rate) - count
            now = time.time()
            share = max(due // len(HOSTS), 0)
            for host in HOSTS:
                lines = [
                    LogLine(now, "stdout", f"{host} INFO worker printed line {count + n} of a busy start, and goes on")
                    for n in range(share)
                ]
                buffers[host].extend(lines)
            count += share * len(HOSTS)

    cluster = Cluster("lab", HOSTS)
    Fed(Session(Settings(clusters=(cluster,)), backend=QuietBackend())).run()  # type: ignore[arg-type]


def _measure(argv: list[str], ready: str, keys: int) -> tuple[list[float], float, int]:
    """Answers to keys in ms, cores used meanwhile, resident bytes."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "TEXTUAL_ANIMATIONS": "none"}
    with Terminal(argv, env, 160, 48) as terminal:
        terminal.wait_for(ready, 60.0)
        terminal.drain(2.0)
        times = []
        for number in range(1, keys + 1):
            times.append(terminal.press("z", f"pressed({number})") * 1000)
            terminal.drain(0.04 + random.random() / 8)  # at any moment of the tick
        before, began = terminal.cpu, time.perf_counter()
        terminal.drain(_SECONDS)
        cores = (terminal.cpu - before) / (time.perf_counter() - began)
        return times, cores, terminal.rss


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    keys = 15 if quick else _KEYS
    rows = []
    times, cores, _ = _measure([sys.executable, "-m", "benchmarks.ui_reference"], "ready to be measured", keys)
    reference = percentile(times, 0.5)
    rows.append(Row("minimal Textual app at rest, key p50", f"{reference:.1f} ms", "reference"))
    for rate, goal in ((0, "<= 8 / 20 ms"), (1_000, ""), (10_000, "<= 15 / 60 ms"), (50_000, "<= 15 / 60 ms")):
        argv = [sys.executable, "-c", f"from benchmarks.ui_logs import child; child({rate})"]
        times, cores, rss = _measure(argv, "pressed(0)", keys)
        p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
        name = f"8 hosts, {rate:,} lines/s: key p50 / p95"
        rows.append(Row(name, f"{p50:.1f} / {p95:.1f} ms", goal, f"{p50 / reference:.1f} x"))
        limit = "<= 0.35" if rate else "<= 0.01"
        rows.append(Row(f"8 hosts, {rate:,} lines/s: cores", f"{cores:.2f}", limit))
        rows.append(Row(f"8 hosts, {rate:,} lines/s: memory", f"{rss / (1 << 20):.0f} MiB", "bounded"))
    return rows
