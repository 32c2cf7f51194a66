"""A registry to be fetched, with no other recipes about."""

from __future__ import annotations

from pathlib import Path

import pytest

from sparkrun_tui.base.disk import paths
from tests.recipe.upstream import Upstream


@pytest.fixture
def upstream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upstream:
    empty = tmp_path / "bundled"
    empty.mkdir()
    monkeypatch.setattr(paths, "bundled_recipes", lambda: empty)
    monkeypatch.chdir(empty)
    return Upstream(tmp_path / "up" / "stream").write("recipes/one.yaml", "model: a/b\n").commit()
