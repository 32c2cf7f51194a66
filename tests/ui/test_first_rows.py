"""The rows of the last session in the first frame: shown at once, put right, and nothing is done with them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sparkrun_tui.base.disk import paths
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.model.catalog import Catalog
from sparkrun_tui.ui.screens.browse import BrowseScreen

from .conftest import ALPHA, Pilots, lines_with, press, screen_text, settle, until
from .fakes import FakeBackend


def kept_file() -> Path:
    return paths.cache_dir() / "first-rows.json"


async def one_session(open_app: Pilots, *keys: str, size: tuple[int, int] = (120, 40), **changes: object) -> None:
    """Open the app, press keys, and end it as its key does."""
    async with open_app(size=size, **changes) as pilot:
        await press(pilot, *keys)
        await pilot.pause(0.1)
        pilot.app.exit(0)


class Held:
    """Reading recipes that waits until the test lets it go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go = threading.Event()
        real = Catalog.listing

        def listing(catalog: Catalog) -> Any:
            self.go.wait(20)
            return real(catalog)

        monkeypatch.setattr(Catalog, "listing", listing)

    async def after_a_session(self, open_app: Pilots, *keys: str, **changes: Any) -> None:
        """Let one session pass as it would; from then on reading waits."""
        self.go.set()
        await one_session(open_app, *keys, **changes)
        self.go.clear()


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> Held:
    return Held(monkeypatch)


Begin = Callable[..., SparkrunApp]


@pytest.fixture
def app_of(settings: Any, backend: FakeBackend) -> Begin:
    from sparkrun_tui.ui.app.session import Session

    def made(**changes: Any) -> SparkrunApp:
        backend.settings = settings
        return SparkrunApp(Session(settings, backend=backend, **changes))

    return made


def browse(app: SparkrunApp) -> BrowseScreen:
    screen = app.screen
    assert isinstance(screen, BrowseScreen)
    return screen


async def kept_shown(pilot: Any) -> BrowseScreen:
    """The first screen with rows, before recipes are read."""
    screen = browse(pilot.app)
    await until(pilot, lambda: screen.list.rows)
    assert screen.list.kept and not pilot.app.loaded
    return screen


async def test_rows_of_the_last_session_are_in_the_first_frame(open_app: Pilots, app_of: Begin, held: Held) -> None:
    await held.after_a_session(open_app, "down")
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        assert [row.name for row in screen.list.rows] == ["alpha-8b", "beta-70b", "broken", "gamma-sg"]
        [line] = lines_with(pilot, "▌")
        assert "beta-70b" in line and "70B" in line
        held.go.set()
        await settle(pilot)
        assert not screen.list.kept
        assert screen.list.current is not None and screen.list.current.name == "beta-70b"
        assert "Recipes 4 of 4" in screen_text(pilot)


async def test_the_cursor_moves_over_kept_rows_and_stays_with_its_recipe(
    open_app: Pilots, app_of: Begin, held: Held, recipe_dir: Path
) -> None:
    await held.after_a_session(open_app)
    (recipe_dir / "aaa.yaml").write_text(ALPHA.replace("alpha-8b", "aaa-first"))
    (recipe_dir / "beta.yaml").unlink()
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        await press(pilot, "end")
        held.go.set()
        await settle(pilot)
        assert [row.name for row in screen.list.rows] == ["aaa-first", "alpha-8b", "broken", "gamma-sg"]
        assert screen.list.current is not None and screen.list.current.name == "gamma-sg"
        assert app.state.selected.endswith("gamma.yaml")


async def test_the_detail_shows_the_file_as_it_is_now(
    open_app: Pilots, app_of: Begin, held: Held, recipe_dir: Path
) -> None:
    await held.after_a_session(open_app)
    (recipe_dir / "alpha.yaml").write_text(ALPHA.replace("32768", "16384"))
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        await until(pilot, lambda: "16384" in screen_text(pilot))
        assert not app.loaded and not screen.ready


