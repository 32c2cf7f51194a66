"""Finds the recipe of a simulated container by its labels; without one, invents a recipe that fits."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Mapping

import yaml

from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.demo.engines.figures import weights_by_name, weights_of
from sparkrun_tui.engines.plan import LABEL
from sparkrun_tui.launch.sizing.sizing import FactsStore
from sparkrun_tui.recipe.format.loader import load_text
from sparkrun_tui.recipe.model import Recipe, Source, SourceKind
from sparkrun_tui.recipe.search.sources import all_recipes
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered


class Catalog:
    """The recipes that can be found, read at the first use. Safe for use by several threads."""

    def __init__(
        self, settings: Settings | None = None, recipes: Iterable[Recipe] = (), store: FactsStore | None = None
    ) -> None:
        self._settings = settings or Settings()
        self._known = list(recipes)
        self.store = store
        """Facts of models, in addition to those in recipes."""
        self._read = False
        self._lock = threading.Lock()

    def rendered(self, labels: Mapping[str, str], script: str) -> Rendered:
        """The recipe of a container's labels with its overrides; `script` is the container's serve script."""

        def label(name: str) -> str:
            return labels.get(f"{LABEL}{name}", "")

        try:
            settings = json.loads(label("settings") or "{}")
        except ValueError:
            settings = {}
        overrides: dict[str, str] = {}
        if isinstance(settings, dict):
            overrides = {str(key): str(value) for key, value in settings.items()}
        recipe = self._by_digest(label("recipe-digest"))
        if recipe is None:
            recipe = _made_up(label("model"), label("engine"), label("image"), script)
        return render(recipe, overrides, self._settings.defaults)

    def weigh(self, model: str) -> int:
        """Bytes of the weights of a model, by its name in recipes."""
        for recipe in (*self._known, *self._recipes()):
            if recipe.model == model or recipe.model.partition(":")[0] == model:
                return weights_of(render(recipe, {}, self._settings.defaults), self.store)
        return weights_by_name(model)

    def _by_digest(self, digest: str) -> Recipe | None:
        if not digest:
            return None
        for recipe in self._known:
            if recipe.digest == digest:
                return recipe
        for recipe in self._recipes():
            if recipe.digest == digest:
                return recipe
        return None

    def _recipes(self) -> list[Recipe]:
        with self._lock:
            if not self._read:
                self._read = True
                try:
                    found = [recipe for recipe in all_recipes(self._settings) if isinstance(recipe, Recipe)]
                except (SparkrunError, OSError):
                    # Models that no known recipe names are sized by their names.
                    found = []
                self._known = [*self._known, *found]
            return self._known


def _made_up(model: str, engine: str, image: str, script: str) -> Recipe:
    """A recipe that fits a container's labels and serve script."""
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
