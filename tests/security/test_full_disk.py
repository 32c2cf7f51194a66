"""A disk that takes nothing any more: each command does what needs no room, and says the rest in plain words."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

import sparkrun_tui
from sparkrun_tui.base.user.settings import config_file

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"
NOTHING_LISTENS = "127.0.0.1:9"


def _no_room() -> None:
    """No file of the child may grow: the system refuses every write to one, as it does on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("list", 0),
        ("search m --json", 0),
        ("show a", 0),
        ("recipe vram a", 0),
        ("recipe validate a", 0),
        ("recipe export a --output HOME/o.yaml", 1),
        ("recipe new org/m --offline --output HOME/n.yaml", 1),
        ("run a --dry-run", 0),
        ("run a", None),
        ("status", None),
        ("logs x", None),
        ("stop x", None),
        ("cluster add d one", 1),
        ("cluster remove lab", 1),
        ("registry add HOME/recipes", 1),
        ("registry list", 0),
        ("registry update eugr", 1),
        ("registry remove eugr", 1),
    ],
)
def test_a_full_disk_is_no_defect(command: str, code: int | None, private_home: Path) -> None:
    recipes = private_home / "recipes"
    recipes.mkdir()
    (recipes / "a.yaml").write_text(RECIPE)
    config_file().parent.mkdir(parents=True)
    before = f"recipe_dirs: [{recipes}]\nclusters: {{lab: ['{NOTHING_LISTENS}']}}\n"
    config_file().write_text(before)
    words = [word.replace("HOME", str(private_home)) for word in command.split()]
    done = subprocess.run(
        [sys.executable, "-P", "-m", "sparkrun_tui", *words],
        env={**os.environ, "PYTHONPATH": str(Path(sparkrun_tui.__file__).parents[1]), "TMPDIR": str(private_home)},
        capture_output=True,
        text=True,
        timeout=90,
        stdin=subprocess.DEVNULL,
        preexec_fn=_no_room,
    )
    told = done.stdout + done.stderr
    assert told
    assert not any(word in told for word in ("Traceback", "unexpected", "defect")), told
    if code is not None:
        assert done.returncode == code, told
    assert config_file().read_text() == before, "what was there is still whole"
    assert not list(private_home.rglob("*.partial"))
