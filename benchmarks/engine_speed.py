"""What a keystroke costs below the screen: rendering, problems and the memory estimate; and ten thousand recipes."""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from benchmarks.made_recipes import home_with, recipe
from benchmarks.table import Row
from sparkrun_tui.base.disk.paths import bundled_recipes
from sparkrun_tui.base.user.settings import load_settings
from sparkrun_tui.engines.checks.validation import validate
from sparkrun_tui.engines.search_words import search_words
from sparkrun_tui.launch.sizing.evaluation import Target, fits
from sparkrun_tui.launch.sizing.sizing import size
from sparkrun_tui.recipe.format.loader import load_recipe
from sparkrun_tui.recipe.search.index import Index
from sparkrun_tui.recipe.search.listing import finish, list_recipes
from sparkrun_tui.recipe.values.overrides import render

_QUERY = "qwen3 coder 35b fp8"


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def _keystrokes() -> list[Row]:
    """Each bundled recipe with one value changed: what the engine does before anything is painted."""
    recipes = [load_recipe(path) for path in sorted(bundled_recipes().glob("*.yaml"))]
    parts: dict[str, list[float]] = {"render": [], "problems": [], "memory estimate": [], "all of it": []}
    for number in range(3):
        for item in recipes:
            values = {"max_model_len": str(8192 + 1024 * number), "ctx_size": str(8192 + 1024 * number)}
            overrides = {key: value for key, value in values.items() if key in item.defaults}
            rendered = render(item, overrides)
            figures = (
                _timed(lambda item=item, overrides=overrides: render(item, overrides)),
                _timed(lambda item=item, rendered=rendered: validate(item, rendered, {})),
                _timed(lambda rendered=rendered: size(rendered, ())),
            )
            if number:
                for name, figure in zip(parts, (*figures, sum(figures)), strict=True):
                    parts[name].append(figure)
    goals = {"memory estimate": "<= 5 ms", "all of it": "<= 10 ms"}
    return [
        Row(
            f"{name}, one changed value (worst {max(times):.1f} ms)",
            f"{statistics.median(times):.2f} ms",
            goals.get(name, ""),
        )
        for name, times in parts.items()
    ]


def _many(count: int) -> list[Row]:
    """From files to a list and back from the index cache; then a query typed letter by letter."""
    with tempfile.TemporaryDirectory() as folder, mock.patch.dict(os.environ, home_with(Path(folder), count)):
        settings = load_settings()
        cold = _timed(lambda: list_recipes(settings, search_words))
        rest = _timed(lambda: finish(list_recipes(settings, search_words)))
        warm = _timed(lambda: Index(list_recipes(settings, search_words).entries))
        index = Index(list_recipes(settings, search_words).entries)
        judge = fits(Target(), settings.defaults)
        judging = _timed(lambda: [judge(entry) for entry in index.entries])
        times = [_timed(lambda end=end: index.search(_QUERY[:end])) for end in range(1, len(_QUERY) + 1)]
    return [
        Row(f"{count:,} recipes, cold to a usable list", f"{cold:.0f} ms", "<= 1500 ms"),
        Row(f"{count:,} recipes, the rest read in the background", f"{rest:.0f} ms"),
        Row(f"{count:,} recipes, warm index to a list", f"{warm:.0f} ms", "<= 300 ms"),
        Row(f"verdicts of all {count:,} recipes (`fits:`), nothing kept", f"{judging:.0f} ms", "<= 5000 ms"),
        Row(
            f"keystroke to a filtered list (worst {max(times):.0f} ms)",
            f"{statistics.median(times):.1f} ms",
            "<= 16 ms",
        ),
    ]


def _names(count: int) -> list[str]:
    return [recipe(number)[0] for number in range(count)]


def run(quick: bool = False) -> list[Row]:
    """Measure; the reference is a plain substring scan over as many names."""
    count = 2_000 if quick else 10_000
    names = _names(count)
    scan = statistics.median(_timed(lambda: [name for name in names if "35b" in name]) for _ in range(9))
    return [Row(f"substring scan over {count:,} names", f"{scan:.2f} ms", "reference"), *_keystrokes(), *_many(count)]
