"""A keystroke in the search box, and the form: matching and repaint, beside an OptionList of as many rows."""

from __future__ import annotations

import asyncio
import statistics
import time
from dataclasses import replace
from pathlib import Path

from textual.app import App, ComposeResult
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from benchmarks.made_recipes import recipe
from benchmarks.table import Row
from sparkrun_tui.base.settings import Cluster, Settings
from sparkrun_tui.recipe.entry import entry_of
from sparkrun_tui.recipe.listing import Listing
from sparkrun_tui.recipe.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.ui.app import SparkrunApp
from sparkrun_tui.ui.session import Session

_QUERY = "qwen3 coder 35b fp8"


def _recipes(count: int) -> list[Recipe]:
    """Some are parsed, the rest are copies with another name: parsing is measured elsewhere."""
    parsed = [_parsed(number) for number in range(min(count, 200))]
    made = []
    for number in range(count):
        name, _ = recipe(number)
        source = Source(SourceKind.USER, f"/made/{name}.yaml")
        made.append(replace(parsed[number % len(parsed)], name=name, source=source))
    return made


def _parsed(number: int) -> Recipe:
    name, text = recipe(number)
    return load_text(text, Source(SourceKind.USER, f"/made/{name}.yaml"))


class Listed(App[None]):
    """The same with Textual's own list."""

    def __init__(self, names: list[str]) -> None:
        super().__init__()
        self.names = names

    def compose(self) -> ComposeResult:
        """A box and a list."""
        yield Input()
        yield OptionList(*self.names)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list."""
        words = event.value.split()
        options = self.query_one(OptionList)
        options.clear_options()
        options.add_options([name for name in self.names if all(word in name for word in words)])


async def _typed(pilot: Pilot[object], box: Input) -> list[float]:
    """Milliseconds from each keystroke until the app is idle again."""
    times = []
    for end in range(1, len(_QUERY) + 1):
        began = time.process_time()
        box.value = _QUERY[:end]
        await pilot.pause()
        times.append((time.process_time() - began) * 1000)
    return times


async def _ours(count: int) -> tuple[list[float], float, float]:
    settings = Settings(clusters=(Cluster("lab", ("spark-1", "spark-2")),))
    app = SparkrunApp(Session(settings, backend=_quiet()))
    made = _recipes(count)
    catalog = app.state.catalog
    by_path = {item.source.path: entry_of(item) for item in made}
    catalog.listing = lambda: Listing(by_path, {})  # type: ignore[method-assign]
    loaded = {item.source.path: item for item in made}
    catalog.recipe = loaded.get  # type: ignore[method-assign, assignment]
    async with app.run_test(size=(120, 40)) as pilot:
        while not app.loaded:
            await pilot.pause(0.02)
        await pilot.pause(0.2)
        times = await _typed(pilot, app.screen.query_one("#search", Input))  # type: ignore[arg-type]
        app.screen.query_one("#search", Input).value = ""
        await pilot.pause(0.3)
        await pilot.press("down")
        moves = []
        for _ in range(10):
            began = time.process_time()
            app.screen.query_one("#recipes").do_down()  # type: ignore[attr-defined]
            await pilot.pause()
            moves.append((time.process_time() - began) * 1000)
        steps = await _stepped(app, pilot)  # type: ignore[arg-type]
    return times, statistics.median(moves), steps


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


async def _theirs(count: int) -> list[float]:
    app = Listed([recipe(number)[0] for number in range(count)])
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.2)
        return await _typed(pilot, app.query_one(Input))  # type: ignore[arg-type]


def _quiet() -> object:
    from benchmarks.quiet import QuietBackend

    return QuietBackend()


def run(quick: bool = False) -> list[Row]:
    """Measure."""
    rows = []
    for count, goal in ((500, 15), (5000, 20), (20000, 40))[: 2 if quick else 3]:
        times, move, step = asyncio.run(_ours(count))
        reference = statistics.median(asyncio.run(_theirs(count)))
        median, worst = statistics.median(times), max(times)
        what = f"search keystroke, {count:,} recipes (worst {worst:.0f} ms)"
        rows.append(Row(what, f"{median:.1f} ms", f"<= {goal} ms", f"{median / reference:.2f} x OptionList"))
        rows.append(Row(f"next recipe to its detail painted, {count:,}", f"{move:.1f} ms", "<= 16 ms"))
        rows.append(Row(f"value changed to command and bar painted, {count:,}", f"{step:.1f} ms", "<= 25 ms"))
    return rows


if __name__ == "__main__":
    print(Path(__file__).name, *run(), sep="\n")
