"""Eight hosts print thousands of lines a second: how long a key takes, what it costs, beside a minimal app at rest."""

from __future__ import annotations

import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.pty_drive import Terminal, percentile
from benchmarks.table import Row

_SECONDS = 8.0
_KEYS = 40


def _measure(argv: list[str], ready: str, keys: int) -> tuple[list[float], float, int]:
    """Answers to keys in ms, cores used meanwhile, resident bytes."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "TEXTUAL_ANIMATIONS": "none"}
    with Terminal(argv, env, 160, 48) as terminal:
        terminal.wait_for(ready, 60.0)
        terminal.drain(2.0)
        times = []
        for number in range(1, keys + 1):
            times.append(terminal.press("z", rf"pressed\({number}\)") * 1000)
            terminal.drain(0.04 + random.random() / 8)  # at any moment of the tick
        before, began = terminal.cpu, time.perf_counter()
        terminal.drain(_SECONDS)
        cores = (terminal.cpu - before) / (time.perf_counter() - began)
        return times, cores, terminal.rss


_LONG = 0.004
"""Seconds from which on a turn of the event loop counts: shorter ones paint nothing."""


def _turns(rate: int) -> Row:
    """CPU time of the turns that paint, while lines come at a rate."""
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "TEXTUAL_ANIMATIONS": "none"}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "turns"
        with Terminal(
            [sys.executable, "-m", "benchmarks.ui_logs_child", str(rate), str(path)], env, 160, 48
        ) as terminal:
            for _ in range(60):
                terminal.drain(0.5)
                if path.exists():
                    break
            terminal.drain(0.5)
        turns = [turn * 1000 for turn in json.loads(path.read_text()) if turn > _LONG]
    median, p95 = percentile(turns, 0.5), percentile(turns, 0.95)
    return Row(f"8 hosts, {rate:,} lines/s: turns over 4 ms, CPU, p50 / p95", f"{median:.1f} / {p95:.1f} ms")


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    keys = 15 if quick else _KEYS
    rows = []
    times, cores, _ = _measure([sys.executable, "-m", "benchmarks.ui_reference"], "ready to be measured", keys)
    reference = percentile(times, 0.5)
    rows.append(Row("minimal Textual app at rest, key p50", f"{reference:.1f} ms", "reference"))
    for rate, goal in ((0, "<= 8 / 20 ms"), (1_000, ""), (10_000, "<= 15 / 60 ms"), (50_000, "<= 15 / 60 ms")):
        argv = [sys.executable, "-m", "benchmarks.ui_logs_child", str(rate)]
        times, cores, rss = _measure(argv, r"pressed\(0\)", keys)
        p50, p95 = percentile(times, 0.5), percentile(times, 0.95)
        name = f"8 hosts, {rate:,} lines/s: key p50 / p95"
        rows.append(Row(name, f"{p50:.1f} / {p95:.1f} ms", goal, f"{p50 / reference:.1f} x"))
        limit = "<= 0.35" if rate else "<= 0.01"
        rows.append(Row(f"8 hosts, {rate:,} lines/s: cores", f"{cores:.2f}", limit))
        rows.append(Row(f"8 hosts, {rate:,} lines/s: memory", f"{rss / (1 << 20):.0f} MiB", "bounded"))
    rows.append(_turns(50_000))
    return rows
