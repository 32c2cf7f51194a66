"""The filter for values that a launch must never write, show or keep."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.secrets import Redactor, Secret
from sparkrun_tui.launch.plan.plan import LaunchPlan
from sparkrun_tui.recipe.values.masking import redactor


def redactor_for(plan: LaunchPlan, environ: Mapping[str, str] | None = None) -> Redactor:
    """The filter for one launch: secrets of the recipe and its effective values, of the containers, and of `environ`.

    `environ` is the environment of this process when it is None.
    """
    known: list[Secret | str] = [*plan.env.secret.values()]
    known += [secret for rank in plan.serve.ranks for secret in rank.container.secret_env.values()]
    return redactor(rendered=plan.rendered, environ=environ, known=known)
