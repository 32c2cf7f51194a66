"""Which values must never be seen in what a launch writes, shows or keeps."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.secrets import Redactor, Secret, looks_secret
from sparkrun_tui.launch.plan import LaunchPlan


def redactor_for(plan: LaunchPlan, environ: Mapping[str, str]) -> Redactor:
    """The filter for one launch: the recipe's secrets, the containers', and every secret of this machine's own."""
    known: list[Secret | str] = [
        *plan.env.secret.values(),
        *(value for name, value in environ.items() if looks_secret(name)),
    ]
    known += [secret for rank in plan.serve.ranks for secret in rank.container.secret_env.values()]
    return Redactor(known)
