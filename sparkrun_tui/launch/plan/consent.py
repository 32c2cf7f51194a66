"""What must be agreed to before a recipe of others is launched: one question for CLI and app; the launcher insists."""

from __future__ import annotations

from collections.abc import Mapping

from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.recipe.bundled_files.attachments import Brought, bring
from sparkrun_tui.recipe.trust import (
    Demand,
    Kind,
    beyond_serving,
    changed_since_consent,
    demands,
    give_consent,
    needs_consent,
)
from sparkrun_tui.recipe.values.rendered import Rendered


def consent_needed(
    rendered: Rendered, environ: Mapping[str, str], brought: Brought | None = None
) -> tuple[Demand, ...]:
    """What the user must agree to before this launch, gravest first; empty when nothing is to be asked.

    A recipe from a registry is asked about before its first launch, and again when its file, or one that it brings
    into its containers, has changed; there is always something to agree to then, since its command runs in the image
    it names. A file from outside of the user's folders of recipes is asked about when it does more than serve.
    `environ` is only asked which variables of this machine are set; `brought` is what will be copied, as it is now when
    None.
    """
    files = (brought if brought is not None else bring(rendered)).digests
    if not needs_consent(rendered.recipe, files):
        return ()
    found = demands(rendered, environ)
    if rendered.recipe.source.stranger and not beyond_serving(found):
        return ()
    runs = Demand(Kind.CODE, "runs its command in its image on your hosts", rendered.recipe.container)
    return (*found, runs)


def give(rendered: Rendered, variables: frozenset[str] | None = None) -> None:
    """Remember that the user has agreed to this state of the recipe, and to the `variables` (None: all it wants)."""
    give_consent(rendered.recipe, variables, bring(rendered).digests)


def question(rendered: Rendered) -> str:
    """What the question is about, in one sentence."""
    recipe = rendered.recipe
    state = (
        "has changed since you agreed to it"
        if changed_since_consent(recipe, bring(rendered).digests)
        else "is launched for the first time"
    )
    if recipe.source.stranger:
        return f"{recipe.name} is {recipe.source.path}, which is in none of your folders of recipes, and {state}"
    return f"{recipe.name} comes from the registry {recipe.source.registry_text}, not from you, and {state}"


def insist_on_consent(rendered: Rendered, environ: Mapping[str, str], brought: Brought) -> None:
    """Raises `LaunchError` when this launch, with the files that it brings, still needs the user's consent."""
    wanted = consent_needed(rendered, environ, brought)
    if not wanted:
        return
    grave = [demand.title for demand in wanted if demand.grave]
    reasons = f"; it {'; it '.join(grave)}" if grave else ""
    raise LaunchError(
        f"{question(rendered)}: it needs your consent{reasons}",
        remedy="Read what it does (sparkrun-tui run NAME --dry-run), then launch it with --yes, or agree in the app.",
    )
