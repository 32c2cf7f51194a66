"""What the plans of all engines share: image, models, checks, and the plan assembled from its ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.engines.command.arguments import read_arguments
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout.common import labelled
from sparkrun_tui.engines.layout.hooks import with_hooks
from sparkrun_tui.engines.layout.options import with_options
from sparkrun_tui.engines.plan import ModelNeed, PlanRequest, RankPlan, ReadyCheck, ServePlan, Stage
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.recipe.format.launching import STYLES
from sparkrun_tui.recipe.format.more_models import more_models
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.detect import is_repository, is_revision, split_gguf
from sparkrun_tui.recipe.names.images import image_on
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.recipe.values.shell_scanner import Command


def image_of(recipe: Recipe, prefix: str) -> str:
    """The recipe's image, else the newest of the engine's usual repository."""
    return recipe.container or f"{prefix}:latest"


def image_problems(recipe: Recipe, image: str) -> tuple[Problem, ...]:
    """A warning where the recipe names no image, with the default image that is used instead."""
    if recipe.container or recipe.images:
        return ()
    message = f"the recipe names no `container`: {image} is used, and its tag may move to another version"
    return (Problem(Severity.WARNING, "no-container", message, beginning(recipe), "name an image and a tag"),)


def several_images(request: PlanRequest, image: str, why: str) -> tuple[Problem, ...]:
    """An error where `containers` gives the hosts different images, which this way of starting does not allow."""
    recipe = request.rendered.recipe
    found = {image_on(recipe, host.name) or image for host in request.hosts}
    if len(found) < 2:
        return ()
    message = f"the hosts have different images by `containers`: {why}"
    remedy = "name one image for all, or use `runtime: vllm-distributed`"
    return (Problem(Severity.ERROR, "containers", message, recipe.spots.get("containers"), remedy),)


def repository_needs(rendered: Rendered, family: Family) -> tuple[ModelNeed, ...]:
    """The repositories of the model and of the draft model for speculative decoding, in the revisions that the engine
    will ask for; a path needs none.
    """
    needs = []
    words = serve_words(rendered, family)
    model = rendered.recipe.model
    if is_repository(model):
        needs.append(ModelNeed(model, rendered.recipe.model_revision or _revision_in(words, family)))
    speculative = read_settings(family, words).speculative
    if speculative is None:
        return tuple(needs)
    draft = speculative.model
    if "/" in draft and is_repository(draft):
        need = ModelNeed(draft, speculative.revision)
        own = draft == model and not speculative.revision
        if not own and need not in needs:
            needs.append(need)
    return tuple(needs)


def with_more(needs: tuple[ModelNeed, ...], rendered: Rendered) -> tuple[ModelNeed, ...]:
    """The repositories that an engine needs, and those that the recipe asks for beside them, each once."""
    found = dict.fromkeys(needs)
    for model in more_models(rendered)[0]:
        repo, quant = split_gguf(model.name)
        found[ModelNeed(repo, model.revision, model.patterns, quant)] = None
    return tuple(found)


def _revision_in(words: Sequence[str], family: Family) -> str:
    """The revision of the model that a command passes; empty where it passes none that can be read."""
    given = read_arguments(words, family).last("model_revision")
    if given is None or not given.values or not is_revision(given.values[0]):
        return ""
    return given.values[0]


def need_serve(words: Command, engine: str, request: PlanRequest) -> Command:
    """The serve command where rank arguments must be added to it. Raises `LaunchError` where none was found."""
    if words:
        return words
    raise LaunchError(
        f"the command does not call {engine}, so the arguments of its ranks cannot be added",
        spot=request.rendered.recipe.command_spot,
        remedy="run it on one host, or call the engine by its usual name in the command",
    )


def as_asked(ready: ReadyCheck, rendered: Rendered) -> ReadyCheck:
    """The check with what the recipe asks of it (`readiness`)."""
    asked = rendered.recipe.readiness
    return replace(
        ready,
        health_path=asked.path or ready.health_path,
        port_timeout=asked.port_timeout or 0.0,
        health_timeout=asked.health_timeout or 0.0,
        timeout=asked.timeout or 0.0,
        token=asked.inference,
        token_path=STYLES[asked.style],
        token_timeout=asked.inference_timeout or ready.token_timeout,
        prompt=asked.prompt or ready.prompt,
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
    """The plan of a launch, with the recipe's hooks and container options, and with labels."""
    if ranks:
        image = ranks[0].container.image
    if request.rendered.recipe.images and ranks:
        listed = ", ".join(f"{rank.host} {rank.container.image}" for rank in ranks)
        notes = (*notes, f"images of the hosts (`containers`): {listed}")
    plan = ServePlan(
        launch_id=request.launch_id,
        recipe=request.rendered.recipe,
        engine=engine,
        image=image,
        models=with_more(models, request.rendered),
        ranks=tuple(ranks),
        stages=tuple(stages),
        ready=as_asked(ready, request.rendered),
        notes=tuple(notes),
        problems=tuple(problems),
    )
    return labelled(with_options(with_hooks(plan, request), request), request)
