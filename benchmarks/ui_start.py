"""From exec to the first useful frame, and memory, beside a minimal Textual app in the same run."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.made_recipes import home_with
from benchmarks.pty_drive import Terminal
from benchmarks.table import Row

_ROUNDS = 5


def _first_frame(argv: list[str], env: dict[str, str], marker: str, rounds: int) -> tuple[float, int]:
    times, rss = [], 0
    for number in range(rounds + 1):
        with Terminal(argv, env) as terminal:
            seen = terminal.wait_for(marker, 60.0) - terminal.began
            rss = terminal.rss
        if number:  # the first one fills caches
            times.append(seen)
    return statistics.median(times), rss


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rounds = 2 if quick else _ROUNDS
    rows = []
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "TEXTUAL_ANIMATIONS": "none"}
    reference, _ = _first_frame([sys.executable, "-m", "benchmarks.ui_reference"], env, "ready to be measured", rounds)
    rows.append(Row("minimal Textual app, first frame", f"{reference * 1000:.0f} ms", "reference"))
    for count, goal in ((200, 1.6), (5000, 2.0)):
        with tempfile.TemporaryDirectory() as folder:
            home = {**home_with(Path(folder), count), "PYTHONPATH": root}
            argv = [sys.executable, "-m", "sparkrun_tui"]
            frame, _ = _first_frame(argv, home, "reading recipes", rounds)
            useful, rss = _first_frame(argv, home, r"Recipes \d+ of \d+", 1 if count > 1000 else rounds)
        name = f"first frame, {count:,} recipes"
        rows.append(Row(name, f"{frame * 1000:.0f} ms", f"<= {goal} x", f"{frame / reference:.2f} x"))
        name = f"first recipe in sight, {count:,} recipes"
        rows.append(Row(name, f"{useful * 1000:.0f} ms", f"<= {goal} x", f"{useful / reference:.2f} x"))
        rows.append(Row(f"memory with {count:,} recipes", f"{rss / (1 << 20):.0f} MiB", "<= 60 MB at 200"))
    return rows
