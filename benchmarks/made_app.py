"""The app over made recipes and an engine without hosts, and launches that are over: what screens are timed with."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from textual.pilot import Pilot

from benchmarks.made_recipes import recipe
from benchmarks.quiet import QuietBackend
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.record.events import LaunchBegan, LaunchStatus, StatusChanged
from sparkrun_tui.launch.record.fold import fold
from sparkrun_tui.launch.record.logs import LogBuffer
from sparkrun_tui.launch.record.state import LaunchState
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.listing import Listing
from sparkrun_tui.recipe.search.summary import entry_of
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session

FORTY = "/made/forty.yaml"
"""The file of the recipe whose form has forty keys."""


def _parsed(name: str, text: str) -> Recipe:
    return load_text(text, Source(SourceKind.USER, f"/made/{name}.yaml"))


def forty_keys() -> Recipe:
    """A recipe with forty keys, those of any recipe first."""
    _, text = recipe(0)
    more = "".join(f"  key_{number}: {number}\n" for number in range(40 - 5))
    return _parsed("forty", text.replace("defaults:\n", f"defaults:\n{more}"))


def made_recipes(count: int) -> list[Recipe]:
    """Some are parsed, the rest are copies with another name: parsing is measured elsewhere."""
    parsed = [_parsed(*recipe(number)) for number in range(min(count, 200))]
    made = []
    for number in range(count):
        name, _ = recipe(number)
        source = Source(SourceKind.USER, f"/made/{name}.yaml")
        made.append(replace(parsed[number % len(parsed)], name=name, source=source))
    return made


def made_app(recipes: list[Recipe]) -> SparkrunApp:
    """The app that lists these recipes; it reads no file and asks no host."""
    settings = Settings(clusters=(Cluster("lab", ("spark-1", "spark-2")),))
    backend: Any = QuietBackend()
    app = SparkrunApp(Session(settings, backend=backend))
    catalog: Any = app.state.catalog
    entries = {item.source.path: entry_of(item, search_words()) for item in recipes}
    catalog.listing = lambda: Listing(entries, {}, search_words)
    catalog.recipe = {item.source.path: item for item in recipes}.get
    return app


async def ready(app: SparkrunApp, pilot: Pilot[Any]) -> None:
    """Wait until the recipes are listed and everything that follows is done."""
    while not app.loaded:
        await pilot.pause(0.02)
    await pilot.pause(0.3)


def finished_launch(name: str, logs: dict[str, LogBuffer]) -> Any:
    """A launch that was cancelled, with these logs."""
    began = LaunchBegan(
        launch_id=name, recipe=name, engine="vllm", model="m", cluster="lab", hosts=tuple(logs), port=8000
    )
    state = fold(fold(LaunchState(), began), StatusChanged(status=LaunchStatus.CANCELLED, time=1.0))
    return SimpleNamespace(launch_id=name, state=state, revision=2, logs=logs, rendered=None)
