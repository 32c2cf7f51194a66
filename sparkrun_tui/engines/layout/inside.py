"""Paths inside a container that a command names as a model, and the mounts that put something there."""

from __future__ import annotations

from collections.abc import Iterator

from sparkrun_tui.engines.command.arguments import read_arguments, served_model
from sparkrun_tui.engines.command.built import serve_words
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.settings import read_settings
from sparkrun_tui.recipe.format.hooks import container_options, model_on_hosts
from sparkrun_tui.recipe.format.spots import beginning
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.names.local_model import CACHE_TARGETS
from sparkrun_tui.recipe.names.mounts import is_below, normal_path, split_volume
from sparkrun_tui.recipe.values.rendered import Rendered


def unmounted_models(rendered: Rendered, family: Family) -> tuple[Problem, ...]:
    """A warning for each path that the command names as its model or draft model and no mount contains."""
    words = serve_words(rendered, family)
    if not words:
        return ()
    served = served_model(read_arguments(words, family), family)
    speculative = read_settings(family, words).speculative
    draft = "" if speculative is None else speculative.model
    found: list[Problem] = []
    if served != rendered.recipe.model:
        found += _unmounted(rendered.recipe, served, "model", "model-inside")
    if draft != served:
        found += _unmounted(rendered.recipe, draft, "draft model", "draft-path")
    return tuple(found)


def _unmounted(recipe: Recipe, named: str, what: str, code: str) -> Iterator[Problem]:
    if not named.startswith("/"):
        return
    path = normal_path(named)
    volumes = list(container_options(recipe).volumes)
    model = model_on_hosts(recipe)
    if model is not None:
        volumes += model.volumes
    targets = [split_volume(volume)[1] for volume in volumes]
    if is_below(path, [*targets, *CACHE_TARGETS]):
        return
    message = f"the {what} {path} is not mounted: the container sees it only if the image holds it"
    remedy = f"mount it: `executor_config: {{volumes: ['{path}:{path}:ro']}}`"
    if _stands_in_volumes(recipe, path):
        remedy = "move `volumes` into `executor_config`, which mounts them"
    yield Problem(Severity.WARNING, code, message, recipe.command_spot or beginning(recipe), remedy)


def _stands_in_volumes(recipe: Recipe, path: str) -> bool:
    """Whether the recipe's own `volumes`, which no launch reads, would mount the path."""
    written = recipe.runtime_config.get("volumes")
    if not isinstance(written, list):
        return False
    volumes = [volume for volume in written if isinstance(volume, str)]
    return is_below(path, [split_volume(volume)[1] for volume in volumes])
