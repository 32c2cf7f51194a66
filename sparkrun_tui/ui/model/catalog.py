"""Recipes as the screens need them: all of them, those a query finds, and what one becomes with overrides."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from sparkrun_tui.base.errors import SparkrunError, Spot
from sparkrun_tui.base.settings import Cluster, Settings
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.recipe.model import BrokenRecipe, Problem, Recipe, Severity
from sparkrun_tui.recipe.search.entry import Entry, entry_of
from sparkrun_tui.recipe.search.index import Index
from sparkrun_tui.recipe.values.rendered import Rendered

if TYPE_CHECKING:
    from sparkrun_tui.engines.plan import Engine
    from sparkrun_tui.launch.sizing.sizing import FactsStore
    from sparkrun_tui.recipe.search.completion import QueryCompleter
    from sparkrun_tui.recipe.search.listing import Listing

AnyRecipe = Recipe | BrokenRecipe


_ANY = 64
"""Hosts of a cluster that is still to be chosen."""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster in force and what is known of its hosts' memory; hosts that were not asked yet are assumed."""

    cluster: Cluster | None = None
    memory: Mapping[str, HostMemory] | None = None

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of its hosts."""
        return self.cluster.hosts if self.cluster else ()

    @property
    def available(self) -> int:
        """How many hosts there are; as many as any recipe wants while no cluster is chosen."""
        return len(self.hosts) if self.cluster else _ANY

    @property
    def gpus(self) -> int:
        """GPUs of a host."""
        return self.cluster.gpus_per_host if self.cluster else 1


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A recipe with its overrides, on the hosts of a cluster; `estimate` is None when it cannot be told."""

    rendered: Rendered
    command: str
    """What runs, to be shown and copied: its secrets are variables."""
    engine: str
    estimate: Estimate | None
    hosts: int
    host_reason: str
    problems: tuple[Problem, ...]

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.rendered.recipe

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a launch."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)


