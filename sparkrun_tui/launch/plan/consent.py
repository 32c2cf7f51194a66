"""What the user must agree to before a recipe from elsewhere is launched; CLI and app ask, the launcher enforces it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from sparkrun_tui.base.disk import paths
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.text import shorten, visible_line
from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.bundled_files.attachments import Attachments, find_attachments
from sparkrun_tui.recipe.model import Recipe, SourceKind
from sparkrun_tui.recipe.names.images import images_of
from sparkrun_tui.recipe.search.folders import is_inside, own_folders
from sparkrun_tui.recipe.trust import (
    Demand,
    Kind,
    beyond_serving,
    changed_since_consent,
    demands,
    demands_of_files,
    give_consent,
    had_consent,
    needs_consent,
    unseen_files,
)
from sparkrun_tui.recipe.values.rendered import Rendered

_NAME_WIDTH = 60
"""The most cells of a recipe's name in a question."""


def consent_needed(
    rendered: Rendered,
    environ: Mapping[str, str],
    attachments: Attachments | None = None,
    data_dirs: Sequence[str] = (),
) -> tuple[Demand, ...]:
    """What the user must agree to before this launch, most serious first; empty when there is nothing to ask.

    A recipe from a registry needs consent before its first launch, and again when its file or one of the files that
    it copies into containers has changed. There is always something to agree to then, since its command runs in the
    image that it names. A file outside the user's recipe folders needs consent when it does more than serve. A recipe
    of the user's own needs consent to files of registries that it names, such as mods: their author may change them.
    `environ` shows which variables of this machine are set; `attachments` are the files that will be copied, None means
    as they are now; `data_dirs` are the folders of hosts that the user's settings allow.
    """
    attachments = attachments if attachments is not None else find_attachments(rendered)
    if not rendered.recipe.source.foreign:
        theirs = attachments.of_registries
        return demands_of_files(theirs) if unseen_files(theirs.digests) else ()
    files = attachments.digests
    if not needs_consent(rendered.recipe, files):
        return ()
    found = demands(rendered, environ, attachments, data_dirs)
    if rendered.recipe.source.stranger and not beyond_serving(found):
        return ()
    # Also those that an image of the user replaces in this launch.
    named = dict.fromkeys([*images_of(rendered.recipe), *images_of(rendered.original)])
    images = visible_line(", ".join(named))
    runs = Demand(Kind.CODE, "runs its command in its image on your hosts", images)
    return (*found, runs)


def give(rendered: Rendered, variables: frozenset[str] | None = None, attachments: Attachments | None = None) -> None:
    """Remember that the user has agreed to this state of the recipe, and to the `variables` (None: all it wants).

    `attachments` are the files that the question has shown: a registry may be updated while the question is open, and
    the user has not agreed to what came later. None means the files as they are now.
    """
    attachments = attachments if attachments is not None else find_attachments(rendered)
    give_consent(rendered.recipe, variables, attachments.digests)


def question(rendered: Rendered, attachments: Attachments | None = None) -> str:
    """The reason for the question, in one sentence."""
    recipe = rendered.recipe
    attachments = attachments if attachments is not None else find_attachments(rendered)
    if not recipe.source.foreign:
        return _about_files(recipe, attachments)
    state = "is launched for the first time"
    if changed_since_consent(recipe, attachments.digests):
        state = "has changed since you agreed to it"
    name = _quoted(recipe)
    if recipe.source.kind is SourceKind.URL:
        return f"{name} comes from {recipe.source.address} (sha256 {recipe.digest}), not from you, and {state}"
    if recipe.source.stranger:
        return f"{name} is {recipe.source.path}, which is in none of your recipe folders, and {state}"
    return f"{name} comes from the registry {recipe.source.registry_text}, not from you, and {state}"


def _quoted(recipe: Recipe) -> str:
    """The name of a recipe for a question.

    The author chose it: quoted and shortened, it cannot be mistaken for words of the question.
    """
    return "`" + shorten(visible_line(recipe.name).replace("`", "'"), _NAME_WIDTH) + "`"


def _about_files(recipe: Recipe, attachments: Attachments) -> str:
    """The reason for the question about files of registries in the user's own recipe."""
    names = sorted({bundle.registry for bundle in attachments.of_registries.bundles.values()})
    state = "you have not agreed to yet"
    if had_consent(recipe):
        state = "have changed since you agreed to them"
    whose = ", ".join(names)
    return f"{_quoted(recipe)} is yours, but runs files of the registry {whose} in its containers, which {state}"


def unasked_as_a_copy(
    rendered: Rendered, environ: Mapping[str, str], path: Path, settings: Settings
) -> tuple[Demand, ...]:
    """What a recipe from elsewhere would be allowed to do once a copy of it is at `path`; empty for most places.

    Recipes in the user's own folders are launched without a question. A user who has not agreed to the recipe yet is
    therefore asked before a copy of it is written there. Files of registries are asked about at the launch.
    """
    if not rendered.recipe.source.foreign:
        return ()
    own = any(is_inside(path.expanduser(), os.path.realpath(folder.path)) for folder in own_folders(settings))
    if not own:
        own = is_inside(path.expanduser(), os.path.realpath(paths.user_recipes()))
    return consent_needed(rendered, environ) if own else ()


def about_a_copy(rendered: Rendered) -> str:
    """The reason for the question before such a copy, in one sentence."""
    return f"{question(rendered)}; a copy among your own recipes is launched without a question"


def about_another_tool(rendered: Rendered) -> str:
    """The reason for the question before a launch is written for another tool, in one sentence."""
    return f"{question(rendered)}; other tools start it without a question"


def insist_on_consent(
    rendered: Rendered, environ: Mapping[str, str], attachments: Attachments, data_dirs: Sequence[str] = ()
) -> None:
    """Check that the user has agreed to this launch and the files that it copies. Raises `LaunchError` otherwise."""
    wanted = consent_needed(rendered, environ, attachments, data_dirs)
    if not wanted:
        return
    serious = [demand.title for demand in wanted if demand.is_risky]
    reasons = f"; it {'; it '.join(serious)}" if serious else ""
    raise LaunchError(
        f"{question(rendered, attachments)}: it needs your consent{reasons}",
        remedy="Read what it does (sparkrun-tui run NAME --dry-run), then launch it with --yes, or agree in the app.",
    )
