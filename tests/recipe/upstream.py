"""A repository in a local folder that registries are fetched from, and what is listed of them."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.registry.registries import registry_list
from sparkrun_tui.recipe.search.sources import all_recipes
from tests.support.programs import need

IDENTITY = {
    "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "a",
    "GIT_COMMITTER_EMAIL": "a@example.org", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null",
}  # fmt: skip


def run(folder: Path, *words: str, stdin: bytes = b"") -> str:
    """What git answers in a folder, as nobody in particular."""
    done = subprocess.run(
        [need("git"), "-C", str(folder), *words],
        env=os.environ | IDENTITY,
        input=stdin,
        capture_output=True,
        check=True,
    )
    return done.stdout.decode().strip()


class Upstream:
    """A repository that registries are fetched from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        run(folder, "init", "-q", "-b", "main")
        run(folder, "config", "uploadpack.allowFilter", "true")

    def write(self, path: str, text: str) -> Upstream:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return self

    def commit(self) -> Upstream:
        run(self.folder, "add", "-A")
        run(self.folder, "commit", "-q", "--allow-empty", "-m", "change")
        return self


def ours() -> list[str]:
    """The registries of our own list."""
    return [status.registry.name for status in registry_list() if status.registry.origin == "config"]


def names() -> list[str]:
    """The recipes that are found."""
    return [recipe.name for recipe in all_recipes(Settings())]
