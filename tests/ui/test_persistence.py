"""What the app remembers from one run to the next, however the file looks that it is kept in."""

from __future__ import annotations

import stat
from dataclasses import replace

import pytest

from sparkrun_tui.base.user.remembered import Remembered, recall, remember, remembered_file
from sparkrun_tui.base.user.settings import Cluster, Settings
from sparkrun_tui.ui.app.app import SparkrunApp
from sparkrun_tui.ui.app.session import Session
from sparkrun_tui.ui.screens.browse import BrowseScreen

from .conftest import Pilots, press, settle
from .fakes import LAB, FakeBackend

HOME = Cluster("home", ("spark-9",))


async def test_the_next_run_begins_where_the_last_one_ended(open_app: Pilots) -> None:
    async with open_app() as pilot:
        await press(pilot, "slash", *"acme", "enter", "j")
        app = pilot.app
        assert isinstance(app, SparkrunApp) and app.state.recipe is not None
        before = app.state.recipe.name
        app.theme = "nord"
        await pilot.pause()
    async with open_app() as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp) and app.state.recipe is not None
        screen = app.screen
        assert isinstance(screen, BrowseScreen) and screen.list.current is not None
        assert app.state.query == "acme"
        assert (app.state.recipe.name, screen.list.cursor) == (before, 1)
        assert screen.list.current.name == before
        assert app.theme == "nord"
    assert stat.S_IMODE(remembered_file().stat().st_mode) == 0o600


async def test_the_cluster_last_used_is_used_again_unless_another_is_asked_for(
    settings: Settings, backend: FakeBackend
) -> None:
    both = replace(settings, clusters=(LAB, HOME))
    remember(Remembered(cluster="home"))
    for asked, expected in (("", "home"), ("lab", "lab")):
        app = SparkrunApp(Session(both, cluster=asked, backend=backend))
        async with app.run_test(size=(120, 40)) as pilot:
            await settle(pilot)
            assert app.state.cluster is not None and app.state.cluster.name == expected
            remember(Remembered(cluster="home"))
    remember(Remembered(cluster="gone since"))
    app = SparkrunApp(Session(both, backend=backend))
    async with app.run_test(size=(120, 40)) as pilot:
        await settle(pilot)
        assert app.state.cluster == LAB


async def test_the_demo_is_not_remembered_as_a_cluster(open_app: Pilots) -> None:
    remember(Remembered(cluster="lab"))
    async with open_app(demo=True):
        pass
    assert recall().cluster == "lab"


async def test_a_query_that_is_asked_for_is_stronger(open_app: Pilots) -> None:
    remember(Remembered(query="gamma"))
    async with open_app(query="beta") as pilot:
        assert isinstance(pilot.app, SparkrunApp)
        assert pilot.app.state.query == "beta"


async def test_a_recipe_that_is_gone_leaves_the_first_one_selected(open_app: Pilots) -> None:
    remember(Remembered(recipe="file\0\0/nowhere/alpha.yaml"))
    async with open_app() as pilot:
        assert isinstance(pilot.app, SparkrunApp) and pilot.app.state.recipe is not None
        assert pilot.app.state.recipe.name == "alpha-8b"


async def test_a_theme_of_the_settings_that_is_newer_than_the_choice_wins(
    settings: Settings, backend: FakeBackend
) -> None:
    remember(Remembered(theme="nord", theme_then="gruvbox"))
    for said, expected in (("gruvbox", "nord"), ("dracula", "dracula")):
        app = SparkrunApp(Session(replace(settings, theme=said), backend=backend))
        async with app.run_test(size=(80, 24)) as pilot:
            await settle(pilot)
            assert app.theme == expected


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"query": 5, "theme": ["nord"]}', "\0\0\0", '{"query": "' + "x" * 5000 + '"}']
)
async def test_a_damaged_file_is_no_worse_than_none(open_app: Pilots, text: str) -> None:
    remembered_file().parent.mkdir(parents=True)
    remembered_file().write_text(text)
    assert recall() == Remembered()
    async with open_app() as pilot:
        assert isinstance(pilot.app, SparkrunApp) and pilot.app.state.query == ""


def test_what_is_read_back_cannot_steer_the_terminal() -> None:
    remember(Remembered(query="qwen\x1b]2;owned\x07 fp8"))
    assert recall().query == "qwen fp8"


async def test_what_cannot_be_kept_is_told_and_nothing_else_happens(open_app: Pilots) -> None:
    async with open_app() as pilot:
        app = pilot.app
        assert isinstance(app, SparkrunApp)
        remembered_file().parent.mkdir(parents=True, exist_ok=True)
        remembered_file().mkdir()  # a folder cannot be replaced by a file
        app.state.query = "something else"
        for _ in range(3):
            app.persistence.keep()
        await pilot.pause()
        assert ["cannot be saved" in notification.message for notification in app._notifications] == [True]
