"""The command line as whole processes: help, version and lists, beside an empty interpreter in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

from benchmarks.made_recipes import home_with
from benchmarks.table import Row
from benchmarks.versus import measured_checkout

_ROUNDS = 9


def _median(argv: list[str], env: Mapping[str, str], rounds: int) -> float:
    """Milliseconds of the whole process at the median, after one round that fills caches."""
    times = []
    for number in range(rounds + 1):
        began = time.perf_counter()
        subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        if number:
            times.append((time.perf_counter() - began) * 1000)
    return statistics.median(times)


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rounds = 3 if quick else _ROUNDS
    root = str(measured_checkout())
    program = [sys.executable, "-P", "-m", "sparkrun_tui"]
    reference = _median([sys.executable, "-c", "pass"], os.environ, rounds)
    rows = [Row("empty interpreter", f"{reference:.0f} ms", "reference")]
    with tempfile.TemporaryDirectory() as folder:
        env = {**os.environ, **home_with(Path(folder), 200), "PYTHONPATH": root}
        for arguments, goal in ((["--help"], 80), (["--version"], 80), (["list", "--json"], 150)):
            figure = _median([*program, *arguments], env, rounds)
            what = " ".join(arguments) + (" of 200 recipes, warm index" if arguments[0] == "list" else "")
            rows.append(Row(what, f"{figure:.0f} ms", f"<= {goal} ms", f"{figure / reference:.1f} x"))
    return rows
