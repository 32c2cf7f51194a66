"""A keystroke in the search box, and the form: matching and repaint, beside an OptionList of as many rows."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, OptionList

from benchmarks.made_app import made_app, made_recipes, ready
from benchmarks.made_recipes import recipe
from benchmarks.table import Row
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.widgets.recipe_list import RecipeList

_QUERY = "qwen3 coder 35b fp8"


class Listed(App[None]):
    """The same with Textual's own list."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names
        self.found = names

    def compose(self) -> ComposeResult:
        """A box and a list."""
        yield Input()
        yield OptionList(*self.names)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        words = event.value.split()
        options = self.query_one(OptionList)
        options.clear_options()
        self.found = [name for name in self.names if all(word in name for word in words)]
        options.add_options(self.found)


@dataclass(frozen=True, slots=True)
class Typed:
    """Milliseconds of processor time, one figure a keystroke."""

    listed: list[float]
    """Until the filtered list is painted."""
    rested: list[float]
    """Until everything that follows is done too: the detail of the best match, verdicts of rows that came in sight."""


async def _typed(pilot: Pilot[object], box: Input, shown: Widget, found: Callable[[], object]) -> Typed:
    """Type the query; `shown` is the widget that lists what is found, `found` gives another object for each search."""
    painted = asyncio.Event()
    paint = shown.render_lines
    before = found()

    def painting(crop: Region) -> list[Strip]:
        if found() is not before:
            painted.set()  # whoever waits goes on when the whole screen has been painted and written
        return paint(crop)

    shown.render_lines = painting  # type: ignore[method-assign]
    listed, rested = [], []
    for end in range(1, len(_QUERY) + 1):
        before = found()
        painted.clear()
        began = time.process_time()
        box.value = _QUERY[:end]
        await painted.wait()
        listed.append((time.process_time() - began) * 1000)
        await pilot.pause()
        rested.append((time.process_time() - began) * 1000)
    shown.render_lines = paint  # type: ignore[method-assign]
    return Typed(listed, rested)


async def _ours(count: int) -> tuple[Typed, tuple[float, float], float]:
    app = made_app(made_recipes(count))
    async with app.run_test(size=(120, 40)) as pilot:
        await ready(app, pilot)
        screen = app.screen
        shown = screen.query_one("#recipes", RecipeList)
        times = await _typed(pilot, screen.query_one("#search", Input), shown, lambda: shown.rows)
        app.screen.query_one("#search", Input).value = ""
        await pilot.pause(0.3)
        await pilot.press("down")
        still, scrolling = await _moved(screen.query_one("#recipes", RecipeList), pilot)
        steps = await _stepped(app, pilot)  # type: ignore[arg-type]
    return times, (still, scrolling), steps


async def _moved(shown: RecipeList, pilot: Pilot[Any]) -> tuple[float, float]:
    """Milliseconds from one recipe to the next one's detail: while the list stands still, and while it scrolls."""
    still: list[float] = []
    scrolling: list[float] = []
    # Wherever an earlier session or the search has left the cursor.
    shown.do_first()
    await pilot.pause(0.3)
    for _ in range(2 * shown.size.height):
        before = shown.top
        began = time.process_time()
        shown.do_down()
        await pilot.pause()
        took = (time.process_time() - began) * 1000
        into = still if shown.top == before else scrolling
        into.append(took)
    return statistics.median(still), statistics.median(scrolling)


async def _stepped(app: SparkrunApp, pilot: Pilot[object]) -> float:
    """Milliseconds from a changed value until command and memory picture are painted."""
    await pilot.press("o")
    form = app.screen.query_one("#form")
    form.select("max_model_len")  # type: ignore[attr-defined]
    times = []
    for _ in range(10):
        began = time.process_time()
        form.do_more()  # type: ignore[attr-defined]
        await pilot.pause()
        times.append((time.process_time() - began) * 1000)
    return statistics.median(times)


async def _theirs(count: int) -> Typed:
    app = Listed([recipe(number)[0] for number in range(count)])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.2)
        return await _typed(pilot, app.query_one(Input), app.query_one(OptionList), lambda: app.found)


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rows = []
    for count, goal, most in ((500, 15, 40), (5000, 16, 40), (10000, 16, 40), (20000, 40, 80))[: 2 if quick else 4]:
        times, move, step = asyncio.run(_ours(count))
        reference = statistics.median(asyncio.run(_theirs(count)).listed)
        median, worst = statistics.median(times.listed), max(times.listed)
        what = f"search keystroke to filtered list painted, {count:,} recipes"
        rows.append(Row(what, f"{median:.1f} ms", f"<= {goal} ms", f"{median / reference:.2f} x OptionList"))
        rows.append(Row("  its worst", f"{worst:.1f} ms", f"<= {most} ms", ""))
        rested = statistics.median(times.rested)
        rows.append(Row("  with the detail and verdicts that follow", f"{rested:.1f} ms", "", ""))
        still, scrolling = move
        rows.append(Row(f"next recipe to its detail painted, list still, {count:,}", f"{still:.1f} ms", "<= 7 ms"))
        rows.append(Row(f"next recipe to its detail painted, scrolling, {count:,}", f"{scrolling:.1f} ms", "<= 9 ms"))
        rows.append(Row(f"value changed to command and bar painted, {count:,}", f"{step:.1f} ms", "<= 25 ms"))
    return rows


if __name__ == "__main__":
    print(Path(__file__).name, *run(), sep="\n")
