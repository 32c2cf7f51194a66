"""What the engines have in common as engines: image, models, checks, and a plan put together from its ranks."""

from __future__ import annotations

from collections.abc import Sequence

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout.common import labelled
from sparkrun_tui.engines.layout.hooks import with_hooks
from sparkrun_tui.engines.layout.options import with_options
from sparkrun_tui.engines.plan import ModelNeed, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.recipe.format.detect import is_repository
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command


def image_of(recipe: Recipe, prefix: str) -> str:
    """The recipe's image, else the newest of the engine's usual repository."""
    return recipe.container or f"{prefix}:latest"


def image_problems(recipe: Recipe, image: str) -> tuple[Problem, ...]:
    """A warning where the recipe names no image, with the one that stands in for it."""
    if recipe.container:
        return ()
    message = f"the recipe names no `container`; {image} is used, whatever it is today"
    return (Problem(Severity.WARNING, "no-container", message, beginning(recipe), "name an image and a tag"),)


def repository_needs(rendered: Rendered, family: Family) -> tuple[ModelNeed, ...]:
    """The model's repository, and that of the draft model that speculative decoding names; paths need nothing."""
    needs = []
    model = rendered.recipe.model
    if is_repository(model):
        needs.append(ModelNeed(model, rendered.recipe.model_revision))
    speculative = read_settings(family, serve_words(rendered, family)).speculative
    draft = speculative.model if speculative is not None else ""
    if "/" in draft and is_repository(draft) and draft != model:
        needs.append(ModelNeed(draft))
    return tuple(needs)


def need_serve(words: Command, engine: str, request: PlanRequest) -> Command:
    """The serve command where rank arguments must be added to it. Raises `LaunchError` when it was not recognised."""
    if words:
        return words
    raise LaunchError(
        f"the command has no {engine} invocation that rank arguments could be added to",
        spot=request.rendered.recipe.command_spot,
        remedy="run it on one host, or call the engine by its usual name in the command",
    )


def assemble(
    request: PlanRequest,
    engine: str,
    image: str,
    models: tuple[ModelNeed, ...],
    ranks: Sequence[RankPlan],
    stages: Sequence[Stage],
    ready: ReadyCheck,
    notes: Sequence[str] = (),
    problems: Sequence[Problem] = (),
) -> ServePlan:
    """The plan of a launch with the recipe's hooks and container options, and its labels."""
    plan = ServePlan(
        launch_id=request.launch_id,
        recipe=request.rendered.recipe,
        engine=engine,
        image=image,
        models=models,
        ranks=tuple(ranks),
        stages=tuple(stages),
        ready=ready,
        notes=tuple(notes),
        problems=tuple(problems),
    )
    return labelled(with_options(with_hooks(plan, request), request), request)
