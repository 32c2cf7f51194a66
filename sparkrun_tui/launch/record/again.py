"""Launching an earlier launch again: its command line, and its values, of which secrets were not kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sparkrun_tui.base import shell
from sparkrun_tui.base.errors import LaunchError
from sparkrun_tui.base.secrets import MASK
from sparkrun_tui.recipe.values.masking import override_words


def run_again(recipe: str, hosts: Iterable[str], settings: Mapping[str, str], *, claimed: bool) -> shell.Text | None:
    """The command line that launches `recipe` (what to type for it) with these settings, without secrets.

    None for a launch that is `claimed`: only labels of containers say how it was started, and a host could choose
    the recipe, the image and the command.
    """
    if claimed:
        return None
    words = ["sparkrun-tui", "run", shell.operand(recipe)]
    chosen = ",".join(hosts)
    if chosen:
        words += ["-H", chosen]
    parts = [shell.words(words), override_words(settings)]
    return shell.joined([part for part in parts if part], " ")


_TYPE_IT = "Type it in the overrides of the recipe, then launch again."


def values_again(settings: Mapping[str, str], typed: Mapping[str, str], remedy: str = _TYPE_IT) -> dict[str, str]:
    """The overrides of an earlier launch, with the secrets among them as they are `typed` now.

    Raises `LaunchError` with the `remedy` for a secret that is not typed: records keep none.
    """
    values: dict[str, str] = {}
    for key, text in settings.items():
        if MASK not in text:
            values[key] = text
        elif key in typed:
            values[key] = typed[key]
        else:
            raise LaunchError(
                f"the value of {key} was not kept, since it is a secret",
                remedy=remedy,
            )
    return values
