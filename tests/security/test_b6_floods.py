"""An engine that prints without end leaves the app, and whatever else runs in the event loop, its turns."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.engines.logs.guard import RuleGuard
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.engines.registry import log_of
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.failure import _from_logs
from sparkrun_tui.launch.run.parts.follow import Followers
from sparkrun_tui.launch.run.parts.given import Given
from sparkrun_tui.launch.run.parts.reporter import Reporter
from sparkrun_tui.launch.run.parts.running import Running
from sparkrun_tui.remote import aio
from sparkrun_tui.remote.docker.logs import LogRecord
from tests.launch.fakes import SOLO, FakeCluster, rendered

LINES: dict[str, Callable[[int], str]] = {
    "figures": lambda n: f"GPU KV cache size: {n:,} tokens, Maximum concurrency for {n:,} tokens per request: {n}.0x",
    "dots": lambda _: "vLLM " + "." * 8000,
    "progress": lambda n: f"Loading safetensors checkpoint shards: {n % 100}% Completed",
    "beyond ascii": lambda _: "vLLM KV cache é" * 500,
}


async def turns_of_others(work: Awaitable[object]) -> int:
    """How often something else had its turn while `work` was done."""
    turns = 0

    async def beat() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(beat())
    await work
    task.cancel()
    return turns


def launch_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Given, Running, Reporter]:
    monkeypatch.setattr(paths, "state_dir", lambda: tmp_path)
    # With turns of no length each line ends one, however fast the machine is.
    monkeypatch.setattr(aio, "TURN", 0.0)
    cluster = FakeCluster("spark-1")
    launcher = cluster.launcher()
    plan = launcher.plan(rendered(SOLO), cluster.cluster)
    given, report = Given(plan=plan, services=cluster.services), Reporter(launcher._bus(plan))
    return given, Running(given, report), report


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
async def test_a_flood_of_lines_leaves_others_their_turn(
    line: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, _, report = launch_of(tmp_path, monkeypatch)
    records = [LogRecord(1e9, "stdout", line(number)) for number in range(800)]
    reader = PhaseReader(log_of("vllm"))
    followers = Followers(given, report)
    least = max(sum(len(record.text) for record in records) >> 15, len(records) // 100)
    assert await turns_of_others(followers._take_in("spark-1", records, reader, RuleGuard(None))) >= least
    assert report.bus.logs["spark-1"].end == len(records)
    report.bus.close()


async def test_judging_long_lines_leaves_others_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given, running, report = launch_of(tmp_path, monkeypatch)
    report.bus.log("spark-1", [LogLine(1e9, "stdout", LINES["dots"](0)) for _ in range(300)])
    assert await turns_of_others(_from_logs(given, running, report, {})) >= 300
    report.bus.close()


def test_a_mark_far_behind_in_a_line_is_not_looked_for() -> None:
    reader = PhaseReader(log_of("vllm"))
    assert reader.feed("x" * 7000 + " Checkpoint size: 5 GiB") is None
    assert reader.feed("Checkpoint size: 5 GiB " + "x" * 7000) is not None
