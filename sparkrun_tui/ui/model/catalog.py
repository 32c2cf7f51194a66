"""Recipes as the screens need them: all, those that match a query, and one with overrides applied."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard

if TYPE_CHECKING:
    from sparkrun_tui.base.user.settings import Settings
    from sparkrun_tui.launch.sizing.evaluation import Evaluation, Target
    from sparkrun_tui.launch.sizing.sizing import FactsStore
    from sparkrun_tui.recipe.model import BrokenRecipe, Recipe, Source
    from sparkrun_tui.recipe.search.completion import QueryCompleter
    from sparkrun_tui.recipe.search.entry import Entry
    from sparkrun_tui.recipe.search.index import Index
    from sparkrun_tui.recipe.search.listing import Listing

AnyRecipe: TypeAlias = "Recipe | BrokenRecipe"


def is_recipe(found: AnyRecipe | None) -> TypeGuard[Recipe]:
    """Whether a recipe is there and could be read."""
    if found is None:
        return False
    from sparkrun_tui.recipe.model import Recipe  # not before the first paint

    return isinstance(found, Recipe)


class Catalog:
    """All recipes of a session, as entries; a recipe itself is loaded when it is first used."""

    def __init__(self, settings: Settings, store: FactsStore | None = None) -> None:
        self.settings = settings
        self.store = store
        self._listed = False
        self._searched: Index | None = None
        self._entries: dict[str, Entry] = {}
        self._completer: QueryCompleter | None = None
        self._folders: frozenset[str] = frozenset()
        self._loaded: dict[str, AnyRecipe] = {}
        self._shared: frozenset[str] = frozenset()
        self._alike: frozenset[tuple[str, str]] = frozenset()
        self.longest = 0
        """The cells of the longest title."""

    def listing(self) -> Listing:
        """The entries of all recipes, from the index cache where it is valid. Reads files: call it in a thread."""
        from sparkrun_tui.engines.search_words import search_words
        from sparkrun_tui.recipe.search.listing import list_recipes

        return list_recipes(self.settings, search_words)

    def first_entries(self, count: int) -> list[Entry]:
        """The first recipes, for a first look while all are read. Reads files: call it in a thread."""
        from sparkrun_tui.recipe.search.listing import first_entries

        return first_entries(self.settings, count)

    def take(self, listing: Listing) -> None:
        """Use these entries from now on; recipes are loaded again when they are used."""
        self._listed = True
        self._entries = {entry.source.path: entry for entry in listing.entries}
        self._loaded = {}
        self._index()

    @property
    def completer(self) -> QueryCompleter:
        """What completes a query line, from the values in these entries."""
        if self._completer is None:
            from sparkrun_tui.recipe.search.completion import QueryCompleter

            self._completer = QueryCompleter(self._entries.values())
        return self._completer

    @property
    def folders(self) -> frozenset[str]:
        """The folders of recipes, including the user's own when they are empty."""
        return self._folders

    def _index(self) -> None:
        self._completer = None
        found = {os.path.dirname(path) for path in self._entries} | set(map(str, self.settings.recipe_dirs))
        self._folders = frozenset(found)
        self._searched = None
        counts = Counter(entry.name for entry in self._entries.values())
        self._shared = frozenset(name for name, count in counts.items() if count > 1)
        stems = Counter(_stem_in(entry) for entry in self._entries.values() if entry.name in self._shared)
        self._alike = frozenset(stem for stem, count in stems.items() if count > 1)
        self.longest = max((len(self.title(entry)) for entry in self._entries.values()), default=0)

    @property
    def index(self) -> Index:
        """What searches them; made when it is first used."""
        if self._searched is None:
            from sparkrun_tui.recipe.search.index import Index  # not before the first paint

            self._searched = Index(self._entries.values())
        return self._searched

    @property
    def entries(self) -> Sequence[Entry]:
        """The entries of all recipes."""
        return tuple(self._entries.values())

    @property
    def count(self) -> int:
        """How many recipes there are."""
        return len(self._entries)

    def entry(self, key: str) -> Entry | None:
        """The entry whose file is `key`; None when there is none."""
        return self._entries.get(key)

    def recipe(self, key: str) -> AnyRecipe | None:
        """The recipe whose file is `key`, read the first time; None when there is none.

        Before recipes are listed it is one that the list will have: a file in a folder of the settings.
        """
        found = self._loaded.get(key)
        if found is None:
            source = self._source(key)
            if source is not None:
                from sparkrun_tui.recipe.format.loader import load_file  # not before the first paint

                found = self._loaded[key] = load_file(key, source)
        return found

    def _source(self, key: str) -> Source | None:
        entry = self._entries.get(key)
        if entry is not None:
            return entry.source
        if self._listed or not key:
            return None
        from sparkrun_tui.recipe.search.folders import own_folders, source_in  # not before the first paint

        found = source_in(own_folders(self.settings), key)
        if found is None:
            from sparkrun_tui.recipe.registry.registries import registry_folders

            found = source_in(registry_folders(self.settings), key)
        return found

    def loaded(self, key: str) -> AnyRecipe | None:
        """The recipe whose file is `key`, if it has been read already."""
        return self._loaded.get(key)

    def including(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """The files that these recipes include, as far as they are read, each with the recipes that include it."""
        found: dict[str, list[str]] = {}
        for key in keys:
            recipe = self._loaded.get(key)
            if not is_recipe(recipe):
                continue
            for file in recipe.included:
                found.setdefault(file.path, []).append(key)
        return found

    def reread(self, key: str) -> None:
        """Read one file again, after it was edited."""
        from sparkrun_tui.engines.search_words import search_words
        from sparkrun_tui.recipe.search.summary import entry_of

        self._loaded.pop(key, None)
        recipe = self.recipe(key)
        if recipe is not None:
            self._entries[key] = entry_of(recipe, search_words())
            self._index()

    def title(self, entry: Entry) -> str:
        """The name of a recipe, or of its file where several recipes have the same name."""
        if entry.name not in self._shared:
            return entry.name
        stem = _stem_in(entry)
        return entry.file_name if stem in self._alike else stem[1]

    def search(self, query: str, fits: Callable[[Entry], str]) -> list[Entry]:
        """The entries that match a query line, best first; all of them in their order for an empty one."""
        if not query:
            return list(self._entries.values())
        return self.index.search(query, fits)

    def evaluate(
        self, recipe: Recipe, overrides: Mapping[str, str], target: Target, *, checks: bool = True
    ) -> Evaluation:
        """What a recipe becomes with overrides on a target: command, memory, number of hosts, problems."""
        from sparkrun_tui.launch.sizing.evaluation import evaluate

        defaults = self.settings.defaults
        return evaluate(recipe, overrides, target, user_defaults=defaults, store=self.store, checks=checks)


def _stem_in(entry: Entry) -> tuple[str, str]:
    """The origin of a recipe and the name of its file without ending."""
    return f"{entry.source.kind}/{entry.source.registry}", Path(entry.source.path).stem
