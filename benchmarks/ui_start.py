"""From exec to what a user waits for, with and without what earlier starts keep, and memory, beside a minimal app."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.made_recipes import home_with
from benchmarks.pty_drive import Terminal
from benchmarks.table import Row
from benchmarks.versus import measured_checkout

_ROUNDS = 9
_COUNTS = (200, 5_000, 20_000)
_COLD_GOALS = {200: "<= 1.6 x", 5_000: "<= 2.0 x", 20_000: "<= 3.0 x"}
_MEMORY = "resident memory"
_REST = 1.0
"""Seconds after the detail is shown, when memory is looked at."""


@dataclass(slots=True)
class _Times:
    """What was measured of one thing, one value a round: seconds from exec and processor seconds until then."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Home:
    """A home with so many recipes; `places` are the folders that starts write to."""

    count: int
    env: Mapping[str, str]
    places: Sequence[Path]

    def forget(self) -> None:
        """Make the next start the first one ever."""
        for place in self.places:
            shutil.rmtree(place, ignore_errors=True)

    @property
    def index(self) -> Path:
        """The index of recipes, which a start writes once all are read."""
        return Path(self.env["XDG_CACHE_HOME"]) / "sparkrun-tui" / "recipe-index.json"


class _Start:
    """One start of the program in a terminal of its own."""

    def __init__(self, home: _Home) -> None:
        self.terminal = Terminal([sys.executable, "-P", "-m", "sparkrun_tui"], home.env)

    def until(self, marker: str, into: _Times) -> None:
        """Wait for a text on the screen, and note when it came."""
        seen = self.terminal.wait_for(marker, 120.0)
        into.wall.append(seen - self.terminal.began)
        into.cpu.append(self.terminal.cpu)


def _home(folder: Path, count: int) -> _Home:
    env = {**home_with(folder, count), "PYTHONPATH": str(measured_checkout())}
    places = [Path(env[f"XDG_{kind}_HOME"]) for kind in ("CACHE", "STATE")]
    return _Home(count, env, places)


def _second_recipe() -> str:
    """A text that is on the screen once the cursor is on the second recipe: a key was answered."""
    files = sorted((measured_checkout() / "recipes").rglob("*.yaml"))
    return "▌." + re.escape(files[1].stem[:16])


def _warm_up(home: _Home) -> None:
    """Start once and end as a user does, so that the next start finds what this one has kept."""
    home.forget()
    with _Start(home).terminal as terminal:
        terminal.wait_for("longest context", 120.0)
        end = time.monotonic() + 120.0
        while not home.index.exists():
            if time.monotonic() > end:
                raise TimeoutError("the index was not written")
            terminal.drain(0.2)
        terminal.drain(_REST)
        terminal.quit("\x11")


def _minimal(into: _Times) -> None:
    root = str(Path(__file__).resolve().parent.parent)
    env = {**os.environ, "PYTHONPATH": root, "TEXTUAL_ANIMATIONS": "none"}
    with Terminal([sys.executable, "-P", "-m", "benchmarks.ui_reference"], env) as terminal:
        into.wall.append(terminal.wait_for("ready to be measured", 60.0) - terminal.began)
        into.cpu.append(terminal.cpu)


def _cold(home: _Home, found: Mapping[str, _Times]) -> None:
    home.forget()
    start = _Start(home)
    with start.terminal:
        start.until("Recipes", found["first frame, cold"])
        start.until("▌", found["first recipe in sight, cold"])


def _warm(home: _Home, found: Mapping[str, _Times]) -> None:
    start = _Start(home)
    with start.terminal:
        start.until("Recipes", found["first frame"])
        start.until("▌", found["first recipe in sight"])
        start.until("longest context", found["detail and verdict of the selected recipe"])
        start.terminal.drain(_REST)
        found[_MEMORY].wall.append(start.terminal.rss)


def _key(home: _Home, found: Mapping[str, _Times]) -> None:
    start = _Start(home)
    with start.terminal as terminal:
        terminal.wait_for("▌", 120.0)
        terminal.send("\x1b[B")
        start.until(_second_recipe(), found["first key answered"])


_GOALS = {
    "first frame": "<= 1.25 x",
    "first recipe in sight": "<= 1.3 x",
    "first key answered": "<= 1.6 x",
    "detail and verdict of the selected recipe": "<= 2.3 x",
    "first frame, cold": "<= 1.25 x",
}
_NAMES = (*_GOALS, "first recipe in sight, cold", _MEMORY)


def run(quick: bool = False) -> list[Row]:
    """Measure. In each round everything is started once, in turn, beside a minimal app started in the same round."""
    rounds = 3 if quick else _ROUNDS
    counts = _COUNTS[:2] if quick else _COUNTS
    reference = _Times()
    found = {count: {name: _Times() for name in _NAMES} for count in counts}
    with tempfile.TemporaryDirectory() as folder:
        homes = [_home(Path(folder) / str(count), count) for count in counts]
        _minimal(_Times())  # the first one fills caches
        for _ in range(rounds):
            _minimal(reference)
            for home in homes:
                _cold(home, found[home.count])
        # What cold starts leave behind is not what a later start finds: some are ended before they keep anything.
        warm_reference = _Times()
        for home in homes:
            _warm_up(home)
        for _ in range(rounds):
            _minimal(warm_reference)
            for home in homes:
                _warm(home, found[home.count])
                _key(home, found[home.count])
    rows = [_row("minimal Textual app, first frame", warm_reference, warm_reference, "reference")]
    for count in counts:
        for name in _NAMES:
            what = f"{name}, {count:,} recipes"
            times = found[count][name]
            if name == _MEMORY:
                size = statistics.median(times.wall) / (1 << 20)
                rows.append(Row(what, f"{size:.0f} MiB", "<= 60 MiB at 200"))
                continue
            is_cold = name.endswith("cold")
            beside = reference if is_cold else warm_reference
            rows.append(_row(what, times, beside, _GOALS.get(name, _COLD_GOALS[count])))
    return rows


def _row(what: str, times: _Times, beside: _Times, goal: str) -> Row:
    """Medians; the ratio is the median of those of each round, with the lowest and the highest."""
    ratios = _ratios(times, beside, lambda measured: measured.wall)
    work = statistics.median(_ratios(times, beside, lambda measured: measured.cpu))
    figure = f"{statistics.median(times.wall) * 1000:.0f} ms"
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}, processor {work:.2f} x"
    return Row(what, figure, f"{goal} ({spread})", f"{statistics.median(ratios):.2f} x")


def _ratios(times: _Times, beside: _Times, values: Callable[[_Times], Sequence[float]]) -> list[float]:
    return [value / other for value, other in zip(values(times), values(beside), strict=True)]
