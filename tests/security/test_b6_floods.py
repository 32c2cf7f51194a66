"""An engine that prints without end leaves the app, and whatever else runs in the event loop, its turns."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from sparkrun_tui.base import paths
from sparkrun_tui.engines.logs.guard import RuleGuard
from sparkrun_tui.engines.logs.phases import PhaseReader
from sparkrun_tui.launch.record.logs import LogLine
from sparkrun_tui.launch.run.context import Context
from sparkrun_tui.launch.run.failure import _from_logs
from sparkrun_tui.launch.run.follow import take_in
from sparkrun_tui.remote.aio import TURN
from sparkrun_tui.remote.docker.logs import LogRecord
from tests.launch.fakes import SOLO, FakeCluster, rendered

LINES: dict[str, Callable[[int], str]] = {
    "figures": lambda n: f"GPU KV cache size: {n:,} tokens, Maximum concurrency for {n:,} tokens per request: {n}.0x",
    "dots": lambda _: "vLLM " + "." * 8000,
    "progress": lambda n: f"Loading safetensors checkpoint shards: {n % 100}% Completed",
    "beyond ascii": lambda _: "vLLM KV cache é" * 500,
}


async def longest_gap(work: Awaitable[object]) -> float:
    """Seconds for which nothing else had its turn while `work` was done, as the median of the ten longest."""
    gaps: list[float] = []

    async def beat() -> None:
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            gaps.append(time.perf_counter() - before)

    task = asyncio.create_task(beat())
    await work
    task.cancel()
    # The machine may stop all of us now and then; a flood does it again and again.
    return sorted(gaps)[-10:][5] if len(gaps) >= 10 else max(gaps, default=1e9)


def context_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Context:
    monkeypatch.setattr(paths, "state_dir", lambda: tmp_path)
    cluster = FakeCluster("spark-1")
    desk = cluster.desk()
    plan = desk.plan(rendered(SOLO), cluster.cluster)
    return Context(plan=plan, services=cluster.services, bus=desk._bus(plan))


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
async def test_a_flood_of_lines_leaves_others_their_turn(
    line: Callable[[int], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = context_of(tmp_path, monkeypatch)
    records = [LogRecord(1e9, "stdout", line(number)) for number in range(800)]
    reader = PhaseReader("vllm")
    assert await longest_gap(take_in(context, "spark-1", records, reader, RuleGuard(None))) < 20 * TURN
    assert context.bus.logs["spark-1"].end == len(records)
    context.bus.close()


async def test_judging_long_lines_leaves_others_their_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = context_of(tmp_path, monkeypatch)
    context.bus.log("spark-1", [LogLine(1e9, "stdout", LINES["dots"](0)) for _ in range(300)])
    assert await longest_gap(_from_logs(context, {})) < 20 * TURN
    context.bus.close()


def test_a_mark_far_behind_in_a_line_is_not_looked_for() -> None:
    reader = PhaseReader("vllm")
    assert reader.feed("x" * 7000 + " Checkpoint size: 5 GiB") is None
    assert reader.feed("Checkpoint size: 5 GiB " + "x" * 7000) is not None
