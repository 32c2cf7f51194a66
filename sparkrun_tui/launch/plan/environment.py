"""The recipe's environment filled in from this machine's variables, split into plain and secret values."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.reading.identifiers import variable_name
from sparkrun_tui.base.secrets import LONG, Secret, holds_password
from sparkrun_tui.engines.layout.common import split_env
from sparkrun_tui.launch.plan.shapes import PlanEnv
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.env_fields import config_keys
from sparkrun_tui.recipe.values.environment import Wanted, expand_env, wanted
from sparkrun_tui.recipe.values.masking import is_private
from sparkrun_tui.recipe.values.rendered import Rendered, value_text


def plan_env(rendered: Rendered, environ: Mapping[str, str], consented: frozenset[str] | None = None) -> PlanEnv:
    """The environment for the containers of a recipe; fields of the launch are filled in for each host later.

    A recipe that may come from somebody else gets only variables that every recipe may read, and those in
    `consented`. The user's own recipes may read any variable.
    """
    recipe = rendered.recipe
    granted: frozenset[str] | None = None
    if recipe.source.foreign:
        granted = consented or frozenset()
    asked = wanted(recipe, environ)
    # Shells and files of variables take names of one form only; any other is an error of the recipe.
    filled = expand_env(recipe, environ, granted, rendered.chain)
    named = {name: value for name, value in filled.items() if variable_name(name)}
    plain, secret = split_env(named, {})

    hidden: list[str] = []
    problems: list[Problem] = []
    for item in asked:
        if item.secret and item.is_set and len(environ[item.name]) >= LONG:
            hidden.append(environ[item.name])
        problem = _problem(recipe, item, granted)
        if problem is not None:
            problems.append(problem)

    for key in config_keys(recipe) & rendered.chain.keys():
        value_of_key = rendered.chain[key].value
        if is_private(key, value_of_key):
            hidden.append(value_text(value_of_key))

    for name, value in list(plain.items()):
        # A value that contains a secret, such as an address with a password, is secret under any name.
        contains_secret = any(part in value for part in hidden)
        if contains_secret or holds_password(value):
            secret[name] = Secret(plain.pop(name))
    return PlanEnv(plain, secret, consented, tuple(problems))


def _problem(recipe: Recipe, item: Wanted, granted: frozenset[str] | None) -> Problem | None:
    spot = recipe.spots.get(f"env.{item.keys[0]}") if item.keys else None
    if not item.is_set:
        message = f"env wants ${item.name}, which is not set on this machine; it is passed on unexpanded"
        return Problem(Severity.WARNING, "env-unset", message, spot, remedy=f"export {item.name}=…")
    if granted is not None and not item.allowed and item.name not in granted:
        message = f"env wants ${item.name} of this machine, which a recipe from elsewhere only gets with your consent"
        return Problem(Severity.WARNING, "env-consent", message, spot, remedy=f"allow {item.name} for this recipe")
    return None
