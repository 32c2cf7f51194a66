"""The command line as whole processes, beside an empty interpreter and beside sparkrun in alternating runs."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import peer
from benchmarks.made_recipes import home_with, recipe
from benchmarks.table import Row
from benchmarks.versus import measured_checkout

_ROUNDS = 9
_COUNT = 200
_NAME = recipe(0)[0]
_ALONE = ((["--help"], 80), (["--version"], 80), (["list", "--json"], 150))
"""Commands that are measured beside an empty interpreter, and the milliseconds to stay below."""
_BESIDE = (
    ["list"],
    ["search", "qwen"],
    ["show", _NAME],
    ["recipe", "validate", _NAME],
    ["recipe", "vram", _NAME],
    ["run", _NAME, "-H", "localhost", "--dry-run"],
)
"""Commands that both programs have, with the same words."""
_GOAL = 6.0
"""How many times as fast as sparkrun each is to be."""


@dataclass(slots=True)
class _Program:
    """One way to run commands, and what was measured of the current one: milliseconds, one value a round."""

    argv: Sequence[str]
    env: Mapping[str, str]
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, arguments: Sequence[str], cwd: str) -> None:
        """Run a command once. Raises `CalledProcessError` where it fails."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        subprocess.run(
            [*self.argv, *arguments], env=self.env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True,
        )  # fmt: skip
        self.wall.append((time.perf_counter() - began) * 1000)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        self.cpu.append((after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1000)

    def forget(self) -> None:
        """Drop what was measured."""
        self.wall.clear()
        self.cpu.clear()


def _alternate(programs: Sequence[_Program], arguments: Sequence[Sequence[str]], rounds: int, cwd: str) -> None:
    """Run each program with its arguments, in turn; one round before those that count fills caches."""
    for number in range(rounds + 1):
        for program, words in zip(programs, arguments, strict=True):
            program.run(words, cwd)
        if number == 0:
            for program in programs:
                program.forget()


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rounds = 3 if quick else _ROUNDS
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "ours"
        root = str(measured_checkout())
        env = {**home_with(home, _COUNT), "PYTHONPATH": root, "HF_HUB_OFFLINE": "1"}
        ours = _Program([sys.executable, "-P", "-m", "sparkrun_tui"], env)
        empty = _Program([sys.executable], os.environ)
        rows = []
        for arguments, goal in _ALONE:
            _alternate((empty, ours), (["-c", "pass"], arguments), rounds, folder)
            if not rows:
                rows.append(Row("empty interpreter", f"{statistics.median(empty.wall):.0f} ms", "reference"))
            what = " ".join(arguments)
            if arguments[0] == "list":
                what += f" of {_COUNT} recipes, warm index"
            times = f"{statistics.median(ours.wall) / statistics.median(empty.wall):.1f} x"
            rows.append(Row(what, f"{statistics.median(ours.wall):.0f} ms", f"<= {goal} ms", times))
        rows.extend(_beside_peer(ours, Path(folder), rounds))
    return rows


def _beside_peer(ours: _Program, folder: Path, rounds: int) -> list[Row]:
    """A row for each command that sparkrun has, too: how many times as fast this program is."""
    installed = peer.program()
    if installed is None:
        return [Row(f"beside sparkrun {peer.VERSION}", "not there", f"first run `{peer.INSTALL}`")]
    env = peer.home_of_peer(folder / "peer", _COUNT, measured_checkout() / "recipes")
    theirs = _Program([str(installed)], env)
    rows = []
    for arguments in _BESIDE:
        _alternate((ours, theirs), (arguments, arguments), rounds, str(folder))
        ratios = [other / own for own, other in zip(ours.wall, theirs.wall, strict=True)]
        work = statistics.median(theirs.cpu) / statistics.median(ours.cpu)
        spread = f"{min(ratios):.1f} to {max(ratios):.1f}, processor {work:.1f} x"
        rows.append(
            Row(
                f"{' '.join(arguments).replace(_NAME, 'NAME')}, x faster than sparkrun",
                f"{statistics.median(ours.wall):.0f} ms",
                f">= {_GOAL:.0f} x ({spread}; {statistics.median(theirs.wall):.0f} ms)",
                f"{statistics.median(ratios):.1f} x",
            )
        )
    rows.append(Row(f"  that is sparkrun {peer.VERSION} with Python {peer.python_version()}", ""))
    return rows
