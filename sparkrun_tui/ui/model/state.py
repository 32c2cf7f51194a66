"""What the app holds while it is open: the current cluster, and overrides and verdicts by recipe."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Iterable, Mapping
from dataclasses import field, replace
from typing import TYPE_CHECKING

from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.ui.model.catalog import Catalog, is_recipe
from sparkrun_tui.ui.model.edits import Edits
from sparkrun_tui.ui.model.layout import Layout
from sparkrun_tui.ui.model.list_order import ListOrder
from sparkrun_tui.ui.model.rows import Figures

if TYPE_CHECKING:
    from sparkrun_tui.fleet.world import World
    from sparkrun_tui.launch.sizing.evaluation import Evaluation, Target
    from sparkrun_tui.launch.sizing.suggestions import Suggestion
    from sparkrun_tui.memory.result import HostMemory
    from sparkrun_tui.recipe.model import Recipe
    from sparkrun_tui.recipe.search.listing import Listing
    from sparkrun_tui.ui.model.catalog import AnyRecipe

SUPPOSED = "supposed"
"""The sign of a recipe that fits an idle Spark, where its own hosts have not been asked or do not answer."""


@dataclass(frozen=True, slots=True)
class HostMark:
    """What the top bar and the cluster picker show of a host: its dot's state, and why it is down."""

    state: str = "unknown"
    problem: str = ""
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class _Judged:
    """A verdict, and whether a host of it is only supposed to be idle."""

    level: str
    supposed: bool = False
    figures: Figures | None = None


