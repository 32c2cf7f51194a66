"""Files that change on disk are read again by themselves; overrides and selection stay."""

from __future__ import annotations

import os
from pathlib import Path
from typing import cast

import pytest

from sparkrun_tui.recipe.model import Source, SourceKind
from sparkrun_tui.recipe.values.saved_overrides import lasting_place
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.file_watch import Scan, compare, scan

from .conftest import ALPHA, Pilots, lines_with, press, screen_text, settle

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def rewrite(path: Path, text: str) -> None:
    """Write other text, with a time that no clock resolution hides."""
    path.write_text(text)
    os.utime(path, ns=(10**18, 10**18 + len(text)))


@SIZES
async def test_an_edited_file_is_shown_anew_with_its_overrides(
    open_app: Pilots, size: tuple[int, int], recipe_dir: Path
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.state.edits_of(app.state.selected).set("port", "9999")
        await app.freshness.scan()
        rewrite(recipe_dir / "alpha.yaml", ALPHA.replace("acme/alpha-8b", "acme/alpha-next"))
        await app.freshness.scan()
        await settle(pilot)
        assert lines_with(pilot, "acme/alpha-next · ")
        assert app.state.edits_of(app.state.selected).overrides == {"port": "9999"}


async def test_files_that_come_and_go_change_the_list(open_app: Pilots, recipe_dir: Path) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        await press(pilot, "down")
        selected = app.state.selected
        await app.freshness.scan()
        (recipe_dir / "aaa.yaml").write_text(ALPHA.replace("alpha-8b", "aaa-1b"))
        os.utime(recipe_dir, ns=(10**18, 10**18))
        await app.freshness.scan()
        await settle(pilot)
        assert "Recipes 5 of 5" in screen_text(pilot)
        assert app.state.selected == selected
        (recipe_dir / "aaa.yaml").unlink()
        os.utime(recipe_dir, ns=(10**18, 10**18 + 1))
        await app.freshness.scan()
        await settle(pilot)
        assert "Recipes 4 of 4" in screen_text(pilot)


async def test_a_file_that_breaks_says_so_and_heals(open_app: Pilots, recipe_dir: Path) -> None:
    async with open_app() as pilot:
        app = cast(SparkrunApp, pilot.app)
        app.state.edits_of(app.state.selected).set("port", "9999")
        await app.freshness.scan()
        rewrite(recipe_dir / "alpha.yaml", "name: [")
        await app.freshness.scan()
        await settle(pilot)
        assert lines_with(pilot, "this recipe cannot be read")
        rewrite(recipe_dir / "alpha.yaml", ALPHA)
        await app.freshness.scan()
        await settle(pilot)
        assert lines_with(pilot, "acme/alpha-8b · vLLM")
        assert app.state.edits_of(app.state.selected).overrides == {"port": "9999"}


async def test_the_title_is_the_shown_recipe_s_name_after_a_first_query(open_app: Pilots) -> None:
    async with open_app(query="beta") as pilot:
        await settle(pilot)
        await pilot.pause(0.1)
        assert lines_with(pilot, "─ beta-70b ─")
        assert not lines_with(pilot, "no recipe")


async def test_the_title_follows_a_search_that_found_nothing_for_a_while(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"zzzq")
        await pilot.pause(0.1)
        assert lines_with(pilot, "no recipe")
        await press(pilot, "escape")
        await pilot.pause(0.1)
        assert lines_with(pilot, "─ alpha-8b ─")


def test_looks_are_compared(tmp_path: Path) -> None:
    kept, other = tmp_path / "kept", tmp_path / "other"
    kept.write_text("a")
    other.write_text("b")
    files, folders = [str(kept), str(other)], [str(tmp_path)]
    before = scan(files, folders)
    assert compare(Scan(), before) == compare(before, before)
    rewrite(other, "longer")
    assert compare(before, scan(files, folders)).changed == (str(other),)
    other.unlink()
    gone = compare(before, scan(files, folders))
    assert gone.changed == () and gone.listing


def test_a_registry_s_recipe_keeps_its_place_over_updates() -> None:
    def place(path: str, registry: str = "lab") -> str:
        return lasting_place(Source(SourceKind.REGISTRY, path, registry))

    old, new = "/c/registries/ab12/files-0123abcd-77-1234/", "/c/registries/ab12/files-ffff0000-78-9999/"
    assert place(f"{old}recipes/x.yaml") == place(f"{new}recipes/x.yaml")
    assert place(f"{old}recipes/x.yaml") != place(f"{old}other/x.yaml")
    assert place(f"{old}recipes/x.yaml") != place(f"{old}recipes/x.yaml", "den")
