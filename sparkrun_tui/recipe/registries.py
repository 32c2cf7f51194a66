"""Git repositories of recipes: which are configured, and where their clones lie."""

from __future__ import annotations

from sparkrun_tui.base.settings import Settings
from sparkrun_tui.recipe.folders import Folder


def registry_folders(settings: Settings) -> list[Folder]:
    """The recipe folders of every enabled registry that has been fetched."""
    return []
