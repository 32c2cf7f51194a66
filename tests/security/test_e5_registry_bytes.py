"""E5: the recipes of a registry are read by every list, so a registry has not more of them than can be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.recipe.registry import cache
from sparkrun_tui.recipe.registry.registries import add_registry
from tests.recipe.upstream import Upstream

RECIPE = "model: org/m\nruntime: vllm\ncontainer: a/b:1\ncommand: vllm serve org/m\n"


def test_the_bytes_of_recipes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "MAX_RECIPES", 10 * len(RECIPE))
    stream = Upstream(tmp_path / "r")
    for number in range(25):
        stream.write(f"recipes/r{number}.yaml", RECIPE)
    stream.write("mods/m/run.sh", "x" * 20 * len(RECIPE)).commit()
    status = add_registry(str(stream.folder), "much")
    assert status.recipes == 10
    assert status.snapshot is not None and status.snapshot.skipped == 15
    assert (status.snapshot.folder / "mods/m/run.sh").is_file(), "files other than recipes have room of their own"


def test_all_registries_that_are_known_have_room() -> None:
    assert cache.MAX_RECIPES >= 2000 * 4096
