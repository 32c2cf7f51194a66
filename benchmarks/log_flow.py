"""Logs of eight hosts from the bytes of their Docker daemons to disk, buffers and stdout: processor time, memory."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.table import Row
from benchmarks.versus import measured_checkout

_LINES = 20_000
"""Lines of each host."""
_HOSTS = 8


def run(quick: bool = False) -> list[Row]:
    """Measure, each round in a process of its own; the reference is measured in the same processes."""
    child = Path(__file__).resolve().with_name("log_flow_child.py")
    environment = {**os.environ, "PYTHONPATH": str(measured_checkout())}
    found: list[tuple[float, ...]] = []
    for _ in range(1 if quick else 5):
        done = subprocess.run(
            [sys.executable, str(child), str(_LINES)], env=environment, capture_output=True, text=True, check=True
        )
        found.append(tuple(map(float, done.stdout.split())))
    plain, ours, peak = (list(values) for values in zip(*found, strict=True))
    lines = _LINES * _HOSTS
    ratios = [own / reference for own, reference in zip(ours, plain, strict=True)]
    return [
        Row("a line taken out of HTTP and frames by h11, CPU", f"{_micro(plain, lines):.1f} us", "reference"),
        Row(
            "a line followed, made safe, kept, printed, CPU",
            f"{_micro(ours, lines):.1f} us",
            "<= 22 us",
            f"{statistics.median(ratios):.2f} x",
        ),
        Row("  by the reference, lowest / highest", f"{min(ratios):.2f} / {max(ratios):.2f} x"),
        Row(f"peak memory, {_HOSTS} logs of {_LINES:,} lines", f"{statistics.median(peak) / 1e6:.0f} MB", "<= 100 MB"),
    ]


def _micro(seconds: list[float], lines: int) -> float:
    return statistics.median(seconds) / lines * 1e6