class Catalog:
    """All recipes of a session, as entries; the recipe itself is loaded when it is looked at."""

    def __init__(self, settings: Settings, store: FactsStore | None = None) -> None:
        self.settings = settings
        self.store = store
        self.index = Index(())
        self._entries: dict[str, Entry] = {}
        self._completer: QueryCompleter | None = None
        self._folders: frozenset[str] = frozenset()
        self._loaded: dict[str, AnyRecipe] = {}
        self._shared: frozenset[str] = frozenset()
        self._alike: frozenset[tuple[str, str]] = frozenset()

    def listing(self) -> Listing:
        """The entries of all recipes, from the index cache where it holds (files: for a thread)."""
        from sparkrun_tui.recipe.search.listing import list_recipes

        return list_recipes(self.settings)

    def take(self, listing: Listing) -> None:
        """Show these entries from now on; recipes are loaded anew when they are looked at."""
        self._entries = {entry.source.path: entry for entry in listing.entries}
        self._loaded = {}
        self._index()

    @property
    def completer(self) -> QueryCompleter:
        """What completes a query line, by the values that these entries have."""
        if self._completer is None:
            from sparkrun_tui.recipe.search.completion import QueryCompleter

            self._completer = QueryCompleter(self._entries.values())
        return self._completer

    @property
    def folders(self) -> frozenset[str]:
        """The folders that hold recipes, with the user's own even when they are empty."""
        return self._folders

    def _index(self) -> None:
        self._completer = None
        found = {os.path.dirname(path) for path in self._entries} | set(map(str, self.settings.recipe_dirs))
        self._folders = frozenset(found)
        self.index = Index(self._entries.values())
        counts = Counter(entry.name for entry in self._entries.values())
        self._shared = frozenset(name for name, count in counts.items() if count > 1)
        stems = Counter(_stem_in(entry) for entry in self._entries.values() if entry.name in self._shared)
        self._alike = frozenset(stem for stem, count in stems.items() if count > 1)

    def entry(self, key: str) -> Entry | None:
        """The entry whose file is `key`."""
        return self._entries.get(key)

    def recipe(self, key: str) -> AnyRecipe | None:
        """The recipe whose file is `key`; the first time it is read."""
        found = self._loaded.get(key)
        entry = self._entries.get(key)
        if found is None and entry is not None:
            from sparkrun_tui.recipe.format.loader import load_file

            found = self._loaded[key] = load_file(key, entry.source)
        return found

    def loaded(self, key: str) -> AnyRecipe | None:
        """The recipe whose file is `key`, if it has been read already."""
        return self._loaded.get(key)

    def reread(self, key: str) -> None:
        """Read one file again, after it was edited."""
        self._loaded.pop(key, None)
        recipe = self.recipe(key)
        if recipe is not None:
            self._entries[key] = entry_of(recipe)
            self._index()

    def title(self, entry: Entry) -> str:
        """The name of a recipe, or of its file where several recipes have the same name."""
        if entry.name not in self._shared:
            return entry.name
        stem = _stem_in(entry)
        return entry.file_name if stem in self._alike else stem[1]

    def search(self, query: str, fits: Callable[[Entry], str]) -> list[Entry]:
        """The entries that a query line finds, best first."""
        return self.index.search(query, fits)

    def evaluate(
        self, recipe: Recipe, overrides: Mapping[str, str], view: ClusterView, *, checks: bool = True
    ) -> Evaluation:
        """What a recipe becomes with overrides on a cluster: command, memory, number of hosts, problems.

        Without `checks` the problems are only those that a verdict needs: for the rows of a list.
        """
        from sparkrun_tui.launch.sizing.judging import guarded, judged_render

        rendered = judged_render(recipe, overrides, self.settings.defaults)
        found = guarded("judging the recipe", recipe, lambda: self._evaluate(recipe, rendered, view, checks))
        if isinstance(found, Problem):
            problems = _unique([*recipe.problems, *rendered.problems, found])
            return Evaluation(rendered, rendered.command or "", recipe.runtime, None, recipe.min_nodes, "", problems)
        return found

    def _evaluate(self, recipe: Recipe, rendered: Rendered, view: ClusterView, checks: bool) -> Evaluation:
        from sparkrun_tui.recipe.values.masking import concealed, problem_shown, redactor

        problems = [*recipe.problems, *rendered.problems, *(self._checked(rendered, view.gpus) if checks else ())]
        engine = _engine(recipe.runtime)
        hidden = concealed(rendered).rendered
        command, title = hidden.command or "", recipe.runtime
        hosts, reason = recipe.min_nodes, ""
        if engine is None:
            # The checks say so, too.
            told = f"`{recipe.runtime}` cannot be launched here: it can only be looked at"
            problems += [] if checks else [_note(told)]
        else:
            title = engine.title
            try:
                command = engine.command(hidden)
                problems += engine.check(rendered)
                hosts, reason = engine.host_count(rendered, view.available, view.gpus)
            except SparkrunError as error:
                problems.append(Problem(Severity.ERROR, "cannot-run-here", error.what, error.spot, error.remedy))
                reason = error.what
        estimate = self._estimate(rendered, view, hosts, problems)
        if checks:
            redact = redactor(rendered=rendered)
            problems = [problem_shown(problem, redact) for problem in problems]
        return Evaluation(rendered, command, title, estimate, hosts, reason, _unique(problems))

    def _checked(self, rendered: Rendered, gpus: int) -> tuple[Problem, ...]:
        from sparkrun_tui.engines.checks.validation import validate
        from sparkrun_tui.launch.sizing.sizing import attention_heads

        heads = attention_heads(rendered, self.store)
        return validate(rendered.recipe, rendered, attention_heads=heads, gpus_per_host=gpus)

    def _estimate(self, rendered: Rendered, view: ClusterView, hosts: int, problems: list[Problem]) -> Estimate | None:
        from sparkrun_tui.launch.sizing.sizing import size
        from sparkrun_tui.memory.estimate import assumed_spark

        known = view.memory or {}
        names = view.hosts[:hosts]
        memory = [known.get(name) or replace(assumed_spark(name), gpus=view.gpus) for name in names]
        try:
            return size(rendered, memory, self.store)
        except SparkrunError as error:
            problems.append(Problem(Severity.WARNING, "no-estimate", error.what, error.spot, error.remedy))
        except Exception as error:  # a defect of the estimate must not end the app while a launch runs
            text = f"the memory estimate failed: {type(error).__name__}: {error}"
            problems.append(Problem(Severity.WARNING, "no-estimate", text, None, "please report this recipe"))
        return None


def _stem_in(entry: Entry) -> tuple[str, str]:
    """What tells the file of a recipe from others at a glance: where it comes from, and its name."""
    return f"{entry.source.kind}/{entry.source.registry}", Path(entry.source.path).stem


def _engine(runtime: str) -> Engine | None:
    from sparkrun_tui.engines.registry import ENGINES

    return ENGINES.get(runtime)


def _note(text: str) -> Problem:
    return Problem(Severity.ERROR, "unknown-engine", text)


def _unique(problems: Sequence[Problem]) -> tuple[Problem, ...]:
    order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
    seen: dict[tuple[str, str, Spot | None], Problem] = {}
    for problem in problems:
        seen.setdefault((problem.code, problem.message, problem.spot), problem)
    return tuple(sorted(seen.values(), key=lambda problem: order[problem.severity]))
