"""Included files and conditions of a recipe, as the app shows them."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from textual.pilot import Pilot

from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.screens.detail import Detail

from .conftest import ALPHA, Pilots, lines_with, press, screen_text, settle

MORE = """\
include: base
name: aaa-first
defaults: {max_model_len: 4096}
overrides:
  - when: {nodes: 1}
    defaults: {gpu_memory_utilization: 0.61}
  - when: {nodes: 2}
    defaults: {gpu_memory_utilization: 0.62}
"""


def write(folder: Path) -> None:
    (folder / "base.yaml").write_text(ALPHA.replace("alpha-8b", "zzz-base"), encoding="utf-8")
    (folder / "first.yaml").write_text(MORE, encoding="utf-8")


async def select(pilot: Pilot[int], folder: Path) -> None:
    app = cast(SparkrunApp, pilot.app)
    for _ in range(10):
        if app.state.selected == str(folder / "first.yaml"):
            return
        await press(pilot, "j")
    assert app.state.selected == str(folder / "first.yaml")


async def to_tab(pilot: Pilot[int], tab: str) -> None:
    detail = pilot.app.screen.query_one(Detail)
    for _ in range(10):
        if detail.tab == tab:
            return
        await press(pilot, "right_square_bracket")
    assert detail.tab == tab


async def test_the_command_and_the_overview_have_what_holds(open_app: Pilots, recipe_dir: Path) -> None:
    write(recipe_dir)
    async with open_app((140, 50)) as pilot:
        await select(pilot, recipe_dir)
        assert lines_with(pilot, "--gpu-memory-utilization 0.61")
        assert lines_with(pilot, "--max-model-len 4096")
        assert lines_with(pilot, "base.yaml")
        text = " ".join(screen_text(pilot).split())
        assert "overrides[1] (nodes 1)" in text and "overrides[2] (nodes 2)" in text


async def test_the_source_shows_all_files(open_app: Pilots, recipe_dir: Path) -> None:
    write(recipe_dir)
    async with open_app((140, 80)) as pilot:
        await select(pilot, recipe_dir)
        await to_tab(pilot, "source")
        text = screen_text(pilot)
        assert "include: base" in text and "included:" in text and "zzz-base" in text


async def test_a_change_of_an_included_file_is_seen(open_app: Pilots, recipe_dir: Path) -> None:
    write(recipe_dir)
    async with open_app((140, 50)) as pilot:
        app = cast(SparkrunApp, pilot.app)
        await select(pilot, recipe_dir)
        await app.freshness.scan()
        text = (recipe_dir / "base.yaml").read_text(encoding="utf-8")
        (recipe_dir / "base.yaml").write_text(text.replace("--host {host}", "--host {host} --enforce-eager"), "utf-8")
        await app.freshness.scan()
        await settle(pilot)
        assert lines_with(pilot, "--enforce-eager")
