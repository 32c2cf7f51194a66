"""Opening screens and forms, finding in a long log, and what a hundred launches leave in memory."""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from benchmarks.made_app import FORTY, finished_launch, forty_keys, made_app, made_recipes, ready
from benchmarks.table import Row
from benchmarks.ui_reference import Minimal, Plain
from sparkrun_tui.launch.record.logs import LogBuffer, LogLine
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.launch import LaunchScreen
from sparkrun_tui.ui.widgets.log.source import Finder, LogSource

_LINES = 100_000
_SCREENS = (("fleet", "f"), ("history", "h"), ("registries", "R"), ("help", "question_mark"), ("plan", "p"))


async def _cpu(pilot: Pilot[Any], work: Callable[[], object]) -> float:
    """CPU milliseconds from a deed until the app is idle again."""
    began = time.process_time()
    work()
    await pilot.pause()
    return (time.process_time() - began) * 1000


async def _form(rounds: int) -> list[float]:
    """From another recipe to the form of one with forty keys, painted."""
    recipes = [*made_recipes(rounds + 1), forty_keys()]
    app = made_app(recipes)
    times = []
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        screen = app.screen
        assert isinstance(screen, BrowseScreen)
        for other in recipes[:-1]:
            screen.go_to(other.source.path)
            await pilot.pause()
            times.append(await _cpu(pilot, lambda: screen.go_to(FORTY, "key_20")))
    return times[1:]


async def _switches(rounds: int) -> dict[str, list[float]]:
    """CPU milliseconds until each screen is painted, and until the recipes are again."""
    app = made_app(made_recipes(200))
    times: dict[str, list[float]] = {}
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        app.screen.query_one("#recipes").focus()
        await pilot.pause()
        for number in range(rounds + 1):
            for name, key in _SCREENS:
                began = time.process_time()
                await pilot.press(key)
                there = (time.process_time() - began) * 1000
                if isinstance(app.screen, BrowseScreen):
                    raise RuntimeError(f"{name} did not come")
                back = await _cpu(pilot, app.pop_screen)
                if number:
                    times.setdefault(name, []).append(there)
                    times.setdefault("back to the recipes", []).append(back)
    return times


async def _plain(rounds: int) -> float:
    """The same for a plain screen of Textual's own widgets in a minimal app: the median."""
    app: App[None] = Minimal()
    times = []
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.2)
        for _ in range(rounds + 1):
            times.append(await _cpu(pilot, lambda: app.push_screen(Plain())))
            await _cpu(pilot, app.pop_screen)
    return statistics.median(times[1:])


class _Timed(Finder):
    """A search that remembers when its slices began and ended (perf_counter)."""

    __slots__ = ("slices",)

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.slices: list[tuple[float, float]] = []

    def advance(self, source: LogSource, *seconds: float) -> bool:
        """One slice."""
        began = time.perf_counter()
        try:
            return super().advance(source, *seconds)
        finally:
            self.slices.append((began, time.perf_counter()))


async def _find() -> tuple[float, float, float]:
    """Milliseconds to the first line found, to all of them, and the longest slice; the word is in the last lines."""
    buffer = LogBuffer(_LINES)
    texts = (f"INFO 01-01 00:00:00 [worker.py:{n % 900}] step {n} of a busy start, all is well" for n in range(_LINES))
    buffer.extend(LogLine(1e9 + n / 100, "stdout", text) for n, text in enumerate(texts))
    buffer.extend([LogLine(2e9, "stdout", "INFO the needle is here")])
    app = made_app(made_recipes(10))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        app.push_screen(LaunchScreen(finished_launch("long", {"spark-1": buffer})))
        await pilot.pause(0.3)
        screen = app.screen
        assert isinstance(screen, LaunchScreen)
        view = screen.deck.focused_view
        finder = _Timed("needle")
        began = time.perf_counter()
        view.finder = finder
        view._scan(finder)
        first = 0.0
        while finder.scanned < buffer.end:
            await asyncio.sleep(0.001)
            first = first or (finder.slices[-1][1] if finder.matches else 0.0)
        first = first or finder.slices[-1][1]
    longest = max(end - start for start, end in finder.slices)
    return (first - began) * 1000, (finder.slices[-1][1] - began) * 1000, longest * 1000


def _left_behind(count: int) -> tuple[float, int, int]:
    """MiB that a process grows by while so many launches come and go, their screens and launches still there."""
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.ui_leak_child", str(count)],
        cwd=Path(__file__).resolve().parent.parent, capture_output=True, text=True, check=True,
    )  # fmt: skip
    grown, screens, launches = child.stdout.split()
    return float(grown), int(screens), int(launches)


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rounds = 4 if quick else 12
    rows = [Row("form of 40 keys opened, CPU", f"{statistics.median(asyncio.run(_form(rounds))):.1f} ms", "<= 50 ms")]
    plain = asyncio.run(_plain(rounds))
    rows.append(Row("a plain screen of Textual's painted, CPU", f"{plain:.1f} ms", "reference"))
    for name, times in asyncio.run(_switches(rounds)).items():
        median, worst = statistics.median(times), max(times)
        what = f"{name} painted, CPU (worst {worst:.0f} ms)"
        rows.append(Row(what, f"{median:.1f} ms", "<= 100 ms", f"{median / plain:.1f} x"))
    first, everything, longest = asyncio.run(_find())
    rows.append(Row(f"find in {_LINES:,} lines: first hit, in the newest line", f"{first:.0f} ms", "<= 50 ms"))
    rows.append(Row(f"find in {_LINES:,} lines: all looked at", f"{everything:.0f} ms"))
    rows.append(Row(f"find in {_LINES:,} lines: longest slice", f"{longest:.1f} ms", "<= 10 ms"))
    grown, screens, launches = _left_behind(100)
    rows.append(Row("100 launches of 2,000 lines come and go: growth", f"{grown:.1f} MiB", "bounded"))
    rows.append(Row("100 launches come and go: screens, logs left", f"{screens}, {launches}", "bounded"))
    return rows
