"""A6: a tiny repository whose folders repeat one another fills neither memory nor disk."""

from __future__ import annotations

import resource
import subprocess
import time
from pathlib import Path

import pytest

from sparkrun_tui.base.errors import RecipeError
from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.registries import add_registry
from tests.support.programs import need


def _git(folder: Path, *words: str, stdin: bytes = b"") -> str:
    names = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        [need("git"), *names, "-C", str(folder), *words], input=stdin, capture_output=True, check=True
    )
    return done.stdout.decode().strip()


def _repeating(folder: Path, levels: int, width: int) -> Path:
    """A repository of `width ** levels` files that are one file, in folders that are one folder a level."""
    folder.mkdir()
    _git(folder, "init", "-q", "-b", "main")
    row = f"100644 blob {_git(folder, 'hash-object', '-w', '--stdin', stdin=b'model: a/b')}"
    for _ in range(levels):
        ending = ".yaml" if "blob" in row else ""
        rows = "".join(f"{row}\tn{number:02}{ending}\n" for number in range(width))
        row = f"040000 tree {_git(folder, 'mktree', stdin=rows.encode())}"
    _git(folder, "update-ref", "refs/heads/main", _git(folder, "commit-tree", row.split()[2], "-m", "x"))
    return folder


def test_adding_a_repository_that_repeats_itself_fails_soon_and_names_it(tmp_path: Path) -> None:
    folder = _repeating(tmp_path / "hostile", levels=4, width=20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.monotonic()
    with pytest.raises(RecipeError, match=r"hostile.*lists more than 100,000 files"):
        add_registry(str(folder), "mine")
    assert time.monotonic() - began < 30
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 200 << 10  # KiB


def test_output_beyond_its_cap_stops_git(tmp_path: Path) -> None:
    folder = _repeating(tmp_path / "wide", levels=2, width=20)
    with pytest.raises(RecipeError, match="print more than"):
        git.local(folder / ".git", ["ls-tree", "-r", "-z", "HEAD"], most=1000)
    assert git.local(folder / ".git", ["ls-tree", "-r", "-z", "HEAD"], rows=400).count(b"\0") == 400


def test_endless_words_on_stderr_stop_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec yes 'remote: more' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    with pytest.raises(RecipeError, match="says more than 4 MiB"):
        git.remote_commit("file:///nowhere")


def test_an_honest_repository_is_still_kept(tmp_path: Path) -> None:
    folder = _repeating(tmp_path / "honest", levels=2, width=5)
    url = add_registry(str(folder), "mine").registry.url
    kept = registry_cache.snapshot(url)
    assert kept is not None
    assert len(list(kept.folder.rglob("*.yaml"))) == 25