@dataclass(slots=True)
class AppState:
    """The mutable state behind the screens, which read it and are called when it changes."""

    settings: Settings
    catalog: Catalog
    cluster: Cluster | None = None
    query: str = ""
    selected: str = ""
    wanted: str = ""
    """The lasting place of the recipe to select once recipes are there."""
    edits: dict[str, Edits] = field(default_factory=dict)
    added_clusters: list[Cluster] = field(default_factory=list)
    _saved: dict[str, dict[str, str]] = field(default_factory=dict)
    order: ListOrder = field(default_factory=ListOrder)
    layout: Layout = field(default_factory=Layout)
    """How the list of recipes is sorted and laid out."""
    _verdicts: dict[str, _Judged] = field(default_factory=dict)
    _evaluated: tuple[str, Mapping[str, str], Evaluation] | None = None
    _suggested: tuple[Evaluation, tuple[Suggestion, ...]] | None = None
    _trying: tuple[Evaluation, Generator[None, None, tuple[Suggestion, ...]]] | None = None
    _world: World | None = None
    _memory: dict[str, HostMemory] = field(default_factory=dict)
    _revision: int = 0
    """The revision of the world that verdicts were worked out for."""

    @property
    def world(self) -> World:
        """The one picture of the cluster's hosts and what runs there."""
        if self._world is None:
            from sparkrun_tui.fleet.world import World  # not before the first paint

            self._world = World.of(self.cluster)
            self._revision = self._world.revision
        return self._world

    @property
    def known_world(self) -> World | None:
        """The same, or None before any host was asked."""
        return self._world

    @property
    def marks(self) -> Mapping[str, HostMark]:
        """The state of each host of the cluster."""
        if self._world is None:
            return {name: HostMark() for name in (self.cluster.hosts if self.cluster else ())}
        hosts = self._world.hosts.values()
        return {host.name: HostMark(host.state.value, host.problem, host.remedy) for host in hosts}

    def catch_up(self) -> bool:
        """Forget verdicts if the hosts have changed since they were worked out; whether they have."""
        if self._world is None or self._world.revision == self._revision:
            return False
        from sparkrun_tui.launch.sizing.sizing import host_memory  # not before the first paint

        self._revision = self._world.revision
        self._memory = {name: replace(host_memory(facts), name=name) for name, facts in self._world.facts.items()}
        self.forget_verdicts()
        return True

    @property
    def view(self) -> Target:
        """The cluster with what is known of its hosts."""
        return self.view_of(())

    def view_of(self, picked: tuple[str, ...]) -> Target:
        """The same for hosts that the user has chosen."""
        from sparkrun_tui.launch.sizing.evaluation import Target  # not before the first paint

        return Target(self.cluster, self._memory, picked)

    @property
    def listed(self) -> str:
        """What the list of recipes shows, and in which order, as far as that is known before they are read."""
        return "\n".join((self.query, self.order.sorting.text, *map(str, self.settings.recipe_dirs)))

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """All clusters that can be chosen, newest definition of a name first."""
        named: dict[str, Cluster] = {}
        for cluster in (*reversed(self.added_clusters), *self.settings.clusters):
            named.setdefault(cluster.name, cluster)
        return tuple(named.values())

    @property
    def clusters_known(self) -> tuple[Cluster, ...]:
        """The current cluster, then all others."""
        others = [cluster for cluster in self.clusters if cluster != self.cluster]
        return (*((self.cluster,) if self.cluster is not None else ()), *others)

    @property
    def recipe(self) -> AnyRecipe | None:
        """The selected recipe."""
        return self.catalog.recipe(self.selected)

    def edits_of(self, key: str) -> Edits:
        """The overrides of a recipe, with their history."""
        found = self.edits.get(key)
        if found is None:
            recipe = self.catalog.recipe(key)
            kept: dict[str, str] = {}
            if is_recipe(recipe):
                from sparkrun_tui.recipe.values.saved_overrides import saved_overrides  # not before the first paint

                kept = saved_overrides(recipe)
            found = self.edits[key] = Edits(kept)
            self._saved[key] = dict(kept)
        return found

    def save_edits(self) -> None:
        """Keep the overrides that changed for the next session. Raises `OSError`."""
        if not self.edits:
            return
        from sparkrun_tui.recipe.values.saved_overrides import save_overrides

        for key, edits in self.edits.items():
            recipe = self.catalog.recipe(key)
            if is_recipe(recipe) and self._saved.get(key) != edits.kept:
                save_overrides(recipe, edits.kept)
                self._saved[key] = dict(edits.kept)

    def has_overrides(self, key: str) -> bool:
        """Whether a recipe has overrides."""
        return key in self.edits and bool(self.edits[key].kept)

    def take(self, listing: Listing) -> None:
        """Use these recipes from now on; selection and overrides follow recipes whose file has moved.

        The files of a registry are in another folder after each update.
        """
        from sparkrun_tui.recipe.values.saved_overrides import lasting_place  # not before the first paint

        watched = [self.catalog.entry(key) for key in {*self.edits, self.selected}]
        before = {entry.source.path: lasting_place(entry.source) for entry in watched if entry is not None}
        self.catalog.take(listing)
        if self.wanted:
            self._select_wanted(listing)
        gone = {key: place for key, place in before.items() if key not in listing.by_path}
        if not gone:
            return
        now = {lasting_place(entry.source): path for path, entry in listing.by_path.items() if entry.source.registry}
        for key, place in gone.items():
            path = now.get(place)
            if path is None:
                continue
            if key in self.edits:
                self.edits[path] = self.edits.pop(key)
                self._saved[path] = self._saved.pop(key, {})
            if key == self.selected:
                self.selected = path

    def _select_wanted(self, listing: Listing) -> None:
        from sparkrun_tui.recipe.values.saved_overrides import lasting_place

        name = os.path.basename(self.wanted)
        found = (key for key in listing.by_path if key.endswith(name))
        same = (key for key in found if lasting_place(listing.by_path[key].source) == self.wanted)
        self.selected, self.wanted = next(same, "") or self.selected, ""

    def evaluation(self, recipe: Recipe) -> Evaluation:
        """The selected recipe with its overrides on the cluster; computed once for each change."""
        key = recipe.source.path
        overrides = self.edits_of(key).overrides
        cached = self._evaluated
        if cached is not None and cached[0] == key and cached[1] == overrides and cached[2].rendered.original is recipe:
            return cached[2]
        evaluation = self.catalog.evaluate(recipe, overrides, self.view)
        self._evaluated = (key, dict(overrides), evaluation)
        self._verdicts[key] = _judged(evaluation)
        return evaluation

    def suggestions(self, evaluation: Evaluation) -> tuple[Suggestion, ...]:
        """The changes that would help the selected recipe, tried one by one; computed once for each evaluation."""
        from sparkrun_tui.launch.sizing.suggestions import suggestions  # not before the first paint

        if self._suggested is None or self._suggested[0] is not evaluation:
            found = suggestions(evaluation, self.view, self.catalog.store)
            self._suggested = (evaluation, found)
        return self._suggested[1]

    def try_suggestions(self, evaluation: Evaluation, seconds: float) -> bool:
        """Try suggestions for about so long; whether all are tried. Another evaluation begins anew."""
        from sparkrun_tui.launch.sizing.suggestions import tried_in_steps  # not before the first paint

        if self.suggested(evaluation) is not None:
            return True
        if self._trying is None or self._trying[0] is not evaluation:
            self._trying = (evaluation, tried_in_steps(evaluation, self.view, self.catalog.store))
        end = time.perf_counter() + seconds
        try:
            while time.perf_counter() < end:
                next(self._trying[1])
        except StopIteration as done:
            self._suggested, self._trying = (evaluation, done.value), None
            return True
        return False

    def suggested(self, evaluation: Evaluation) -> tuple[Suggestion, ...] | None:
        """The suggestions for an evaluation if they have been tried already."""
        if self._suggested is not None and self._suggested[0] is evaluation:
            return self._suggested[1]
        return None

    def verdict(self, key: str) -> str:
        """The level of a recipe if it has been estimated, else empty."""
        known = self._verdicts.get(key)
        return known.level if known is not None else ""

    def sign(self, key: str) -> str:
        """The same as lists show it: `supposed` when it would fit, but its hosts have not been asked."""
        known = self._verdicts.get(key)
        if known is None:
            return ""
        return SUPPOSED if known.supposed and known.level in ("good", "tight") else known.level

    def figures(self, key: str) -> Figures | None:
        """What is left on the hosts of a recipe, and how many requests fit; None before it has been estimated."""
        known = self._verdicts.get(key)
        return known.figures if known is not None else None

    def judge(self, key: str) -> str:
        """The level of a recipe on the cluster with its overrides, estimated now if it has not been."""
        known = self._verdicts.get(key)
        if known is None:
            known = _Judged("bad")
            recipe = self.catalog.recipe(key)
            if is_recipe(recipe):
                found = self.catalog.evaluate(recipe, self.edits_of(key).kept, self.view, checks=False)
                known = _judged(found)
            self._verdicts[key] = known
        return known.level

    def secrets(self) -> list[str]:
        """The secrets in the overrides of any recipe, and those of the selected recipe."""
        from sparkrun_tui.recipe.values.masking import private_texts, secrets_of_recipe  # not before the first paint

        found = [text for edits in self.edits.values() for text in private_texts(edits.overrides)]
        recipe = self.catalog.loaded(self.selected)
        return found + (secrets_of_recipe(recipe) if is_recipe(recipe) else [])

    def unjudged(self, keys: Iterable[str]) -> list[str]:
        """Those of `keys` that have no verdict yet."""
        return [key for key in keys if key not in self._verdicts]

    def choose(self, cluster: Cluster | None) -> None:
        """Use another cluster; all verdicts are forgotten."""
        self.cluster = cluster
        self._world = None
        self._memory = {}
        self.forget_verdicts()

    def forget_verdicts(self) -> None:
        """Forget all verdicts, since something that they depend on has changed."""
        self._verdicts.clear()
        self._evaluated = None

    def forget_verdict(self, key: str) -> None:
        """Forget the verdict of a recipe that has changed."""
        self._verdicts.pop(key, None)
        self._evaluated = None


def _judged(evaluation: Evaluation) -> _Judged:
    """What is kept of an evaluation for the list."""
    return _Judged(evaluation.level.value, evaluation.supposed, _figures_of(evaluation))


def _figures_of(evaluation: Evaluation) -> Figures:
    """What the list shows of an estimate; of what does not start or fit, nothing is known."""
    from sparkrun_tui.memory.result import Level  # not before the first paint

    estimate = evaluation.estimate
    free = [picture.free for picture in estimate.hosts]
    left = None
    if free and estimate.headroom.level is not Level.UNKNOWN:
        known = [size for size in free if size is not None]
        left = min(known) if len(known) == len(free) else None
    at_once = None
    if estimate.context.level in (Level.GOOD, Level.TIGHT):
        at_once = estimate.concurrency
    decode = prefill = None
    if estimate.speed is not None and estimate.starts.level is not Level.BAD:
        decode = estimate.speed.decode.likely
        if estimate.speed.prefill is not None:
            prefill = estimate.speed.prefill.likely
    return Figures(left, at_once, decode, prefill)
