"""The recipe's environment filled in from this machine's, split into what may be seen and what may not."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.identifiers import variable_name
from sparkrun_tui.base.secrets import LONG, Secret, holds_password
from sparkrun_tui.engines.layout.common import split_env
from sparkrun_tui.launch.plan.shapes import PlanEnv
from sparkrun_tui.recipe.model import Problem, Recipe, Severity
from sparkrun_tui.recipe.values.environment import Wanted, expand_env, wanted


def plan_env(recipe: Recipe, environ: Mapping[str, str], consented: frozenset[str] | None = None) -> PlanEnv:
    """The environment for the containers of `recipe`.

    A recipe that may be somebody else's only gets what is allowed to all, and what is in `consented`; the user's own
    may read any variable.
    """
    granted = (consented or frozenset()) if recipe.source.foreign else None
    asked = wanted(recipe, environ)
    known = {item.name: Secret(environ[item.name]) for item in asked if item.secret and item.is_set}
    # Shells and files of variables take names of one form only; any other is an error of the recipe.
    named = {name: value for name, value in expand_env(recipe, environ, granted).items() if variable_name(name)}
    plain, secret = split_env(named, {})
    hidden = {value.reveal() for value in known.values() if len(value.reveal()) >= LONG}
    # An address with a password in it is a secret, whatever it is called.
    exposed = [name for name, value in plain.items() if holds_password(value) or any(part in value for part in hidden)]
    for name in exposed:
        secret[name] = Secret(plain.pop(name))
    problems = [problem for item in asked if (problem := _problem(recipe, item, granted)) is not None]
    return PlanEnv(plain, secret, tuple(problems))


def _problem(recipe: Recipe, item: Wanted, granted: frozenset[str] | None) -> Problem | None:
    spot = recipe.spots.get(f"env.{item.keys[0]}") if item.keys else None
    if not item.is_set:
        message = f"env wants ${item.name}, which is not set on this machine; it is passed on as written"
        return Problem(Severity.WARNING, "env-unset", message, spot, remedy=f"export {item.name}=…")
    if granted is not None and not item.allowed and item.name not in granted:
        message = f"env wants ${item.name} from this machine, which a recipe of others does not get unasked"
        return Problem(Severity.WARNING, "env-consent", message, spot, remedy=f"allow {item.name} for this recipe")
    return None
