"""Runs the same parts in this checkout and in one of another commit, in turn, and prints both with their ratio.

A figure of one run says little on a machine that does other things too. Here both checkouts meet the same load: they
alternate, and each figure is the median of several rounds, with the lowest and the highest beside it.
"""

from __future__ import annotations

import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

_WORST = re.compile(r" *\(worst [^)]*\)")
"""A part of a row's name that differs from run to run."""
_NUMBER = re.compile(r"[0-9][0-9,]*(?:\.[0-9]+)?")

OF_WHOLE_PROGRAMS = ("cli_start", "ui_start", "log_flow")
"""Parts that start the program of `measured_checkout`, as a user does or by a child: this checkout's part measures
both."""

_CHECKOUT = "SPARKRUN_BENCH_CHECKOUT"

_RUN_PART = """
import importlib, json, sys
part = importlib.import_module("benchmarks." + sys.argv[1])
rows = part.run(quick=sys.argv[2] == "quick")
print(json.dumps([[row.what, row.figure] for row in rows]))
"""

Figures = dict[str, float]
"""What was measured, by the names of the rows."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of both checkouts, a value for each round; units are those of the benchmark."""

    name: str
    before: tuple[float, ...]
    after: tuple[float, ...]

    @property
    def ratio(self) -> float | None:
        """The median now by the median before; None where that is zero."""
        before = statistics.median(self.before)
        return statistics.median(self.after) / before if before else None

    @property
    def best_ratio(self) -> float | None:
        """The lowest value now by the lowest before: other work on the machine only ever adds to a time."""
        return min(self.after) / min(self.before) if min(self.before) else None


def compare(commit: str, parts: Sequence[str], *, quick: bool, rounds: int) -> None:
    """Measure and print one table for each part.

    Raises `SystemExit` where there is no such commit. A part that a checkout cannot run is named and left out.
    """
    with tempfile.TemporaryDirectory(prefix="bench-vs-") as folder:
        other = Path(folder)
        check_out(ROOT, commit, other)
        for part in parts:
            try:
                print_part(part, commit, list(measured(part, other, ROOT, quick=quick, rounds=rounds)))
            except subprocess.CalledProcessError as error:
                last = error.stderr.strip().splitlines()[-1:] or ["no error was printed"]
                print(f"\n{part}: cannot be run in {error.cmd[0]}: {last[0]}")


def check_out(repository: Path, commit: str, folder: Path) -> None:
    """Put the files of a commit into an empty folder. Raises `SystemExit` where git does not know it."""
    known = _git(repository, "rev-parse", "--verify", f"{commit}^{{commit}}").strip()
    # A clone that shares its objects leaves nothing behind in the repository, as a worktree would.
    _git(repository, "clone", "--quiet", "--shared", "--no-checkout", str(repository), str(folder))
    _git(folder, "checkout", "--quiet", "--detach", known)


def _git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"git {words[0]}: {done.stderr.strip()}")
    return done.stdout


def measured(part: str, before: Path, after: Path, *, quick: bool, rounds: int) -> Iterator[Compared]:
    """The figures that both checkouts have, from that many runs of each; who goes first alternates."""
    found: dict[Path, list[Figures]] = {before: [], after: []}
    for number in range(rounds):
        order = [before, after]
        if number % 2:
            order.reverse()
        for checkout in order:
            found[checkout].append(run_part(checkout, part, quick=quick))
    for name in found[after][0]:
        values = {}
        for checkout, runs in found.items():
            values[checkout] = tuple(run[name] for run in runs if name in run)
        if values[before] and values[after]:
            yield Compared(name, values[before], values[after])


def measured_checkout() -> Path:
    """The checkout whose program a part of `OF_WHOLE_PROGRAMS` starts: this one, unless another one is compared."""
    return Path(os.environ.get(_CHECKOUT) or ROOT)


def run_part(checkout: Path, part: str, *, quick: bool) -> Figures:
    """The figures of one run of a part, with the packages of this environment. Raises `CalledProcessError`."""
    argv = [sys.executable, "-c", _RUN_PART, part, "quick" if quick else ""]
    home = ROOT if part in OF_WHOLE_PROGRAMS else checkout
    environ = {**os.environ, "PYTHONPATH": str(home), _CHECKOUT: str(checkout)}
    done = subprocess.run(argv, cwd=home, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, [str(checkout)], done.stdout, done.stderr)
    return figures_of(json.loads(done.stdout.splitlines()[-1]))


def figures_of(rows: Sequence[Sequence[str]]) -> Figures:
    """The numbers of rows (name, figure); a figure of several numbers, such as `p50 / p95`, has a name for each.

    The name of an indented row follows that of the row which it belongs to.
    """
    figures: Figures = {}
    above = ""
    for what, figure in rows:
        name = _WORST.sub("", what).strip()
        if what.startswith(" "):
            name = f"{above}: {name}"
        else:
            above = name
        numbers = [float(text.replace(",", "")) for text in _NUMBER.findall(figure)]
        for place, number in enumerate(numbers, 1):
            figures[name if len(numbers) == 1 else f"{name} ({place} of {len(numbers)})"] = number
    return figures


def print_part(part: str, commit: str, rows: Sequence[Compared]) -> None:
    """Print the rows of a part, aligned."""
    print(f"\n{part}: {commit} beside this checkout; medians, with the lowest and the highest of each")
    print(f"  {'':<62} {'before':>24}  {'now':>24}  {'ratio':>6}  {'of lowest':>9}")
    for row in rows:
        print(
            f"  {row.name:<62} {_spread(row.before):>24}  {_spread(row.after):>24}"
            f"  {_ratio_text(row.ratio):>6}  {_ratio_text(row.best_ratio):>9}"
        )


def _spread(values: Sequence[float]) -> str:
    return f"{statistics.median(values):g} ({min(values):g} to {max(values):g})"


def _ratio_text(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2f}"
