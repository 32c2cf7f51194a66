"""The guard around judging one recipe: what fails unexpectedly is a problem of that recipe, and everything goes on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from sparkrun_tui.base.defects import REPORT, defect
from sparkrun_tui.base.errors import SparkrunError
from sparkrun_tui.engines.checks.validation import ordered, validate
from sparkrun_tui.engines.registry import ENGINES
from sparkrun_tui.launch.sizing.sizing import FactsStore, attention_heads, size
from sparkrun_tui.memory.engines import estimate_unknown
from sparkrun_tui.memory.result import Estimate, HostMemory
from sparkrun_tui.memory.settings import EngineSettings
from sparkrun_tui.models.facts import ModelFacts
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.overrides import render
from sparkrun_tui.recipe.values.rendered import Rendered

T = TypeVar("T")
CODE = "internal-error"


def guarded(doing: str, recipe: Recipe, work: Callable[[], T]) -> T | Problem:
    """What `work` gives, or the problem to show where it failed in a way that nobody expected.

    Errors that have words for the person (`SparkrunError`) go on to the caller.
    """
    try:
        return work()
    except SparkrunError:
        raise
    except Exception as error:
        return Problem(Severity.ERROR, CODE, defect(doing, error), beginning(recipe), REPORT)


def judged_render(recipe: Recipe, overrides: Mapping[str, str], defaults: Mapping[str, object]) -> Rendered:
    """The recipe with its values filled in; where that fails, without values and with the problem."""
    found = guarded("rendering the command", recipe, lambda: render(recipe, overrides, defaults))
    if isinstance(found, Problem):
        return Rendered(recipe, {}, dict(overrides), recipe.command, (), frozenset(), (found,))
    return found


def judged_problems(rendered: Rendered) -> tuple[Problem, ...]:
    """Everything that is wrong with a recipe and its overrides, also as its engine sees it."""
    recipe = rendered.recipe

    def check() -> list[Problem]:
        return [*validate(recipe, rendered, attention_heads=attention_heads(rendered))]

    def check_engine() -> list[Problem]:
        engine = ENGINES.get(recipe.runtime)
        return [] if engine is None else [*engine.check(rendered)]

    found: list[Problem] = [*rendered.problems]
    for doing, work in (("checking the recipe", check), ("checking it for its engine", check_engine)):
        result = guarded(doing, recipe, work)
        found += [result] if isinstance(result, Problem) else result
    return ordered(found)


def judged_size(rendered: Rendered, hosts: Sequence[HostMemory], store: FactsStore | None = None) -> Estimate:
    """The memory estimate; where it fails, one in which everything is unknown, with the reason as a note."""
    found = guarded("the memory estimate", rendered.recipe, lambda: size(rendered, hosts, store))
    if isinstance(found, Problem):
        settings = EngineSettings(rendered.recipe.runtime, notes=(f"{found.message}; {found.remedy}",))
        return estimate_unknown(ModelFacts("nothing"), settings, hosts, {})
    return found
