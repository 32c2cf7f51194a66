"""A recipe as it would run: its effective values and command, problems, hosts and memory, for CLI and app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from typing import TypeVar

from sparkrun_tui.base.defects import REPORT, defect
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.base.user.settings import Cluster
from sparkrun_tui.engines.checks.validation import ordered, validate
from sparkrun_tui.engines.checks.values import refused_values
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.conditions import of_memory, settled
from sparkrun_tui.launch.sizing.placing import preferred, propose
from sparkrun_tui.launch.sizing.sizing import (
    MAX_ASSUMED,
    FactsStore,
    assumed_hosts,
    engine_version,
    model_facts,
    needed_bytes,
    size,
    unknown_size,
)
from sparkrun_tui.memory.hosts import assumed_spark
from sparkrun_tui.memory.result import Estimate, HostMemory, Level, Verdict, without_hosts
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.recipe.format.loader import load_file
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.search.entry import Entry
from sparkrun_tui.recipe.values.masking import concealed, problem_shown, redactor
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

T = TypeVar("T")
CANNOT_RUN = "cannot-run-here"
"""The code of the problem that these hosts cannot run a recipe at all."""


@dataclass(frozen=True, slots=True)
class Target:
    """The hosts that a recipe is evaluated for; without a cluster, as many DGX Sparks as it needs.

    `memory` has the known hosts by name; hosts that were not probed count as DGX Sparks. `picked` are the hosts that
    the user has chosen, head first; without it the emptiest are proposed (`placing`).
    """

    cluster: Cluster | None = None
    memory: Mapping[str, HostMemory] = field(default_factory=dict)
    picked: tuple[str, ...] = ()

    @property
    def hosts(self) -> tuple[str, ...]:
        """The names of the hosts that may be used, head first."""
        if self.picked:
            return self.picked
        return self.cluster.hosts if self.cluster else ()

    @property
    def available(self) -> int:
        """How many hosts there are; `MAX_ASSUMED` without a cluster."""
        return len(self.hosts) if self.cluster else MAX_ASSUMED

    @property
    def gpus(self) -> int:
        """GPUs of each host."""
        return max(self.cluster.gpus_per_host, 1) if self.cluster else 1

    @property
    def privileged(self) -> bool:
        """Whether containers run privileged on these hosts."""
        return self.cluster is not None and self.cluster.privileged

    def places(self, count: int) -> tuple[str, ...]:
        """The `count` hosts that a launch would use, head first; empty without a cluster."""
        if self.picked:
            return self.picked[:count]
        return propose(self.hosts, self.memory, count)

    def chosen(self, count: int) -> list[HostMemory]:
        """The memory of the `count` hosts that a launch would use."""
        if self.cluster is None:
            return assumed_hosts(count)
        return self._memory_of(self.places(count))

    def best_first(self) -> list[HostMemory]:
        """The memory of all hosts, those first that a launch would use."""
        if self.cluster is None:
            return assumed_hosts(self.available)
        return self._memory_of(self.picked or preferred(self.hosts, self.memory))

    def _memory_of(self, names: Sequence[str]) -> list[HostMemory]:
        return [self.memory.get(name) or replace(assumed_spark(name), gpus=self.gpus) for name in names]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A recipe with its overrides on the hosts of a target.

    `problems` are in the order of the file; `host_reason` says why it uses this many hosts.
    """

    rendered: Rendered
    command: str
    engine: str
    estimate: Estimate
    hosts: int
    host_reason: str
    problems: tuple[Problem, ...]
    places: tuple[str, ...] = ()
    """The hosts that a launch would use, head first; empty without a cluster."""

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        return self.rendered.recipe

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a launch."""
        return tuple(problem for problem in self.problems if problem.severity is Severity.ERROR)

    @property
    def supposed(self) -> bool:
        """Whether a host was taken for an idle Spark, because it has not been asked or does not answer."""
        return any(picture.host.assumed for picture in self.estimate.hosts)

    @property
    def worst_first(self) -> tuple[Problem, ...]:
        """The problems with errors before warnings before notes."""
        order = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}
        return tuple(sorted(self.problems, key=lambda problem: order[problem.severity]))

    @property
    def level(self) -> Level:
        """The verdict for lists: bad when the hosts cannot run the recipe at all, else that of the estimate."""
        if any(problem.code == CANNOT_RUN for problem in self.problems):
            return Level.BAD
        return self.estimate.level


def evaluate(
    recipe: Recipe,
    overrides: Mapping[str, str],
    target: Target,
    *,
    user_defaults: Mapping[str, object] | None = None,
    store: FactsStore | None = None,
    checks: bool = True,
) -> Evaluation:
    """The evaluation of a recipe with overrides on a target.

    Never raises: a failure becomes a problem of the recipe. Without `checks` it has only the problems that the
    verdict in a list needs. `store` has facts of models; None means the stores of this machine.
    """
    rendered = guarded("rendering the command", recipe, lambda: render(recipe, overrides, user_defaults or {}))
    if isinstance(rendered, Problem):
        broken = Rendered(recipe, {}, dict(overrides), recipe.command, (), frozenset(), (rendered,))
        return _unjudged(broken, target, rendered)
    return evaluate_rendered(rendered, target, store=store, checks=checks)


def evaluate_rendered(
    rendered: Rendered, target: Target, *, store: FactsStore | None = None, checks: bool = True
) -> Evaluation:
    """The evaluation of a recipe whose values are already filled in."""
    judged = guarded("judging its conditions", rendered.recipe, lambda: _settled(rendered, target))
    if isinstance(judged, Problem):
        return _unjudged(rendered, target, judged)
    rendered = judged
    found = guarded("judging the recipe", rendered.recipe, lambda: _evaluate(rendered, target, store, checks))
    return _unjudged(rendered, target, found) if isinstance(found, Problem) else found


def _settled(rendered: Rendered, target: Target) -> Rendered:
    if not rendered.recipe.original.layers:
        # A list judges thousands of recipes.
        return rendered
    hosts = [of_memory(host) for host in target.best_first()]
    return settled(rendered, hosts, target.gpus)


def _evaluate(rendered: Rendered, target: Target, store: FactsStore | None, checks: bool) -> Evaluation:
    recipe = rendered.recipe
    engine = ENGINES.get(recipe.runtime)
    problems = [*recipe.problems, *rendered.problems]
    facts = None
    if checks:
        facts = model_facts(rendered, store)
        problems += recipe_problems(rendered, facts.heads, target.gpus, target.privileged)
    # The command is shown and copied: secrets in it are variables.
    hidden = concealed(rendered).rendered
    command = hidden.command or ""
    hosts, reason = recipe.min_nodes, ""
    cannot_run = ""
    title = recipe.runtime
    if engine is not None:
        title = engine.title
        try:
            command = engine.command(hidden)
            problems += engine.check(rendered)
            hosts, reason = engine.host_count(rendered, target.available, target.gpus)
        except SparkrunError as error:
            problems.append(Problem(Severity.ERROR, CANNOT_RUN, error.what, error.spot, error.remedy))
            reason = cannot_run = error.what
    elif not checks:
        message = f"`{recipe.runtime}` is not an engine that this program launches"
        problems.append(Problem(Severity.ERROR, "unknown-runtime", message, beginning(recipe)))
    estimate = _estimate(rendered, target.chosen(hosts), store, facts)
    if cannot_run:
        estimate = without_hosts(estimate, cannot_run)
    problems = [problem for problem in problems if not _is_applied(problem, recipe)]
    if checks:
        redact = redactor(rendered=rendered)
        problems = [problem_shown(problem, redact) for problem in problems]
    return Evaluation(
        rendered=rendered,
        command=command,
        engine=title,
        estimate=estimate,
        hosts=hosts,
        host_reason=reason,
        problems=ordered(problems),
        places=target.places(hosts),
    )


def _estimate(
    rendered: Rendered, hosts: Sequence[HostMemory], store: FactsStore | None, facts: ModelFacts | None
) -> Estimate:
    """The memory estimate; of values that the engine would refuse, nothing is known."""
    for key, problem in refused_values(rendered):
        verdict = Verdict(Level.UNKNOWN, f"{key} cannot be read by the engine", problem.message)
        nothing = unknown_size(rendered, hosts, problem.message)
        return replace(nothing, starts=verdict, context=verdict, headroom=verdict)
    return judged_size(rendered, hosts, store, facts)


def recipe_problems(
    rendered: Rendered, heads: int | None, gpus_per_host: int, privileged: bool = False
) -> tuple[Problem, ...]:
    """What is wrong with a recipe and its overrides, independent of the state of its hosts.

    `privileged` means that containers run privileged, which permits more than any mount does.
    """
    recipe = rendered.recipe

    def check() -> tuple[Problem, ...]:
        return validate(
            recipe,
            rendered,
            attention_heads=heads,
            gpus_per_host=gpus_per_host,
            privileged=privileged,
            engine_version=engine_version(rendered),
        )

    found = guarded("checking the recipe", recipe, check)
    if isinstance(found, Problem):
        return (found,)
    return tuple(problem for problem in found if not _is_applied(problem, recipe))


def _is_applied(problem: Problem, recipe: Recipe) -> bool:
    """Whether a problem only says that the command has no place for a key which the engine puts there itself."""
    engine = ENGINES.get(recipe.runtime)
    if engine is None or problem.code not in ("unused-override", "unused-default"):
        return False
    return any(problem.message.startswith(f"`{key}` ") for key in engine.applied)


def judged_size(
    rendered: Rendered,
    hosts: Sequence[HostMemory],
    store: FactsStore | None = None,
    facts: ModelFacts | None = None,
) -> Estimate:
    """The memory estimate; when it fails, one in which everything is unknown, with the reason."""
    try:
        return size(rendered, hosts, store, facts=facts)
    except SparkrunError as error:
        return unknown_size(rendered, hosts, error.what)
    except Exception as error:
        return unknown_size(rendered, hosts, f"{defect('the memory estimate', error)}; {REPORT}")


def memory_needed(rendered: Rendered, hosts: Sequence[HostMemory], store: FactsStore | None = None) -> int | None:
    """Bytes that a launch uses on its fullest host; None when unknown. Never raises, so a defect stops no launch."""
    return needed_bytes(judged_size(rendered, hosts, store))


def guarded(doing: str, recipe: Recipe, work: Callable[[], T]) -> T | Problem:
    """The result of `work`, or the problem to show when it fails."""
    try:
        return work()
    except SparkrunError as error:
        return Problem(Severity.ERROR, "not-judged", error.what, error.spot or beginning(recipe), error.remedy)
    except Exception as error:
        return Problem(Severity.ERROR, "internal-error", defect(doing, error), beginning(recipe), REPORT)


def _unjudged(rendered: Rendered, target: Target, problem: Problem) -> Evaluation:
    recipe = rendered.recipe
    estimate = unknown_size(rendered, target.chosen(1), problem.message)
    problems = ordered([*recipe.problems, *rendered.problems, problem])
    return Evaluation(rendered, rendered.command or "", recipe.runtime, estimate, recipe.min_nodes, "", problems)


def fits(target: Target, user_defaults: Mapping[str, object]) -> Callable[[Entry], str]:
    """The function behind the filter `fits:`: `good`, `tight`, `bad` or `unknown` for a recipe on a target."""
    known: dict[str, str] = {}

    def judge(entry: Entry) -> str:
        path = entry.source.path
        if path not in known:
            recipe = load_file(path, entry.source)
            known[path] = Level.BAD
            if isinstance(recipe, Recipe):
                known[path] = evaluate(recipe, {}, target, user_defaults=user_defaults, checks=False).level
        return known[path]

    return judge
