"""A5 in the app: a folder of bad recipes does not stop the list, and each bad one says why it has no verdict."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.launch.sizing import evaluation
from sparkrun_tui.recipe.model import Recipe
from sparkrun_tui.recipe.values.rendered import Rendered
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from tests.security.test_a5_bad_recipes import ROWS
from tests.ui.conftest import ALPHA, screen_text, settle
from tests.ui.fakes import LAB_SETTINGS, FakeBackend


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SparkrunApp:
    folder = tmp_path / "recipes"
    folder.mkdir()
    (folder / "good.yaml").write_text(ALPHA)
    for name, text in ROWS.items():
        (folder / f"{name}.yaml").write_text(text)
    monkeypatch.setattr(paths, "bundled_recipes", lambda: tmp_path / "none")
    return SparkrunApp(Session(replace(LAB_SETTINGS, recipe_dirs=(folder,)), backend=FakeBackend()))


async def _judged(app: SparkrunApp) -> dict[str, str]:
    """The verdict of every recipe, by the name of its file."""
    async with app.run_test(size=(140, 50)) as pilot:
        await settle(pilot)
        for _ in range(400):
            if not app.state.unjudged(entry.source.path for entry in app.state.catalog.index.entries):
                break
            await pilot.pause(0.02)
        assert f"Recipes {len(ROWS) + 1} of {len(ROWS) + 1}" in screen_text(pilot)
        entries = app.state.catalog.index.entries
        return {Path(entry.source.path).stem: app.state.verdict(entry.source.path) for entry in entries}


async def test_the_app_judges_the_good_recipe_beside_bad_ones(app: SparkrunApp) -> None:
    verdicts = await _judged(app)
    assert verdicts["good"] in ("good", "tight")
    assert all(verdicts.values())


async def test_a_defect_in_judging_leaves_a_question_mark_and_its_reason(
    app: SparkrunApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = evaluation.size

    def failing(rendered: Rendered, *rest: Any, **more: Any) -> object:
        if "good" not in rendered.recipe.source.path:
            raise MemoryError("a mistake")
        return whole(rendered, *rest, **more)

    monkeypatch.setattr(evaluation, "size", failing)
    verdicts = await _judged(app)
    assert verdicts["good"] in ("good", "tight")
    assert verdicts["layers"] == "unknown"
    key = next(path for path in app.state.catalog._entries if path.endswith("layers.yaml"))
    recipe = app.state.catalog.recipe(key)
    assert isinstance(recipe, Recipe)
    assert "a mistake" in app.state.evaluation(recipe).estimate.starts.detail