@pytest.mark.parametrize("key", ["l", "p", "enter", "o", "e", "d", "y", "w", "i"])
async def test_nothing_is_done_with_a_kept_row(
    open_app: Pilots, app_of: Begin, held: Held, recipe_dir: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await held.after_a_session(open_app)
    (recipe_dir / "alpha.yaml").unlink()
    monkeypatch.setenv("EDITOR", "/nonexistent/editor")
    app = app_of()
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        screen = await kept_shown(pilot)
        await until(pilot, lambda: screen._detail is not None)
        await press(pilot, key)
        assert app.screen is screen and screen.list.has_focus
        held.go.set()
        await settle(pilot)
        # The recipe is gone: what was asked for is not done with the one that has its place.
        assert app.screen is screen and screen.list.has_focus
        assert "The list has changed meanwhile" in screen_text(pilot)


async def test_what_is_asked_for_early_is_done_with_the_real_recipe(
    open_app: Pilots, app_of: Begin, held: Held
) -> None:
    await held.after_a_session(open_app)
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        await press(pilot, "down", "p")
        assert app.screen is screen
        held.go.set()
        await settle(pilot)
        await until(pilot, lambda: app.screen is not screen)
        assert type(app.screen).__name__ == "PlanScreen"
        assert "beta-70b" in screen_text(pilot)


async def test_a_kept_row_cannot_be_marked(open_app: Pilots, app_of: Begin, held: Held) -> None:
    await held.after_a_session(open_app)
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        await press(pilot, "space")
        assert not screen.list.marked


async def test_rows_of_another_query_are_not_shown(open_app: Pilots, app_of: Begin, held: Held) -> None:
    await held.after_a_session(open_app)
    app = app_of(query="gamma")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause(0.1)
        assert not browse(app).list.rows and "reading recipes" in screen_text(pilot)
        held.go.set()
        await settle(pilot)
        assert [row.name for row in browse(app).list.rows] == ["gamma-sg"]


async def test_a_query_that_is_remembered_has_its_rows(open_app: Pilots, app_of: Begin, held: Held) -> None:
    held.go.set()
    async with open_app() as pilot:
        await press(pilot, "slash", *"runtime:sglang", "enter")
        await settle(pilot)
        pilot.app.exit(0)
    held.go.clear()
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        assert [row.name for row in screen.list.rows] == ["gamma-sg"]
        held.go.set()
        await settle(pilot)
        assert [row.name for row in screen.list.rows] == ["gamma-sg"]
        assert "×]" in screen_text(pilot)


async def test_typing_a_search_takes_kept_rows_away(open_app: Pilots, app_of: Begin, held: Held) -> None:
    await held.after_a_session(open_app)
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        await press(pilot, "slash", *"sg")
        assert not screen.list.rows
        held.go.set()
        await settle(pilot)
        assert [row.name for row in screen.list.rows] == ["gamma-sg"]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (200, 50)])
async def test_panels_do_not_move_when_recipes_are_read(
    open_app: Pilots, app_of: Begin, held: Held, size: tuple[int, int]
) -> None:
    await held.after_a_session(open_app, size=size)
    app = app_of()
    async with app.run_test(size=size) as pilot:
        screen = await kept_shown(pilot)
        before = screen.list_panel.region
        held.go.set()
        await settle(pilot)
        assert screen.list_panel.region == before
        assert screen.list.has_focus


async def test_a_first_start_shows_its_first_recipes_before_all_are_read(app_of: Begin, held: Held) -> None:
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        assert [row.name for row in screen.list.rows][:2] == ["alpha-8b", "beta-70b"]
        held.go.set()
        await settle(pilot)
        assert not screen.list.kept and len(screen.list.rows) == 4


async def test_the_view_stays_where_it_was_in_a_long_list(
    open_app: Pilots, app_of: Begin, held: Held, recipe_dir: Path
) -> None:
    for number in range(100):
        (recipe_dir / f"many-{number:03}.yaml").write_text(ALPHA.replace("alpha-8b", f"many-{number:03}"))
    await held.after_a_session(open_app, "pagedown", "pagedown", "up", "up", "up")
    app = app_of()
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await kept_shown(pilot)
        before = [line[:40] for line in screen_text(pilot).splitlines() if "many-" in line[:40]]
        assert len(before) > 20 and screen.list.top == 1
        held.go.set()
        await settle(pilot)
        after = [line[:40] for line in screen_text(pilot).splitlines() if "many-" in line[:40]]
        assert [line.split()[1] for line in after] == [line.split()[1] for line in before]
        assert screen.list.top > 1


async def test_rows_are_kept_when_something_else_is_in_sight(open_app: Pilots) -> None:
    await one_session(open_app)
    first = json.loads(kept_file().read_text())
    await one_session(open_app, "down")
    assert json.loads(kept_file().read_text())["cursor"] == first["cursor"] + 1
    assert kept_file().stat().st_mode & 0o777 == 0o600
