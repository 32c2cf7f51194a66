"""The base class of all engines, with the behaviour that most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.records import dataclass
from sparkrun_tui.engines.command.built import command_of, left_out
from sparkrun_tui.engines.family import Family
from sparkrun_tui.engines.layout import hosts as host_rules
from sparkrun_tui.engines.layout.assemble import image_of, image_problems, repository_needs
from sparkrun_tui.engines.layout.inside import unmounted_models
from sparkrun_tui.engines.plan import ModelNeed, PlanRequest, ServePlan
from sparkrun_tui.recipe.format.more_models import more_models
from sparkrun_tui.recipe.model import Problem, Recipe
from sparkrun_tui.recipe.values.rendered import Rendered


@dataclass(frozen=True, slots=True)
class Engine(ABC):
    """One engine of the registry. Its methods are pure functions."""

    name: str
    """The runtime word of recipes."""
    title: str
    """Its name as shown to a person: `vLLM`."""
    family: Family
    """The inference server that it starts."""
    image_prefix: str
    """The repository of the images that are used where a recipe names none."""
    aliases: tuple[str, ...] = ()
    """Other runtime words that mean the same."""
    applied: tuple[str, ...] = ()
    """Override keys that it puts into a command which has no placeholder for them."""
    one_host: bool = False
    """Whether it serves from one host only."""
    joined_by: str = ""
    """The flag by which its ranks on several hosts find each other; empty where something else connects them."""

    def image(self, recipe: Recipe) -> str:
        """The image to run: the recipe's, else the engine's default."""
        return image_of(recipe, self.image_prefix)

    def command(self, rendered: Rendered) -> str:
        """The serve command: the recipe's rendered one, else one built from the chain.

        Raises `LaunchError` for a value that the engine is known to refuse.
        """
        return command_of(rendered, self.family)

    def host_count(self, rendered: Rendered, available: int, gpus_per_host: int) -> tuple[int, str]:
        """How many of `available` hosts to use, and why that many. Raises `LaunchError` below the recipe's minimum."""
        if not self.one_host:
            return host_rules.host_count(rendered, self.family, available, gpus_per_host)
        recipe = rendered.recipe
        if recipe.min_nodes > 1:
            raise LaunchError(
                f"{self.title} serves from one host, and the recipe asks for {recipe.min_nodes}",
                spot=recipe.spots.get("min_nodes") or recipe.spots.get("mode"),
                remedy="write `max_nodes: 1`",
            )
        return 1, f"{self.title} serves from one host"

    def models(self, rendered: Rendered) -> tuple[ModelNeed, ...]:
        """The repositories that the hosts' caches must hold before the start: the model and its draft model."""
        return repository_needs(rendered, self.family)

    def check(self, rendered: Rendered) -> tuple[Problem, ...]:
        """Problems with the image, defaults that a built command leaves out, and models beside the recipe's own."""
        image = self.image(rendered.recipe)
        return (
            *image_problems(rendered.recipe, image),
            *host_rules.joining_problems(rendered, self.family, image, self.joined_by),
            *left_out(rendered, self.family),
            *unmounted_models(rendered, self.family),
            *more_models(rendered)[1],
        )

    @abstractmethod
    def plan(self, request: PlanRequest) -> ServePlan:
        """Lay out containers and stages. Raises `LaunchError` when the recipe cannot run on these hosts."""
