"""B4: a small repository makes no mountain of folders, and no list that takes minutes."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from sparkrun_tui.base.user.settings import Settings
from sparkrun_tui.recipe.registry import cache, git
from sparkrun_tui.recipe.registry.parts import MAX_PARTS
from sparkrun_tui.recipe.registry.registries import add_registry, registry_list
from sparkrun_tui.recipe.search.sources import all_recipes
from tests.recipe.upstream import Upstream, run

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"


def repeated(stream: Upstream, depth: int, times: int) -> None:
    """Makes the repository's tree one chain of `depth` folders, named `times` times: few objects, many paths."""
    blob = run(stream.folder, "hash-object", "-w", "--stdin", stdin=RECIPE.encode())
    tree = run(stream.folder, "mktree", stdin=f"100644 blob {blob}\tx.yaml\n".encode())
    for _ in range(depth):
        tree = run(stream.folder, "mktree", stdin=f"040000 tree {tree}\ta\n".encode())
    rows = "".join(f"040000 tree {tree}\td{number}\n" for number in range(times))
    top = run(stream.folder, "mktree", stdin=rows.encode())
    commit = run(stream.folder, "commit-tree", top, "-m", "x")
    run(stream.folder, "update-ref", "refs/heads/main", commit)


def folders_below(path: Path) -> int:
    return sum(1 for found in path.rglob("*") if found.is_dir())


def test_folders_of_a_repository_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_FOLDERS", 200)
    stream = Upstream(tmp_path / "r")
    repeated(stream, depth=20, times=300)
    status = add_registry(str(stream.folder), "deep")
    assert status.snapshot is not None
    assert 0 < folders_below(status.snapshot.folder) <= 200
    assert status.recipes + status.snapshot.skipped == 300 and status.recipes == 200 // 21


def test_a_path_has_no_more_folders_than_a_person_makes(tmp_path: Path) -> None:
    assert cache.safe_path("/".join(["a"] * 32)) and not cache.safe_path("/".join(["a"] * 33))


@pytest.mark.parametrize("subpath", ["recipes", "./recipes", "recipes/"])
def test_a_folder_that_is_declared_a_thousand_times_is_read_once(subpath: str, tmp_path: Path) -> None:
    stream = Upstream(tmp_path / "r")
    for number in range(300):
        stream.write(f"recipes/r{number}.yaml", RECIPE)
    rows = "\n".join(f"- {{name: p{number}, recipes: {subpath}}}" for number in range(3000))
    stream.write(".sparkrun/registry.yaml", f"registries:\n{rows}\n").commit()
    add_registry(str(stream.folder), "many")
    (status,) = [status for status in registry_list() if status.registry.name == "many"]
    assert len(status.folders) == 1 and status.recipes == 300
    before = time.process_time()
    assert len([recipe for recipe in all_recipes(Settings()) if recipe.source.repository == "many"]) == 300
    assert time.process_time() - before < 10


def test_parts_of_a_repository_are_bounded(tmp_path: Path) -> None:
    stream = Upstream(tmp_path / "r")
    for number in range(100):
        stream.write(f"p{number}/x.yaml", RECIPE)
    rows = "\n".join(f"- {{name: part{number}, recipes: p{number}}}" for number in range(100))
    stream.write(".sparkrun/registry.yaml", f"registries:\n{rows}\n").commit()
    assert len(add_registry(str(stream.folder), "parts").folders) == MAX_PARTS


def test_what_git_starts_has_no_other_protocols_either() -> None:
    """The upload side of a local repository reads that repository's own settings, and not ours."""
    assert git._protocols("file:///x", offline=False) == "file"
    assert git._protocols("https://x/y", offline=False) == "https:ssh"
    assert git._protocols("https://x/y", offline=True) == "none"
