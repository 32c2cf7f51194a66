"""The screen of registries, against git repositories in local folders."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest
from textual.pilot import Pilot

from sparkrun_tui.recipe.registry.config import PUBLIC, Registry, save
from sparkrun_tui.recipe.registry.registries import registry_list
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.paint.recipe.registry_lines import ago
from sparkrun_tui.ui.screens.browse import BrowseScreen
from sparkrun_tui.ui.screens.dialogs.ask import AnswerLine, AskScreen
from sparkrun_tui.ui.screens.dialogs.dialog import Confirm
from sparkrun_tui.ui.screens.registries import RegistriesScreen
from tests.recipe.upstream import run as git

from .conftest import ALPHA, Pilots, lines_with, press, screen_text, settle

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)])


def commit(folder: Path, name: str, text: str) -> None:
    (folder / name).write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "more")


@pytest.fixture
def upstream(tmp_path: Path) -> Path:
    """A repository with one recipe."""
    folder = tmp_path / "house"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "uploadpack.allowFilter", "true")
    commit(folder, "house-1b.yaml", ALPHA.replace("alpha-8b", "house-1b"))
    return folder


@pytest.fixture(autouse=True)
def no_public_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """The two public registries are out of sight: no test asks the network."""
    monkeypatch.setattr("sparkrun_tui.recipe.registry.config.PUBLIC", ())


async def add(pilot: Pilot[int], folder: Path, name: str = "") -> None:
    await press(pilot, "R", "a")
    await come(pilot, AskScreen)
    pilot.app.screen.query(AnswerLine).first().value = str(folder)
    await press(pilot, "enter", *name, "enter")
    await settle(pilot)


def shows(pilot: Pilot[int], kind: type) -> bool:
    return isinstance(pilot.app.screen, kind)


async def come(pilot: Pilot[int], kind: type) -> None:
    for _ in range(200):
        await pilot.pause()
        if isinstance(pilot.app.screen, kind):
            return
    raise AssertionError(f"{kind.__name__} did not come")


@SIZES
async def test_a_registry_is_added_and_its_recipes_are_listed(
    open_app: Pilots, size: tuple[int, int], upstream: Path
) -> None:
    async with open_app(size) as pilot:
        await add(pilot, upstream)
        assert shows(pilot, RegistriesScreen)
        row = lines_with(pilot, "✓ house")
        assert row and " 1 " in row[0] and "just now" in row[0]
        await press(pilot, "slash")
        await settle(pilot)
        assert shows(pilot, BrowseScreen)
        assert "Recipes 1 of 5" in screen_text(pilot) and lines_with(pilot, "house-1b")


async def test_what_is_no_address_is_said_before_anything_is_fetched(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "R", "a")
        await come(pilot, AskScreen)
        await press(pilot, *"ext", "enter", "enter")
        assert lines_with(pilot, "is not the address of a repository")
        await press(pilot, "escape")
        await settle(pilot)
        assert isinstance(pilot.app.screen, RegistriesScreen)
        assert registry_list() == []


async def test_a_registry_without_recipes_is_refused_with_the_reason(open_app: Pilots, tmp_path: Path) -> None:
    folder = tmp_path / "empty"
    folder.mkdir()
    git(folder, "init", "-q", "-b", "main")
    commit(folder, "readme", "nothing")
    async with open_app() as pilot:
        await add(pilot, folder)
        said = [notification.message for notification in pilot.app._notifications]
        assert [text for text in said if "has no recipe files" in text]
        assert lines_with(pilot, "no registry is configured")


@SIZES
async def test_an_update_brings_new_recipes_and_keeps_overrides(
    open_app: Pilots, size: tuple[int, int], upstream: Path
) -> None:
    async with open_app(size) as pilot:
        app = cast(SparkrunApp, pilot.app)
        await add(pilot, upstream, "den")
        await press(pilot, "slash")
        await settle(pilot)
        before = app.state.selected
        app.state.edits_of(before).set("port", "9999")
        commit(upstream, "house-2b.yaml", ALPHA.replace("alpha-8b", "house-2b"))
        await press(pilot, "R", "u")
        await settle(pilot)
        said = [notification.message for notification in app._notifications]
        assert "den: 1 new" in said
        await press(pilot, "escape")
        await settle(pilot)
        assert "Recipes 2 of 6" in screen_text(pilot)
        assert app.state.selected != before
        assert app.state.edits_of(app.state.selected).overrides == {"port": "9999"}


async def test_a_registry_that_cannot_be_asked_keeps_its_recipes(open_app: Pilots, upstream: Path) -> None:
    async with open_app() as pilot:
        await add(pilot, upstream)
        git(upstream, "update-ref", "-d", "HEAD")
        await press(pilot, "U")
        await settle(pilot)
        assert lines_with(pilot, "✗ house") and lines_with(pilot, "update failed")
        assert lines_with(pilot, "failed")
        await press(pilot, "escape")
        assert "Recipes 5 of 5" in screen_text(pilot)


async def test_a_registry_is_switched_off_and_on(open_app: Pilots, upstream: Path) -> None:
    async with open_app() as pilot:
        await add(pilot, upstream)
        await press(pilot, "space")
        await settle(pilot)
        assert lines_with(pilot, "switched off")
        assert not registry_list()[0].registry.enabled
        await press(pilot, "escape")
        assert "Recipes 4 of 4" in screen_text(pilot)
        await press(pilot, "R", "space")
        await settle(pilot)
        assert registry_list()[0].registry.enabled


@SIZES
async def test_a_registry_is_removed_after_one_question(
    open_app: Pilots, size: tuple[int, int], upstream: Path
) -> None:
    async with open_app(size) as pilot:
        await add(pilot, upstream)
        await press(pilot, "x")
        await come(pilot, Confirm)
        assert lines_with(pilot, "1 recipes from") or lines_with(pilot, "house: 1")
        await press(pilot, "n")
        await settle(pilot)
        assert len(registry_list()) == 1
        await press(pilot, "x")
        await come(pilot, Confirm)
        await press(pilot, "y")
        await settle(pilot)
        assert registry_list() == []
        await press(pilot, "escape")
        assert "Recipes 4 of 4" in screen_text(pilot)


async def test_registries_that_were_never_fetched_say_so_and_are_not_asked_by_themselves(open_app: Pilots) -> None:
    save(Registry("far", "https://registry.invalid/recipes"))
    async with open_app() as pilot:
        await press(pilot, "R")
        await settle(pilot)
        assert lines_with(pilot, "never fetched")
        assert cast(SparkrunApp, pilot.app).registries.failed == {}


async def test_what_is_old_is_asked_for_once_when_the_app_opens(
    open_app: Pilots, upstream: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sparkrun_tui.recipe.registry.registries import add_registry

    add_registry(str(upstream), "den")
    commit(upstream, "house-2b.yaml", ALPHA.replace("alpha-8b", "house-2b"))
    monkeypatch.setattr("sparkrun_tui.recipe.registry.registries.STALE", -1.0)
    async with open_app() as pilot:
        await settle(pilot)
        assert "Recipes 6 of 6" in screen_text(pilot)


def test_ages_are_told_in_one_unit() -> None:
    ages = (3.0, 61.0, 7300.0, 200_000.0)
    assert [ago(age) for age in ages] == ["just now", "1 min ago", "2 h ago", "2 d ago"]


def test_the_public_registries_have_descriptions_for_their_rows() -> None:
    assert all(registry.description for registry in PUBLIC)
