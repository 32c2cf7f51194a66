"""Finds the recipe that a simulated container was launched from, by its labels; makes one up where there is none."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping

import yaml

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.settings import Settings
from sparkrun_tui.demo.engines.figures import weights_by_name, weights_of
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.sizing.sizing import FactsStore
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.sources import all_recipes
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered


class Catalog:
    """The recipes that can be found, read when they are first asked for. Safe for use by many threads."""

    def __init__(
        self, settings: Settings | None = None, recipes: Iterable[Recipe] = (), store: FactsStore | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._known = list(recipes)
        self.store = store
        """What is known of models besides what recipes say."""
        self._read = False
        self._lock = threading.Lock()

    def rendered(self, labels: Mapping[str, str], script: str) -> Rendered:
        """The recipe of a container's labels with its overrides; `script` is what the container serves with."""

        def label(name: str) -> str:
            return labels.get(f"{LABEL}{name}", "")

        try:
            settings = json.loads(label("settings") or "{}")
        except ValueError:
            settings = {}
        overrides = {str(key): str(value) for key, value in settings.items()} if isinstance(settings, dict) else {}
        recipe = self._by_digest(label("recipe-digest")) or _made_up(
            label("model"), label("engine"), label("image"), script
        )
        return render(recipe, overrides, self._settings.defaults)

    def weigh(self, model: str) -> int:
        """Bytes of a model's weights, by its name in recipes."""
        for recipe in (*self._known, *self._recipes()):
            if recipe.model == model or recipe.model.partition(":")[0] == model:
                return weights_of(render(recipe, {}, self._settings.defaults), self.store)
        return weights_by_name(model)

    def _by_digest(self, digest: str) -> Recipe | None:
        known = next((recipe for recipe in self._known if digest and recipe.digest == digest), None)
        return known or next((recipe for recipe in self._recipes() if digest and recipe.digest == digest), None)

    def _recipes(self) -> list[Recipe]:
        with self._lock:
            if not self._read:
                self._read = True
                try:
                    found = [recipe for recipe in all_recipes(self._settings) if isinstance(recipe, Recipe)]
                except (SparkrunError, OSError):
                    found = []  # what is there will do: a model that no recipe names goes by its name
                self._known = [*self._known, *found]
            return self._known


def _made_up(model: str, engine: str, image: str, script: str) -> Recipe:
    """A recipe that would have led to this container."""
    billions = weights_by_name(model) / 2e9
    text = yaml.safe_dump(
        {
            "model": model or "unknown/model-8B",
            "runtime": engine,
            "container": image,
            "metadata": {"model_params": f"{billions:.2f}B", "model_dtype": "bf16"},
            "command": script,
        }
    )
    return load_text(text, Source(SourceKind.PATH, "demo.yaml"))
