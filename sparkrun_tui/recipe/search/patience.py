"""Bounds the time that walks over all recipes give those that include others.

The files of a registry are bounded in size, so that reading each once takes bounded time. A recipe that includes others
reads them, too: thousands of small ones may each read the largest.
"""

from __future__ import annotations

import time

from sparkrun_tui.recipe.format import loader
from sparkrun_tui.recipe.model import BrokenRecipe, Recipe, Source

LIMIT = 5.0
"""Seconds for all recipes of one folder that include others, or cannot be read."""


class Patience:
    """Reads the recipes of one walk; once a folder has had its time, no more of it are read."""

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._spent: dict[str, float] = {}

    def load(self, path: str, source: Source) -> Recipe | BrokenRecipe | None:
        """The recipe at `path`, None when the time of its folder is over; never raises."""
        root = source.root or source.path
        spent = self._spent.get(root, 0.0)
        if spent > self._limit:
            return None
        begun = time.monotonic()
        recipe = loader.load_file(path, source)
        if isinstance(recipe, BrokenRecipe) or recipe.included:
            self._spent[root] = spent + time.monotonic() - begun
        return recipe
