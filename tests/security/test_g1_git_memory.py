"""G1: no repository makes git, or a program that git starts, take the memory of the workstation."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.registries import add_registry
from tests.support.programs import need

_TAKES = f"""#!/bin/sh
exec {sys.executable} -I -S -c '
import sys
taken = []
try:
    for _ in range(8):
        taken.append(bytearray({git.MAX_MEMORY} // 4))
except MemoryError:
    sys.exit("fatal: Out of memory, malloc failed")
'
"""
"""A stand-in for git, whose child takes twice the memory that is allowed."""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a script in the place of git; it still asks the real one for the user's settings."""
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    real = need("git")
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    def put(text: str) -> None:
        first, rest = text.split("\n", 1)
        program.write_text(f'{first}\ncase "$1" in config) exec {real} "$@";; esac\n{rest}')
        program.chmod(0o755)

    return put


CALLS: dict[str, Callable[[Path], object]] = {
    "clone": lambda folder: git.clone("https://example.org/a/b", folder / "clone"),
    "ls-remote": lambda folder: git.remote_commit("https://example.org/a/b"),
    "local": lambda folder: git.local(folder, ["ls-tree", "HEAD"], url="https://example.org/a/b"),
}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not keep to the limit of a process")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_child_of_git_gets_no_more_than_the_limit(
    stand_in: Callable[[str], None], tmp_path: Path, call: Callable[[Path], object]
) -> None:
    stand_in(_TAKES)
    with pytest.raises(RecipeError, match="makes git take more than 400 MiB of memory"):
        call(tmp_path)


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_git_knows_its_own_limit(
    stand_in: Callable[[str], None], tmp_path: Path, call: Callable[[Path], object]
) -> None:
    seen = tmp_path / "seen"
    stand_in(f"#!/bin/sh\nenv > {seen}\nexit 1\n")
    with pytest.raises(RecipeError):
        call(tmp_path)
    assert f"GIT_ALLOC_LIMIT={git.MAX_MEMORY}\n" in seen.read_text()


def test_a_machine_without_git_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RecipeError, match="git is not on this machine"):
        git.local(tmp_path, ["ls-tree", "HEAD"])


def test_a_repository_with_a_large_file_is_still_kept(tmp_path: Path) -> None:
    folder = tmp_path / "honest"
    folder.mkdir()
    (folder / "r.yaml").write_text("model: a/b\n")
    (folder / "large.bin").write_bytes(bytes(git.MAX_BLOB + 100))
    for words in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", "x"]):
        names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        subprocess.run([need("git"), *names, "-C", str(folder), *words], check=True)
    url = add_registry(str(folder), "mine").registry.url
    kept = registry_cache.snapshot(url)
    assert kept is not None
    assert [path.name for path in kept.folder.iterdir()] == ["r.yaml"]
