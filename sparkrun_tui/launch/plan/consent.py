"""What must be agreed to before a recipe of others is launched: one question for CLI and app; the launcher insists."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base import paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.settings import Settings
from sparkrun_tui.base.text import shorten, visible_line
from sparkrun_tui.recipe.bundled_files.attachments import Brought, bring
from sparkrun_tui.recipe.search.folders import is_inside, own_folders
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

_NAME_WIDTH = 60
"""Cells of a recipe's name in a question."""


def consent_needed(
    rendered: Rendered, environ: Mapping[str, str], brought: Brought | None = None, data_dirs: Sequence[str] = ()
) -> tuple[Demand, ...]:
    """What the user must agree to before this launch, gravest first; empty when nothing is to be asked.

    A recipe from a registry is asked about before its first launch, and again when its file, or one that it brings
    into its containers, has changed; there is always something to agree to then, since its command runs in the image
    it names. A file from outside of the user's folders of recipes is asked about when it does more than serve.
    `environ` only tells which variables of this machine are set; `brought` is what will be copied, as it is now when
    None; `data_dirs` are the folders of hosts that the user's settings agree to.
    """
    brought = brought if brought is not None else bring(rendered)
    files = brought.digests
    if not needs_consent(rendered.recipe, files):
        return ()
    found = demands(rendered, environ, brought, data_dirs)
    if rendered.recipe.source.stranger and not beyond_serving(found):
        return ()
    runs = Demand(Kind.CODE, "runs its command in its image on your hosts", visible_line(rendered.recipe.container))
    return (*found, runs)


def give(rendered: Rendered, variables: frozenset[str] | None = None, brought: Brought | None = None) -> None:
    """Remember that the user has agreed to this state of the recipe, and to the `variables` (None: all it wants).

    `brought` are the files that the question has shown: registries are updated while a question stands, and what came
    meanwhile was not agreed to. None means the files as they are now.
    """
    brought = brought if brought is not None else bring(rendered)
    give_consent(rendered.recipe, variables, brought.digests)


def question(rendered: Rendered, brought: Brought | None = None) -> str:
    """What the question is about, in one sentence."""
    recipe = rendered.recipe
    brought = brought if brought is not None else bring(rendered)
    state = "is launched for the first time"
    if changed_since_consent(recipe, brought.digests):
        state = "has changed since you agreed to it"
    # The author chose the name: quoted and short, it cannot pass for words of this question.
    name = "`" + shorten(visible_line(recipe.name).replace("`", "'"), _NAME_WIDTH) + "`"
    if recipe.source.stranger:
        return f"{name} is {recipe.source.path}, which is in none of your folders of recipes, and {state}"
    return f"{name} comes from the registry {recipe.source.registry_text}, not from you, and {state}"


def unasked_as_a_copy(
    rendered: Rendered, environ: Mapping[str, str], path: Path, settings: Settings
) -> tuple[Demand, ...]:
    """What a recipe of others would do without a question once a copy of it lies at `path`; empty for most places.

    Recipes in the user's own folders are the user's own: whoever has not agreed to a recipe of others yet is asked
    before a copy of it goes there.
    """
    own = any(is_inside(path.expanduser(), os.path.realpath(folder.path)) for folder in own_folders(settings))
    if not own:
        own = is_inside(path.expanduser(), os.path.realpath(paths.user_recipes()))
    return consent_needed(rendered, environ) if own else ()


def about_a_copy(rendered: Rendered) -> str:
    """What the question before such a copy is about, in one sentence."""
    return f"{question(rendered)}; a copy among your own recipes is launched without a question"


def insist_on_consent(
    rendered: Rendered, environ: Mapping[str, str], brought: Brought, data_dirs: Sequence[str] = ()
) -> None:
    """Raises `LaunchError` when this launch, with the files that it brings, still needs the user's consent."""
    wanted = consent_needed(rendered, environ, brought, data_dirs)
    if not wanted:
        return
    grave = [demand.title for demand in wanted if demand.grave]
    reasons = f"; it {'; it '.join(grave)}" if grave else ""
    raise LaunchError(
        f"{question(rendered, brought)}: it needs your consent{reasons}",
        remedy="Read what it does (sparkrun-tui run NAME --dry-run), then launch it with --yes, or agree in the app.",
    )
