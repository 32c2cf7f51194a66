"""What is kept of a repository besides recipes, and that nobody takes a part for the whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from sparkrun_tui.recipe.registry import cache as registry_cache
from sparkrun_tui.recipe.registry import git
from sparkrun_tui.recipe.registry.registries import add_registry, update_registries
from tests.recipe.upstream import Upstream


def snapshot(url: str) -> registry_cache.Snapshot:
    current = registry_cache.snapshot(url)
    assert current is not None
    return current


def added(upstream: Upstream) -> str:
    """Its address, once it is a registry."""
    return add_registry(str(upstream.commit().folder)).registry.url


def kept(url: str) -> dict[str, Path]:
    folder = snapshot(url).folder
    return {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}


def test_plain_small_files_are_kept_and_the_others_are_named(upstream: Upstream) -> None:
    upstream.write("mods/fix/run.sh", "echo").write("mods/fix/data/a.patch", "+").write(
        "mods/big/x.bin", "x" * (1 << 20)
    )
    upstream.write("mods/huge/run.sh", "echo").write("mods/huge/x.bin", "x" * (git.MAX_BLOB + 1))
    (upstream.folder / "mods/fix/run.sh").chmod(0o755)
    os.symlink("/etc/passwd", upstream.folder / "mods/huge/link")
    url = added(upstream)
    files, current = kept(url), snapshot(url)
    assert sorted(files) == [
        "mods/big/x.bin",
        "mods/fix/data/a.patch",
        "mods/fix/run.sh",
        "mods/huge/run.sh",
        "recipes/one.yaml",
    ]
    assert os.access(files["mods/fix/run.sh"], os.X_OK) and not os.access(files["mods/fix/data/a.patch"], os.X_OK)
    assert (current.skipped, current.left_out) == (0, ("mods/huge/link", "mods/huge/x.bin"))
    assert current.lacks("mods/huge") == "mods/huge/link" and current.lacks("") and not current.lacks("mods/fix")


def test_recipes_come_before_other_files_where_there_is_little_room(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    upstream.write("a/run.sh", "x" * 200).write("b/run.sh", "x" * 40)
    monkeypatch.setattr(registry_cache, "MAX_KEPT", 100)
    url = added(upstream)
    assert sorted(kept(url)) == ["b/run.sh", "recipes/one.yaml"] and snapshot(url).lacks("a") == "a/run.sh"


def test_changes_of_other_files_are_no_news_of_recipes(upstream: Upstream) -> None:
    url = added(upstream.write("mods/fix/run.sh", "echo"))
    upstream.write("mods/fix/run.sh", "echo other").commit()
    [result] = update_registries()[:1]
    assert result.update is not None and not result.update.anything
    assert kept(url)["mods/fix/run.sh"].read_text() == "echo other"


def test_a_cache_of_recipes_alone_is_made_anew(upstream: Upstream) -> None:
    url = added(upstream.write("mods/fix/run.sh", "echo"))
    current = snapshot(url)
    (current.folder / "mods/fix/run.sh").unlink()
    state = current.folder.parent / "state.json"
    old = json.loads(state.read_text())
    state.write_text(json.dumps({key: old[key] for key in ("folder", "commit", "fetched", "skipped")}))
    update_registries()
    assert "mods/fix/run.sh" in kept(url)
