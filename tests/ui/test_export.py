"""A launch as other tools take it: shown, copied and saved, of a recipe with overrides and of an earlier launch."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import yaml

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.dialogs.ask import AnswerLine, AskScreen
from sparkrun_tui.ui.screens.dialogs.changes import ChangesScreen
from sparkrun_tui.ui.screens.dialogs.export import ExportScreen

from .conftest import Pilots, lines_with, press, settle
from .test_changes import SIZES, override, settle_screen


@SIZES
async def test_each_form_is_shown_and_copied(open_app: Pilots, size: tuple[int, int]) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        override(app, max_model_len="4096")
        await press(pilot, "d", "e")
        await settle_screen(pilot, ExportScreen)
        await press(pilot, "y")
        (service,) = yaml.safe_load(app.clipboard)["services"].values()
        assert "4096" in service["command"][0]
        await press(pilot, "right", "y")
        assert "[Service]" in app.clipboard and "ExecStart=" in app.clipboard
        await press(pilot, "right", "y")
        kinds = [item["kind"] for item in yaml.safe_load_all(app.clipboard)]
        assert kinds == ["PersistentVolumeClaim", "Deployment", "Service"]
        before = app.clipboard
        await press(pilot, "right", "y")
        assert lines_with(pilot, "does not run Ray") and app.clipboard == before
        await press(pilot, "right", "y")
        assert "services:" in app.clipboard
        await press(pilot, "escape")
        assert isinstance(app.screen, ChangesScreen)


async def test_it_is_saved_as_a_new_file_and_never_over_another(open_app: Pilots, tmp_path: Path) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        await press(pilot, "d", "e")
        await settle_screen(pilot, ExportScreen)
        target = tmp_path / "compose.yaml"
        for _ in range(2):
            await press(pilot, "w")
            await settle_screen(pilot, AskScreen)
            app.screen.query_one(AnswerLine).value = str(target)
            await press(pilot, "enter")
            await settle(pilot)
        assert lines_with(pilot, "exists already")
        written = target.read_text(encoding="utf-8")
        await press(pilot, "escape")
        await press(pilot, "y")
        assert app.clipboard == written
