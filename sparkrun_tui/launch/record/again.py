"""The command line that launches an earlier launch again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sparkrun_tui.base import shell
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
